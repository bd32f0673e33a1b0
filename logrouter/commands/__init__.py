"""The commands of `logrouter`, one module each: ``check.py`` has `check_command`. `logrouter.cli` names them all.

A command's module imports at its top what its options and its help need, which is little, and all else where it runs.
"""
