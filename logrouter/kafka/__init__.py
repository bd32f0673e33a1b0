"""Clients of Kafka built on librdkafka (confluent_kafka): consumer, transactional producer, topics, errors."""
