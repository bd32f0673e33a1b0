"""Follows topics.yaml while the lane runs: reads it when it may have changed, and proposes what may come into force.

All of it happens in a thread of its own; the lane only looks whether there is a version. A file that can't be used is
logged once and not read again before it changes. SIGHUP and `POST /v1/admin/reload` have it read at once.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

from logrouter.config import ConfigError
from logrouter.reload.file_watch import FileWatch
from logrouter.reload.versions import ReloadOutcome, ReloadResult
from logrouter.telemetry import metrics
from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from logrouter.config import Settings
    from logrouter.reload.file_watch import FileStamp
    from logrouter.reload.versions import ConfigVersions, Version

S = TypeVar("S")
"""The settings of a `Version`."""

QUIET_SECONDS: Final = 0.05
"""A file is read when it has not changed for so long: who writes in place does not do it in one go."""

PATIENCE_SECONDS: Final = 5.0
"""A file that never comes to rest is read after so long all the same."""

RETRY_SECONDS: Final = 5.0
"""After this long the cluster is asked again about topics, if it did not answer."""

HALF_WRITTEN: Final = (
    "ends where the file in force goes on, so it may be half written: if it is meant so, rename a copy over it (mv)"
)


class RetryLaterError(Exception):
    """Whether a version may be used can't be found out now; the text says why, for the operator."""


class Content(NamedTuple):
    """The bytes of topics.yaml and the file on disk that they came from."""

    data: bytes
    inode: int


class ConfigFile(NamedTuple, Generic[S]):
    """How the reloader reads: *path* is topics.yaml, *content* gives its bytes, *parse* what is in them.

    *version* is what the lane takes of it, and *refusal* says why it may not (empty if it may). *refusal* may raise
    `RetryLaterError`: then it is asked again after `RETRY_SECONDS`.
    """

    path: Path
    content: Callable[[], bytes]
    parse: Callable[[bytes], Settings]
    version: Callable[[Settings], Version[S]]
    refusal: Callable[[Settings], str]


