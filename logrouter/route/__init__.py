"""The route lane: a consumer group that turns source records into clean events, dead letters and partial sums.

Each batch is one Kafka transaction, source offsets included. `lane` has the loop, `batch` what is done per batch.
"""
