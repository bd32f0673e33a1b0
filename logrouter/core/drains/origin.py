"""Whose a line is, by what the transport, the router or the build server says of it.

A program can print whatever it likes, so nothing that stands in its own line tells whose it is, and nothing in a record
where its keys may have taken the place of the transport's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from logrouter.core.drains.owner import MAX_NAME, name_of
from logrouter.core.envelopes.fields import getter
from logrouter.core.formats.families.app_space import AppSpace, app_space
from logrouter.core.text.json_objects import decode_object
from logrouter.model import Rejected, Stage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from logrouter.model import Envelope, Parsed

DEFAULT_PROCESS: Final = "web"

# Shapes in which an application's own keys stand beside the transport's.
_MIXED: Final = "json"
_OVERRIDDEN: Final = "cee"
_METADATA: Final = "kubernetes"
_BUILD_SHAPES: Final = frozenset({"json", "plain"})
_BUILD_KEYS: Final = ("build", "job")

_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9_.-]{0,61}[a-z0-9])?", re.ASCII)
_DOMAIN: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,62}\.)*[a-z0-9_-]{0,62}[a-z0-9]", re.ASCII)
_PORT: Final = re.compile(r":[0-9]{1,5}\Z", re.ASCII)

_space = getter("namespace")
_app = getter("app")
_pod = getter("pod")
_container = getter("container")
_process_type = getter("process_type")


class LineOrigin(Struct, frozen=True):
    """Whose a line is. A line of a router may be an app's and a site's; an event is an API's and a client's.

    *name* is an app's and its space's as one word, *pair* the two where both are known by themselves. Empty where
    nobody knows.
    """

    name: str = ""
    pair: AppSpace | None = None
    site: str = ""
    api: str = ""
    client: str = ""

    def __bool__(self) -> bool:
        return bool(self.name or self.site or self.api or self.client)


NOBODY: Final = LineOrigin()


class Container(NamedTuple):
    """What has printed a line: *process* is `web.5d4f8-x7k2p`, its type and the rest of its pod's name."""

    origin: LineOrigin
    process: str


class Build(NamedTuple):
    """A line that a build has printed."""

    origin: LineOrigin
    message: str


def of_pair(app: str, space: str) -> LineOrigin:
    """The origin of an app's line; nobody's if one of the names is none."""
    app, space = app.lower(), space.lower()
    if _LABEL.fullmatch(app) is None or _LABEL.fullmatch(space) is None:
        return NOBODY
    pair = AppSpace(app, space)
    return LineOrigin(name_of(pair), pair)


def container_of(envelope: Envelope) -> Container | None:
    """The container that has printed a line, by the transport's metadata; None if there is none."""
    said = _by_transport(envelope)
    if said is None:
        return None
    app, space = _app(said), _space(said)
    origin = of_pair(app, space) if app is not None and space is not None else NOBODY
    return Container(origin, _process_of(said, app or "")) if origin else None


def _by_transport(envelope: Envelope) -> Envelope | None:
    """The envelope with no field that the application may have written; None if that leaves nothing."""
    if envelope.shape == _OVERRIDDEN:
        return None
    metadata = envelope.fields.get(_METADATA)
    if envelope.shape == _MIXED or envelope.document is envelope.fields:
        return replace(envelope, fields={_METADATA: metadata}) if type(metadata) is dict else None
    return envelope


def _process_of(said: Envelope, app: str) -> str:
    kind = _process_type(said)
    pod = _pod(said) or ""
    for before in (_container(said), f"{app}--{kind}", app):
        if before and pod.startswith(f"{before}-"):
            pod = pod[len(before) + 1 :]
            break
    return f"{kind or DEFAULT_PROCESS}.{pod}" if pod else kind or DEFAULT_PROCESS


def request_origin(parsed: Parsed, *, platform: bool, domains: Sequence[str]) -> LineOrigin:
    """Whose request a router tells of.

    *platform* says that `hostname` is a word of the router's own, and no host name that any client may send. With
    *domains*, the first label of a host name below one of them is an app and its space, and of no other.
    """
    fields, meta = parsed.fields, parsed.event.get("meta")
    asked = _domain(meta.get("domain") if type(meta) is dict else None)
    site = _domain(fields.get("site_domain")) or asked
    hostname = _domain(fields.get("hostname")) if platform else ""
    app, space = fields.get("app"), fields.get("space")
    found = of_pair(app, space) if type(app) is str and type(space) is str else NOBODY
    if found and hostname and app_space(hostname) == found.pair:
        found = NOBODY  # split at the first dash, which is only one of the ways to read it
    if not found:
        found = LineOrigin(_named_by(hostname or (asked if domains else ""), domains))
    return replace(found, site=site)


def _named_by(host: str, domains: Sequence[str]) -> str:
    """The label of a host name that is an app and its space; "" if it is none."""
    label, dot, domain = host.partition(".")
    if not dot or app_space(label) is None:
        return ""
    return label if not domains or domain in domains else ""


def _domain(value: object) -> str:
    """A host name in small letters, without port and the dot at its end; "" for anything else."""
    if type(value) is not str or len(value) > MAX_NAME + 6:
        return ""
    name = _PORT.sub("", value.lower()).removesuffix(".")
    return name if len(name) <= MAX_NAME and _DOMAIN.fullmatch(name) is not None else ""


def build_of(envelope: Envelope) -> Build | None:
    """What a build server says: `{"build": 42, "job": "shop", "message": …, "metadata": "shop-prod"}`; else None."""
    if envelope.shape not in _BUILD_SHAPES or _METADATA in envelope.fields:
        return None
    record: Mapping[str, Any] | Rejected | None = envelope.document
    if record is None:
        record = decode_object(envelope.text, Stage.PARSE) if envelope.text[:1] == "{" else None
    if record is None or isinstance(record, Rejected) or not any(key in record for key in _BUILD_KEYS):
        return None
    message, origin = record.get("message"), _of_build(record.get("metadata"))
    return Build(origin, message.rstrip("\r\n")) if type(message) is str and origin else None


def _of_build(metadata: object) -> LineOrigin:
    if type(metadata) is dict:
        app, space = metadata.get("app"), metadata.get("space")
        return of_pair(app, space) if type(app) is str and type(space) is str else NOBODY
    if type(metadata) is not str or app_space(metadata) is None:
        return NOBODY
    return LineOrigin(metadata.partition(".")[0].lower())