class Reloader(Generic[S]):
    """Reads topics.yaml for one lane. Its maker calls `start` once; the thread ends by `stop`, or with the process."""

    def __init__(
        self,
        versions: ConfigVersions[S],
        source: ConfigFile[S],
        *,
        inputs: Iterable[Path] = (),
        on_reading: Callable[[ReloadOutcome], None] = lambda _outcome: None,
    ) -> None:
        """*versions* gets what is read. *inputs* are further files that the version in force was built from.

        *on_reading* is called after each reading, in the reloader's thread; APPLIED says that the version is to come.
        """
        self._versions = versions
        self._on_reading = on_reading
        self._source = source
        self._watch = FileWatch()
        self._inputs = frozenset(inputs)
        self._watch.follow([source.path, *inputs])
        self._seen: Mapping[Path, FileStamp] = {}
        self._taken: Content | None = None
        self._retry_at: float | None = None
        self._signalled = False
        self._stopped = False
        self._answers = threading.Condition()
        self._asked = self._answered = 0
        self._answer = ReloadOutcome(ReloadResult.UNCHANGED)
        self._thread = threading.Thread(target=self._run, name="reload", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, if it runs, and close what watches the files. Nothing may be called after that."""
        self._stopped = True
        self._watch.wake()
        if self._thread.is_alive():
            self._thread.join()
        self._watch.close()

    def request_reload(self) -> None:
        """Have the file read at once. Safe in a signal handler, as it takes no lock."""
        self._signalled = True
        self._watch.wake()

    def reload(self, timeout: float) -> ReloadOutcome | None:
        """Have the file read at once, and wait until it is in force or refused; None after *timeout* seconds."""
        by = time.monotonic() + timeout
        with self._answers:
            self._asked += 1
            ticket = self._asked
            self._watch.wake()
            if not self._answers.wait_for(lambda: self._answered >= ticket, timeout):
                return None
            answer = self._answer
        if answer.result is ReloadResult.APPLIED:
            return self._versions.wait_decided(answer.generation, by - time.monotonic())
        return answer

    def _run(self) -> None:
        while not self._stopped:
            try:
                self.check_file()
            except Exception as exc:  # noqa: BLE001 - a bug of ours must not end reloading for good
                metrics.INTERNAL_ERRORS.labels("reload").inc()
                log(Log.INTERNAL_ERROR, exc_info=exc, lane="route", file=str(self._source.path))
            if not self._signalled and self._asked == self._answered:
                self._watch.wait()

    def check_file(self) -> None:
        """Read the file if somebody asked, or if it has changed and come to rest."""
        signalled, self._signalled = self._signalled, False
        ticket = self._asked
        asked = signalled or ticket > self._answered
        stamps: Mapping[Path, FileStamp] = self._watch.read_stamps()
        retry = self._retry_at is not None and time.monotonic() >= self._retry_at
        # A file that was not followed before is as good as changed: it may have been, since it was read.
        if any(found != self._seen.get(path) for path, found in stamps.items()):
            stamps = self._at_rest(stamps)
            if self._watch.being_written and not asked:
                return  # a slow writer: the change is still unseen, and looked at again when the file is closed
        elif not asked and not retry:
            return
        self._seen, self._retry_at = stamps, None
        outcome = ReloadOutcome(ReloadResult.INVALID, "internal error")
        try:
            outcome = self._read(asked=asked)
        finally:
            with self._answers:
                self._answer, self._answered = outcome, ticket
                self._answers.notify_all()
        self._on_reading(outcome)

    def _at_rest(self, stamps: Mapping[Path, FileStamp]) -> Mapping[Path, FileStamp]:
        """The stamps once they have stayed the same for a moment and nobody has the file open to write."""
        by = time.monotonic() + PATIENCE_SECONDS
        while not self._stopped and time.monotonic() < by:
            time.sleep(QUIET_SECONDS)
            self._watch.wait(0)
            again = self._watch.read_stamps()
            if again == stamps and not self._watch.being_written:
                break
            stamps = again
        return stamps

    def _read(self, *, asked: bool) -> ReloadOutcome:
        """Read the file, and propose what is in it if it may be used."""
        versions = self._versions
        try:
            content = self._read_content()
            if self._half_written(content):
                return versions.record_failure(ReloadOutcome(ReloadResult.REFUSED, HALF_WRITTEN), asked=asked)
            settings = self._source.parse(content.data)
        except ConfigError as error:
            self._follow(self._inputs.union(error.inputs))
            return versions.record_failure(ReloadOutcome(ReloadResult.INVALID, _describe_error(error)), asked=asked)
        self._follow(frozenset(settings.inputs))
        try:
            reason = self._source.refusal(settings)
        except RetryLaterError as error:
            self._retry_at = time.monotonic() + RETRY_SECONDS
            reason = f"{error}: tried again in {RETRY_SECONDS:g} s"
        if reason:
            refused = ReloadOutcome(ReloadResult.REFUSED, reason, settings.generation)
            return versions.record_failure(refused, asked=asked)
        outcome = versions.propose(self._source.version(settings), asked=asked)
        if outcome.result is not ReloadResult.REFUSED:
            self._taken = content
        return outcome

    def _read_content(self) -> Content:
        """What is in the file; white space that has come or gone at its end is no change."""
        data, inode = self._source.content(), self._seen[self._source.path.absolute()].inode
        if self._taken is not None and data.rstrip() == self._taken.data.rstrip():
            data = self._taken.data
        return Content(data, inode)

    def _follow(self, inputs: frozenset[Path]) -> None:
        self._inputs = inputs
        self._watch.follow([self._source.path, *inputs])

    def _half_written(self, content: Content) -> bool:
        """Whether this is how a file begins that is being written over the one in force.

        A file of its own that was renamed into place is whole.
        """
        taken = self._taken
        return (
            taken is not None
            and content.inode == taken.inode
            and taken.data.startswith(content.data)
            and taken.data != content.data
        )


def _describe_error(error: ConfigError) -> str:
    first, *others = error.problems
    return f"{first}; and {len(others)} more" if others else str(first)
