"""Lines as they stand in public bug reports of this trade, names and addresses changed, with what is right for each."""
