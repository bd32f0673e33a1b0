"""What a record means, as pure functions and values: no I/O, no clock, no logging, no Kafka.

The modules in this folder put the stages together (`pipeline`, `event`, `routing`); each folder below has one subject.
"""
