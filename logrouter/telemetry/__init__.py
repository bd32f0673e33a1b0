"""Every metric and every log event, by name."""
