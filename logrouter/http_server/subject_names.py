"""The client id or API in a path: one reader, because access control and handlers must take the same name from it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from logrouter.core.rollup.cells import MAX_NAME
from logrouter.http_server import problems
from logrouter.query.answers import SUBJECT_FIELD
from logrouter.query.parameters import ParameterFault

if TYPE_CHECKING:
    from aiohttp import web

    from logrouter.core.rollup.subjects import SubjectKind


def subject_name(kind: SubjectKind, request: web.Request) -> str:
    """The client id or API in the path, exactly as it was counted.

    Read from the path as it was sent: the router's own decoding leaves what is not UTF-8 as it is, and so would take
    one name for another.
    """
    field = SUBJECT_FIELD[kind]
    try:
        name = unquote_to_bytes(request.rel_url.raw_path.split("/")[3]).decode()
    except UnicodeError:
        raise problems.bad_parameters([ParameterFault(field, "must be UTF-8, percent-encoded")]) from None
    if len(name) > MAX_NAME:
        raise problems.bad_parameters(
            [ParameterFault(field, f"is longer than the {MAX_NAME} characters that names can have")]
        )
    return name
