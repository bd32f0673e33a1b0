"""What several formats of one vendor or one kind of server share."""
