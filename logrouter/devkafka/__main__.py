"""`python -m logrouter.devkafka PORT`: the embedded Kafka alone, until Ctrl-C."""

import sys

from logrouter.devkafka.broker import DevKafkaError, serve

try:
    sys.exit(serve(int(sys.argv[1]) if len(sys.argv) > 1 else 9092))
except DevKafkaError as failure:
    sys.exit(f"error: {failure}")
