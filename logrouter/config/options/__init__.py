"""What may be written in topics.yaml: each option is declared once, with its type, default and description."""
