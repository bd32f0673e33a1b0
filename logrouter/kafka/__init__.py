"""Clients of Kafka for the lanes built on librdkafka. The only importer of confluent_kafka."""
