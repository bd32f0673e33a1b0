"""The HTTP port of a process without a table view: metrics, health, which configuration is in force, reload."""
