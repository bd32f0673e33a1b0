"""A Kafka in memory, for tests of the lanes: start at `cluster`. `tests/integration/test_fakes.py` compares it."""
