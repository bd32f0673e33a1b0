"""Questions to the tables and answers from their rows. Pure: no I/O, no clock.

Rows are read through a protocol, `reader`, which `logrouter.tables` implements.
"""
