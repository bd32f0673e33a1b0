"""What an accepted event publishes and adds to the tables: in the lane, and for who asks what the lane would do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from logrouter.model import ANONYMOUS

if TYPE_CHECKING:
    from logrouter.core.rollup.accumulator import Accumulator
    from logrouter.model import Accepted

_NOTHING: Final[dict[str, Any]] = {}


def add_event(published: list[tuple[str, bytes, bytes | None]], sums: Accumulator, accepted: Accepted) -> None:
    """Publish an event, as (topic, value, key) in *published*, and count it in the tables that it is for.

    Of the event only its bytes are kept: a batch of whole ones would hold tens of megabytes. A schema of the operator's
    own may let anything pass: what has another type than in ours, and a name of no characters, counts as absent.
    """
    published.append((accepted.topic, accepted.value, accepted.key))
    if accepted.also:
        published.extend((topic, accepted.value, accepted.key) for topic in accepted.also)
    get, tables = accepted.event.get, accepted.tables
    http, meta = get("http"), get("meta")
    if type(http) is not dict:
        http = _NOTHING
    client, api, outcome, error = get("client_id"), get("api"), get("outcome"), get("error")
    version, template = get("api_version"), get("path_template")
    status, path = http.get("status_code"), http.get("path")
    weight, received, sent, latency = get("weight"), get("bytes_received"), get("bytes_sent"), get("total_time_ms")
    request_id = meta.get("request_id") if type(meta) is dict else None
    sums.add(
        ((type(client) is str and client) or ANONYMOUS) if "clients" in tables else None,
        (type(api) is str and api) or ANONYMOUS,
        accepted.time_ms,
        status if type(status) is int else None,
        outcome if type(outcome) is str else None,
        weight=weight if type(weight) is float or type(weight) is int else 1.0,
        bytes_in=received if type(received) is int else 0,
        bytes_out=sent if type(sent) is int else 0,
        latency_ms=latency if type(latency) is int else None,
        path=path if type(path) is str else None,
        template=template if type(template) is str else None,
        backend=_backend_of(get("backend")),
        version=version if type(version) is str else None,
        error=error if type(error) is dict else None,
        request_id=request_id if type(request_id) is str else "",
        count_api="apis" in tables,
        count_urls="urls" in tables,
    )


def _backend_of(backend: Any) -> str | None:
    """The instance that was asked, or else the group of instances."""
    if type(backend) is not dict:
        return None
    name = backend.get("instance") or backend.get("cluster")
    return name if type(name) is str else None
