"""Log drains: registrations in Kafka, and lines to where they are to go."""
