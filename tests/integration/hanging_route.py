"""A `logrouter` process that stops itself once, between the two halves of a commit: to be run as a script.

    hanging_route.py TRIGGER TOPIC route --instance route-0

While the file TRIGGER is there, the next transaction with an offset of TOPIC is given its offsets, TRIGGER is removed,
and the process stops as by SIGSTOP. With `linger.ms` in topics.yaml the records are still in its queue then.
"""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from logrouter.cli import main
from logrouter.kafka import transaction


class HangingProducer(Producer):
    """Stops the process between its offsets and its records."""

    trigger = Path()
    topic = ""

    def send_offsets_to_transaction(self, offsets: Any, *rest: Any) -> None:
        super().send_offsets_to_transaction(offsets, *rest)
        if any(each.topic == self.topic for each in offsets) and self.trigger.exists():
            self.trigger.unlink()
            # To this very thread: of a signal to the process another thread may take its time, while this one goes on.
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)


if __name__ == "__main__":
    HangingProducer.trigger, HangingProducer.topic = Path(sys.argv[1]), sys.argv[2]
    transaction.Producer = HangingProducer  # type: ignore[misc]
    del sys.argv[1:3]
    main()
