"""Names of backends, under which all formats have them: `backend.instance` and `backend.cluster` of an event.

    "10.0.0.5:8080"                            the address of an instance, as it is
    "http://admin:secret@10.0.0.5:8080/a?b=c"  its URL: 10.0.0.5:8080
    "web.1", "unix:/run/app.sock"              its name; its socket
    "10.0.0.5:80, 10.0.0.6:80 : pool"          what nginx tried: at last 10.0.0.6:80, then no server of pool was alive

A name has at most `MAX_NAME` characters, no user information, no query, and nothing that can't be printed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from logrouter.core.names import bounded_name
from logrouter.core.outcomes import is_about_backend
from logrouter.core.redact import REDACTED, has_broken_host, holds_secret, redact_uri
from logrouter.core.text.unflatten import ABSENT

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from logrouter.model import Parsed

MAX_NAME: Final = 256
"""What the schema allows."""

_MAX_KNOWN: Final = 4096
_MAX_KNOWN_LENGTH: Final = 512
_MAX_TRIES_LENGTH: Final = 16_384
_BETWEEN_TRIES: Final = re.compile(r", ?| : ")

# A deployment has few backends. Where clients choose them, as in a forward proxy, this only starts over.
_known: dict[str, str | None] = {}
_known_tries: dict[str, tuple[str | None, str | None]] = {}


def backend_of(instance: object, cluster: object, *, alone: bool = True) -> dict[str, str] | None:
    """The `backend` of an event, by the texts of a line; None if neither is a name.

    *alone* says that the name of a group counts without an instance of it. That is wrong where a gateway writes where a
    request would have gone, and has answered by itself.
    """
    found: dict[str, str] = {}
    if type(instance) is str and (name := backend_name(instance)) is not None:
        found["instance"] = name
    if (found or alone) and type(cluster) is str and (name := backend_name(cluster)) is not None:
        found["cluster"] = name
    return found or None


def put_backend(event: dict[str, Any], fields: dict[str, Any], backend: dict[str, str] | None) -> None:
    """Put *backend* into the event, and into the fields that sources read unless the line has that name itself."""
    if backend is not None:
        event["backend"] = backend
        fields.setdefault("backend", backend)


def backend_name(text: str) -> str | None:
    """The name of an instance or a group as it may be published; None if the text is none. Never raises."""
    try:
        return _known[text]
    except KeyError:
        pass
    name = _clean_name(text)
    if len(_known) >= _MAX_KNOWN:
        _known.clear()
    if len(text) <= _MAX_KNOWN_LENGTH:
        _known[text] = name
    return name


def tries_of(text: str) -> tuple[str | None, str | None]:
    """The instance that nginx asked last, and the group of which no server was alive, by its `$upstream_addr`.

    It writes the name of the group in place of an address, without a port.
    """
    found = _known_tries.get(text)
    if found is None:
        found = _last_of(text)
        if len(_known_tries) >= _MAX_KNOWN:
            _known_tries.clear()
        if len(text) <= _MAX_KNOWN_LENGTH:
            _known_tries[text] = found
    return found


class BackendNames(NamedTuple):
    """Names of the fields in which the patterns of a format have a backend, those that count first.

    *tries* is the one among *instance* that holds several as nginx writes them.
    """

    instance: tuple[str, ...]
    cluster: tuple[str, ...] = ()
    tries: str = ""


def backend_reader(names: BackendNames, there: Collection[str]) -> Callable[[Parsed], None] | None:
    """A function that puts the backend into a request, by its fields; None where a pattern has none of them.

    *there* are the fields of the pattern. If it has an instance, a group without one counts only where the status is
    about the backend: else the gateway has answered by itself.
    """
    instances = tuple(name for name in names.instance if name in there)
    clusters = tuple(name for name in names.cluster if name in there)
    if not instances and not clusters:
        return None

    def read(parsed: Parsed) -> None:
        event, fields = parsed.event, parsed.fields
        instance, cluster, group = _written(fields, instances, clusters, names.tries)
        alone = group is not None or not instances or is_about_backend(event["http"].get("status_code"))
        put_backend(event, fields, backend_of(instance, cluster or group, alone=alone))

    return read


def backend_in_pairs(
    instances: tuple[str, ...], clusters: tuple[str, ...], *, tries: str
) -> Callable[[Mapping[str, str]], dict[str, str] | None]:
    """A function that finds the backend in a line of pairs, under the first of these keys that is there.

    *tries* is the key that holds several as nginx writes them.
    """

    def read(line: Mapping[str, str]) -> dict[str, str] | None:
        instance, cluster, group = _written(line, instances, clusters, tries)
        return backend_of(instance, cluster or group)

    return read


def _written(
    line: Mapping[str, Any], instances: tuple[str, ...], clusters: tuple[str, ...], tries: str
) -> tuple[str | None, str | None, str | None]:
    """The instance and the group under the first of their names that is there, and the group that *tries* names."""
    instance = cluster = group = None
    for name in instances:
        if name in line:
            instance = line[name]
            if name == tries:
                instance, group = tries_of(line[name])
            break
    for name in clusters:
        if name in line:
            cluster = line[name]
            break
    return instance, cluster, group


def _last_of(text: str) -> tuple[str | None, str | None]:
    """The last address and the last other name in a list of tries."""
    instance = group = None
    for each in reversed(_BETWEEN_TRIES.split(text[-_MAX_TRIES_LENGTH:])):
        name = each.strip()
        if name in ABSENT:
            continue
        if ":" in name:
            instance = name
            break
        group = group or name
    return instance, group


def _clean_name(text: str) -> str | None:
    name = text
    if "@" in name and has_broken_host(name):
        return None
    if "://" in name:
        name = redact_uri(name).partition("://")[2].partition("/")[0].rpartition("@")[2]
    name = name.partition("?")[0].partition("#")[0]
    user, at, host = name.rpartition("@")
    if at and ":" in user and not user.startswith("unix:"):
        name = host
    name = name.strip()
    if name in ABSENT or name == REDACTED or (name[0] == "<" and name[-1] == ">"):  # HAProxy's words for none
        return None
    return bounded_name(name, MAX_NAME, secret=holds_secret(name))
