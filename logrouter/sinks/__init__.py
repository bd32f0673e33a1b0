"""Places besides Kafka where events go: how each is written to, and the one way in which all are delivered to."""
