"""The table view over HTTP, with its page (`assets`), health and metrics.

Reads the tables through the protocol `query.reader`, and never imports them.
"""
