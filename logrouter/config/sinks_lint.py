"""Warnings about sinks that are valid and will hardly do what was meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from logrouter.config.options.endpoint import is_loopback
from logrouter.config.options.sinks import (
    EventgateOptions,
    OpensearchOptions,
    SinkOptions,
    SplunkOptions,
    SyslogOptions,
    WebhookOptions,
)
from logrouter.config.options.syslog_url import UDP
from logrouter.config.yaml.kinds import declared_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from logrouter.config.options.file import FileOptions
    from logrouter.config.yaml.problems import Problems

SHORTEST_RETENTION_MS: Final = 24 * 3_600_000
"""The shortest retention of events that is not warned of where sinks read them."""

_SHARED: Final = frozenset(name for name, _ in declared_options(SinkOptions))


def warn_sinks(file: FileOptions, problems: Problems) -> None:
    """Warn of events that arrive twice, are given up early or can be lost, and of secrets that anybody can read."""
    sinks: Mapping[str, Any] = file.sinks or {}
    for number, (name, sink) in enumerate(sinks.items()):
        path = f"sinks.{name}"
        _warn_twin(path, sink, dict(list(sinks.items())[:number]), problems)
        _warn_giving_up(path, sink, file.outputs.retention_ms, problems)
        _warn_bounds(path, sink, problems)
        url = urlsplit(sink.url)
        if url.scheme == "http" and _sends_secret(sink) and not is_loopback(url.hostname or ""):
            problems.warn(f"{path}.url", "sends secrets without encryption: use https")
        if isinstance(sink, SyslogOptions) and sink.framing == "newline" and url.scheme == UDP:
            problems.warn(f"{path}.framing", "is for streams: over UDP each message is a datagram of its own")
    kept = file.outputs.retention_ms
    if sinks and 0 <= kept < SHORTEST_RETENTION_MS:
        problems.warn(
            "outputs.retention_ms",
            f"keeps events for {kept / 3_600_000:g} h: what a sink has not delivered by then, as its target was away, "
            "is lost",
        )


def _warn_twin(path: str, sink: SinkOptions, before: Mapping[str, SinkOptions], problems: Problems) -> None:
    """A target that gets events of one topic from two sinks."""
    for name, other in before.items():
        both = sorted(set(sink.topics) & set(other.topics))
        if both and type(sink) is type(other) and _place(sink) == _place(other):
            problems.warn(path, f"delivers {', '.join(both)} to where sinks.{name} does already")
            return


def _place(sink: SinkOptions) -> list[Any]:
    """Where events of a sink end up: the URL, and all options that only its type has."""
    return [sink.url, *(getattr(sink, name) for name, _ in declared_options(type(sink)) if name not in _SHARED)]


def _warn_giving_up(path: str, sink: SinkOptions, kept_ms: int, problems: Problems) -> None:
    retry, give_up = sink.retry, sink.retry.give_up_after_seconds
    if give_up is None:
        return
    at = f"{path}.retry.give_up_after_seconds"
    if give_up < sink.timeout_seconds:
        problems.warn(
            at,
            f"is shorter than timeout_seconds ({sink.timeout_seconds:g}): one request without an answer, and all of "
            "its events are dead letters",
        )
    elif give_up * 1000 < retry.longest_pause_ms:
        problems.warn(
            at,
            f"is shorter than longest_pause_ms ({retry.longest_pause_ms}): one pause, and events are given up that "
            "were not tried again",
        )
    elif 0 <= kept_ms < give_up * 1000:
        problems.warn(
            at,
            f"is longer than outputs.retention_ms ({kept_ms}): events may be deleted before they are given up, and "
            "then are no dead letters",
        )


def _warn_bounds(path: str, sink: SinkOptions, problems: Problems) -> None:
    """Batches that can't become full, as less may wait than is in one."""
    if isinstance(sink, WebhookOptions) and sink.body == "event":
        return  # one event is a batch
    for bound in ("max_records", "max_bytes"):
        most, batch = getattr(sink.waiting, bound), getattr(sink.batch, bound)
        if most < batch:
            problems.warn(f"{path}.waiting.{bound}", f"is less than batch.{bound} ({batch}): no batch becomes full")


def _sends_secret(sink: SinkOptions) -> bool:
    match sink:
        case OpensearchOptions():
            return any(each is not None for each in (sink.basic_auth, sink.api_key, sink.aws))
        case WebhookOptions():
            return sink.authorization is not None or bool(sink.secret_headers)
        case SplunkOptions():
            return True
        case EventgateOptions() | SyslogOptions():
            return False
    return False
