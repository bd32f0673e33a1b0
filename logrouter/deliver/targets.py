"""Which options make which sink: the one place that knows all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from logrouter.config.options.sinks import OpensearchOptions, WebhookOptions
from logrouter.deliver.opensearch_target import opensearch_protocol, template_setup
from logrouter.sinks.http_client import HttpBounds, HttpClient
from logrouter.sinks.http_sink import HttpSink
from logrouter.sinks.target_guard import TargetGuard, parse_networks
from logrouter.sinks.webhook.protocol import WebhookBody, WebhookProtocol, read_key

if TYPE_CHECKING:
    from logrouter.config.compile.sinks import ConfiguredSink
    from logrouter.config.options.sinks import SinkOptions
    from logrouter.sinks.contract import Sink
    from logrouter.sinks.http_sink import HttpPreparation, HttpProtocol


def open_sink(sink: ConfiguredSink) -> Sink:
    """The sink itself; it connects when it sends."""
    bounds = HttpBounds(timeout_seconds=sink.options.timeout_seconds, connections=sink.options.connections)
    client = HttpClient(bounds, tls=sink.tls, guard=_guard_of(sink.options))
    return HttpSink(_protocol_of(sink.options), client, preparation=_preparation_of(sink.options))


def _guard_of(options: SinkOptions) -> TargetGuard | None:
    guard = options.guard
    if guard is None:
        return None
    return TargetGuard(parse_networks(guard.networks), frozenset(guard.schemes), frozenset(guard.ports))


def _protocol_of(options: SinkOptions) -> HttpProtocol:
    match options:
        case OpensearchOptions():
            return opensearch_protocol(options)
        case WebhookOptions():
            headers = dict(options.headers or {})
            if options.authorization is not None:
                headers["Authorization"] = options.authorization.reveal()
            keys = tuple(read_key(key.reveal()) for key in options.signing_keys)
            return WebhookProtocol(
                options.url, WebhookBody(options.body), keys, headers, compress=options.compression == "gzip"
            )
    raise NotImplementedError(type(options).__name__)


def _preparation_of(options: SinkOptions) -> HttpPreparation | None:
    return template_setup(options) if isinstance(options, OpensearchOptions) else None
