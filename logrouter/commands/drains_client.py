"""The HTTP client of the drains API, for `logrouter drains`."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import orjson
from yarl import URL

from logrouter.commands.exit_codes import EXIT_FAILED, EXIT_USAGE
from logrouter.commands.view_client import TIMEOUT, encode_segment, read_body, why_unreachable
from logrouter.commands.view_options import ViewError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logrouter.commands.view_options import ViewAddress

_DONE: Final = (200, 201)
_HIS_TO_MEND: Final = frozenset({400, 404, 409, 413, 415, 422})
"""Answers that another try would get as well."""


async def ask_drains(
    view: ViewAddress, method: str, owner: Sequence[str], *below: str, body: dict[str, Any] | None = None
) -> Any:
    """The JSON of a 200 or 201 to *method* on the drains of an owner, or on what is *below* them.

    *owner* is the beginning of the path, its parts as names. Raises `ViewError` for everything else, after 30 seconds
    at most.
    """
    path = "/".join(map(encode_segment, (*owner, "log-drains", *below)))
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    if view.token:
        headers["Authorization"] = f"Bearer {view.token}"
    data = None if body is None else orjson.dumps(body)
    target = URL(f"{view.url}/{path}", encoded=True)
    try:
        # Never redirected: the token is for this address alone.
        async with (
            aiohttp.ClientSession(headers=headers, timeout=TIMEOUT) as http,
            http.request(method, target, data=data, allow_redirects=False) as response,
        ):
            return _parse(response.status, await read_body(response), view.url)
    except (aiohttp.ClientError, TimeoutError, OSError, ssl.SSLError) as exc:
        raise ViewError(f"{view.url} does not answer: {why_unreachable(exc)}") from exc


def _parse(status: int, body: bytes, url: str) -> Any:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise ViewError(f"{url} has no drains API: it answered {status}, and no JSON", status=status) from None
    if status in _DONE:
        return answer
    said = answer if isinstance(answer, dict) else {}
    title, detail = (str(said.get(name) or "") for name in ("title", "detail"))
    text = ": ".join(part for part in (title, detail) if part)[:500] or f"{url} answered {status}"
    raise ViewError(text, code=EXIT_USAGE if status in _HIS_TO_MEND else EXIT_FAILED, status=status)
