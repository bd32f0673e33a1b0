"""Processes of one machine: supervision, children that never outlive their parent, threads that hold up no exit."""
