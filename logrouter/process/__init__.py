"""Processes of one machine: supervision, and children that never outlive their parent."""
