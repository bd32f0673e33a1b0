"""The HTTP application by which drains are made, looked at and removed, compatible with logshuttle's clients."""
