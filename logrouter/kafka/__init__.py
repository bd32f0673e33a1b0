"""Clients of Kafka built on librdkafka: group consumer, transactional producer, readers, topics.

The only part that imports confluent_kafka. Its errors leave as those of `kafka.errors`, its partitions as `Partition`;
records stay librdkafka's own messages (`records.Message`), as copying each would cost too much.
"""
