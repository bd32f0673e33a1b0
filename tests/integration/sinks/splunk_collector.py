"""The stand-in for Splunk's collector as a program, which has events in memory first and then in a file.

    python -m tests.integration.sinks.splunk_collector --port 8088 --folder here

It notes what it takes in `taken.jsonl`, acknowledges at the second question, and right before that writes to
`indexed.jsonl`: killed in between, it loses what it has taken, as an indexer may.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from tests.unit.sinks.splunk.collector import Collector


class ForgetfulCollector(Collector):
    """Its events are in files; what is in no file goes down with the process."""

    def __init__(self, folder: Path) -> None:
        super().__init__(acknowledges=True, questions_before_yes=2)
        self._folder = folder
        self._held: dict[tuple[str, str], list[Any]] = {}

    def keep(self, envelopes: list[Any], key: tuple[str, str] | None = None) -> None:
        """Hold them in memory."""
        assert key is not None
        self._write("taken.jsonl", envelopes)
        self._held[key] = envelopes

    def note_acknowledged(self, key: tuple[str, str]) -> None:
        """Store them."""
        self._write("indexed.jsonl", self._held.pop(key))

    def _write(self, name: str, envelopes: list[Any]) -> None:
        with (self._folder / name).open("ab") as file:
            file.write(b"".join(orjson.dumps(envelope["event"]) + b"\n" for envelope in envelopes))


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--config", help="ignored: each command of a stack gets it")
    arguments = parser.parse_args()
    application = ForgetfulCollector(arguments.folder).application()
    web.run_app(application, host="127.0.0.1", port=arguments.port, print=None)


if __name__ == "__main__":
    _main()
