"""Reading text: JSON, key=value pairs, patterns, durations and timestamps. Nothing here knows a format."""
