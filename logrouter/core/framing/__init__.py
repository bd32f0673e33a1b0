"""How messages lie in a stream of bytes one behind the other. Pure."""
