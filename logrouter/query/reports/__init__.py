"""Reports: what is computed from table rows, each declared once in a module of its own. `registry` lists them."""
