"""Questions to the tables and answers from their rows. Pure: no I/O, no clock."""
