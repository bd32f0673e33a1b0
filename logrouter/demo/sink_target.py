"""Where the demo's events go besides Kafka: a target that it starts itself, and a topics.yaml that names it.

The topics.yaml that ships delivers nowhere. The demo's is the same file with a section `sinks` behind it, in the demo's
own folder.
"""

from __future__ import annotations

import secrets
from base64 import b64encode
from typing import TYPE_CHECKING, Final, NamedTuple

from logrouter.config.settings import FILE_NAME
from logrouter.demo.processes import DemoConfig, fetch_json, free_port, shipped_config
from logrouter.demo.receiver import EVENTS_PATH, KEY_PREFIX, ReceivedEvents, Receiver
from logrouter.devsearch.node import OpenSearchNode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import ExitStack
    from pathlib import Path

_KEY_NAME: Final = "DEMO_SIGNING_KEY"
_RECEIVER_PORT: Final = 6067
"""The one that is documented; any other if it is taken."""
_RECEIVER: Final = """
# Added by `logrouter demo`: each event also goes to a receiver of webhooks, which the demo runs.
sinks:
  receiver:
    type: webhook
    from: api-gateway.request
    url: {url}
    body: lines
    signing_keys: ${{{key}}}
    compression: none
    batch: {{max_records: 500, max_wait_ms: 250}}
"""
_OPENSEARCH_PORT: Final = 9200
_OPENSEARCH: Final = """
# Added by `logrouter demo --opensearch`: each event also goes to an OpenSearch, which the demo runs.
sinks:
  opensearch:
    type: opensearch
    from: api-gateway.request
    url: {url}
    index: api-gateway-request             # one a day, as by default
    batch: {{max_records: 500, max_wait_ms: 250}}
"""


class SinkTarget(NamedTuple):
    """A target that runs. *section* is its part of topics.yaml, *environment* the secrets that it refers to."""

    name: str
    """The sink's, in topics.yaml."""
    section: str
    environment: Mapping[str, str]
    page: str
    """A URL that shows what it holds."""
    count_held: Callable[[], int]
    """How many events it holds, each counted once: asked of the target, not of what delivers to it."""


def start_receiver(exits: ExitStack) -> SinkTarget:
    """A receiver of webhooks in this process, with a new signing key; it ends with *exits*."""
    key = KEY_PREFIX + b64encode(secrets.token_bytes(32)).decode()
    receiver = exits.enter_context(_open_receiver(ReceivedEvents(key)))
    return SinkTarget(
        name="receiver",
        section=_RECEIVER.format(url=receiver.url + EVENTS_PATH, key=_KEY_NAME),
        environment={_KEY_NAME: key},
        page=f"{receiver.url}/",
        count_held=lambda: receiver.events.held,
    )


def start_opensearch(exits: ExitStack, progress: Callable[[str], None]) -> SinkTarget:
    """An OpenSearch node as a process of its own, which takes some seconds; it ends with *exits*.

    *progress* gets short status lines.
    """
    node = exits.enter_context(OpenSearchNode(port=free_port(_OPENSEARCH_PORT), progress=progress))
    indices = f"{node.url}/api-gateway-request-*"

    def count_held() -> int:
        fetch_json(f"{indices}/_refresh")  # what was indexed in the last second can't be found yet
        return int(fetch_json(f"{indices}/_count")["count"])

    return SinkTarget(
        name="opensearch",
        section=_OPENSEARCH.format(url=node.url),
        environment={},
        page=f"{indices}/_search?q=http.response.status_code:503",
        count_held=count_held,
    )


def _open_receiver(events: ReceivedEvents) -> Receiver:
    try:
        return Receiver(events, port=_RECEIVER_PORT)
    except OSError:  # another demo, say, has the port
        return Receiver(events)


def write_config(folder: Path, target: SinkTarget) -> DemoConfig:
    """A topics.yaml in *folder*: the one that ships, and the section of *target*."""
    path = folder / FILE_NAME
    path.write_text(shipped_config().read_text(encoding="utf-8") + target.section, encoding="utf-8")
    return DemoConfig(path, target.environment, target.name, target.page)
