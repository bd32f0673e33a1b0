"""Webhooks: events to any HTTP endpoint, signed as Standard Webhooks says. Pure."""
