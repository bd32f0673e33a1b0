"""The lane that takes events from topics to sinks."""
