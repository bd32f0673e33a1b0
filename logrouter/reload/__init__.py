"""Changing topics.yaml in a running process: file watching, versions in force, trials."""
