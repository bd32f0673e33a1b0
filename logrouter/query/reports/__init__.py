"""Reports: what is computed from table rows, one module per report."""
