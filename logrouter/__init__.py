"""logrouter: routes API-gateway request lines out of mixed Kafka log topics, exactly once."""

__version__ = "0.1.0"
