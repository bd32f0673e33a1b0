"""Strict reading of YAML: documents with places, kinds of values, problems with line and column."""
