"""A tables worker as a process of its own."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path

from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError

from logrouter.access.policy import OPEN, Policy
from logrouter.access.scopes import Via, make_caller
from logrouter.access.tokens import Token, digest_of, hash_token
from logrouter.tables import table, worker
from logrouter.tables.retention import BucketsKept
from logrouter.tables.security import Security
from logrouter.tables.settings import TablesSettings
from logrouter.telemetry.log import configure_logging


def main(given: dict, log: Path) -> None:
    """What a forked process does: run, with all that it says in *log*, and end with the exit code."""
    with log.open("ab") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    random.seed()
    sys.exit(run(dict(given)))


def run(given: dict) -> int:
    """Run; *fail_after* makes the fold raise after so many batches, as a programming error would.

    *refuse_after* makes Kafka refuse every batch of rows after so many.
    *slow_flush* makes every flush with something to write take so many seconds more, as a slow disk would.
    *tokens* are scopes by token; without any everybody is let in.
    """
    configure_logging()
    tokens = [
        Token(make_caller(f"caller-{number}", Via.TOKEN, scopes), digest_of(hash_token(token)))
        for number, (token, scopes) in enumerate(given.pop("tokens", {}).items())
    ]
    fail_after = given.pop("fail_after", None)
    if fail_after is not None:
        _break_fold(fail_after)
    refuse_after = given.pop("refuse_after", None)
    if refuse_after is not None:
        _refuse_batches(refuse_after)
    slow_flush = given.pop("slow_flush", None)
    if slow_flush is not None:
        _slow_flush(slow_flush)
    given["data_dir"] = Path(given["data_dir"])
    given["security"] = Security((given.pop("bootstrap"),))
    if "retention" in given:
        given["retention"] = BucketsKept(*given["retention"])
    return worker.run(TablesSettings(access=Policy(tokens=tuple(tokens)) if tokens else OPEN, **given))


def _break_fold(after: int) -> None:
    fold, calls = table.UsageTable.fold, []

    def broken(self, partition, records):
        calls.append(partition)
        if len(calls) > after:
            raise ZeroDivisionError
        return fold(self, partition, records)

    table.UsageTable.fold = broken


def _slow_flush(seconds: float) -> None:
    flush = table.UsageTable.flush

    async def slow(self):
        if self.unflushed:
            await asyncio.sleep(seconds)
            print(f"a flush took {seconds:g} s longer", flush=True)  # noqa: T201 - the test looks for it in the log
        await flush(self)

    table.UsageTable.flush = slow


def _refuse_batches(after: int) -> None:
    send, sent = AIOKafkaProducer.send_batch, []

    async def refused(self, batch, topic, *, partition):
        sent.append(partition)
        if len(sent) <= after:
            return await send(self, batch, topic, partition=partition)
        future = asyncio.get_running_loop().create_future()
        future.set_exception(MessageSizeTooLargeError())
        return future

    AIOKafkaProducer.send_batch = refused
