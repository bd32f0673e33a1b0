"""What the processes say of themselves: metrics for Prometheus, and structured log events."""
