"""Partial sums: how events are added up per batch, and how the sums are encoded for the rollup topic."""
