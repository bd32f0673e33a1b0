"""The commands that are more than the start of a lane, one module each; `logrouter.cli` collects them."""
