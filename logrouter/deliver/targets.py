"""Which options make which sink: the one place that knows all of them."""

from __future__ import annotations

import time
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from logrouter.config.options.sinks import (
    EventgateOptions,
    OpensearchOptions,
    SplunkOptions,
    SyslogOptions,
    WebhookOptions,
)
from logrouter.config.yaml.secrets import FromEnv
from logrouter.core.signing_keys import read_key
from logrouter.deliver.opensearch_target import largest_answer, opensearch_protocol, template_setup
from logrouter.deliver.syslog_target import syslog_sink
from logrouter.sinks.acknowledged_sink import AcknowledgedSink
from logrouter.sinks.eventgate.clients import ClientRate, ClientRules
from logrouter.sinks.eventgate.protocol import MAX_ANSWER_BYTES, EventgateProtocol
from logrouter.sinks.http_client import HttpBounds, HttpClient
from logrouter.sinks.http_sink import HttpSink
from logrouter.sinks.splunk.protocol import SplunkMetadata, SplunkProtocol
from logrouter.sinks.target_guard import TargetGuard, parse_networks
from logrouter.sinks.webhook.protocol import WebhookBody, WebhookProtocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from logrouter.config.compile.sinks import ConfiguredSink
    from logrouter.config.options.sinks import SinkOptions
    from logrouter.model import RawRecord
    from logrouter.sinks.contract import Sink, Skipped
    from logrouter.sinks.http_sink import HttpPreparation, HttpProtocol


_SECRET_LENGTH: Final = 12
"""A part of a path that is shorter may be any word."""


def open_sink(sink: ConfiguredSink) -> Sink[RawRecord]:
    """The sink itself; it connects when it sends."""
    options = sink.options
    if isinstance(options, SyslogOptions):
        return syslog_sink(options, sink.tls, _guard_of(options))
    bounds = HttpBounds(
        timeout_seconds=options.timeout_seconds,
        connections=options.connections,
        secret_texts=_secrets_of_path(options.url),
    )
    if isinstance(options, EventgateOptions):
        # eventgate writes a user agent into events that have none, and may repeat all events in an answer.
        bounds = replace(bounds, user_agent=None, max_answer_bytes=MAX_ANSWER_BYTES)
    if isinstance(options, OpensearchOptions):
        bounds = replace(bounds, max_answer_bytes=largest_answer(options))
    if isinstance(options, WebhookOptions):
        bounds = replace(bounds, secret_headers=frozenset(name.lower() for name in options.secret_headers or ()))
    client = HttpClient(bounds, tls=sink.tls, guard=_guard_of(options))
    if isinstance(options, SplunkOptions) and options.acknowledge:
        protocol = _splunk_protocol(options, channel=str(uuid.uuid4()))
        return AcknowledgedSink(protocol, client, patience_seconds=options.acknowledge_seconds)
    return HttpSink(_protocol_of(sink), client, preparation=_preparation_of(options))


def _secrets_of_path(url: str) -> tuple[str, ...]:
    """What nobody may read of a URL from the environment, as some services put a secret into the path.

    Many a page that says that something is not there, or not allowed, repeats the path that was asked for.
    """
    if not isinstance(url, FromEnv):
        return ()
    path = urlsplit(url).path.rstrip("/")
    whole = {path, unquote(path)}
    parts = {part for each in whole for part in each.split("/") if len(part) >= _SECRET_LENGTH}
    return tuple(sorted((whole | parts) - {""}, key=len, reverse=True))


def admission_of(options: SinkOptions) -> Callable[[Sequence[RawRecord]], Sequence[Skipped | None]] | None:
    """What decides which events are not sent, with a memory of its own; None if all are."""
    if not isinstance(options, EventgateOptions) or not (options.per_client or options.blocked_clients):
        return None
    per_client = options.per_client
    rate = None if per_client is None else ClientRate(per_client.events_per_second, per_client.burst)
    return ClientRules(options.blocked_clients, rate, lambda: time.time_ns() // 1_000_000)


def _guard_of(options: SinkOptions) -> TargetGuard | None:
    guard = options.guard
    if guard is None:
        return None
    return TargetGuard(parse_networks(guard.networks), frozenset(guard.schemes), frozenset(guard.ports))


def _protocol_of(sink: ConfiguredSink) -> HttpProtocol[RawRecord]:
    options = sink.options
    match options:
        case OpensearchOptions():
            return opensearch_protocol(options, sink.aws_keys)
        case EventgateOptions():
            return EventgateProtocol(options.url, options.stream, options.compression == "gzip")
        case WebhookOptions():
            headers = dict(options.headers or {})
            headers |= {name: secret.reveal() for name, secret in (options.secret_headers or {}).items()}
            if options.authorization is not None:
                headers["Authorization"] = options.authorization.reveal()
            keys = tuple(read_key(key.reveal()) for key in options.signing_keys)
            return WebhookProtocol(
                options.url, WebhookBody(options.body), keys, headers, compress=options.compression == "gzip"
            )
        case SplunkOptions():
            return _splunk_protocol(options)
    raise NotImplementedError(type(options).__name__)


def _splunk_protocol(options: SplunkOptions, channel: str = "") -> SplunkProtocol:
    metadata = SplunkMetadata(options.index, options.source, options.sourcetype)
    compress = options.compression == "gzip"
    return SplunkProtocol(options.url, options.token.reveal(), metadata, channel, compress)


def _preparation_of(options: SinkOptions) -> HttpPreparation | None:
    return template_setup(options) if isinstance(options, OpensearchOptions) else None
