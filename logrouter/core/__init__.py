"""What a record means, as pure functions and values: no I/O, no clock, no logging, no Kafka."""
