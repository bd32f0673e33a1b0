"""A real Apache Kafka for development, tests and benchmarks, started from pinned jars."""
