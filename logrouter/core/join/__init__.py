"""Lines that belong together: the two lines of one request, and the fragments of a cut line."""
