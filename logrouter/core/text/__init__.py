"""Reading text: JSON, key=value pairs, patterns, durations and timestamps. Nothing here knows a format.

Which of these to use when: docs/adding-a-dialect.md, *The text tools*.
"""
