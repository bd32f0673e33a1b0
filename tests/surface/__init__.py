"""The public surface, pinned: options, names, metrics, endpoints and commands as committed lists."""
