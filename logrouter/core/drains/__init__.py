"""Log drains: whose lines they are, what a line is, who has asked for it, and how far each drain has come. Pure."""
