"""Splunk: events to its HTTP Event Collector. Pure."""
