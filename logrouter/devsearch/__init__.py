"""A real OpenSearch for development, tests and benchmarks, started from pinned jars."""
