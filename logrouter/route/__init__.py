"""The route lane: a librdkafka consumer group that publishes clean events, one Kafka transaction per batch.

The only package that imports confluent_kafka.
"""
