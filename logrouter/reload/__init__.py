"""Changing topics.yaml while a process runs: watching the file, reading it, and the versions in force and to come.

Knows nothing of the lane that follows the versions: `route` hands in what is asked of it.
"""
