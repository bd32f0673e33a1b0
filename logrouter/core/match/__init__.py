"""Which route a record belongs to: conditions, what they imply, and the byte search that runs before them."""
