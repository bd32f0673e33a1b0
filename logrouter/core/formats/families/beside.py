r"""Objects beside a message: a transport has taken an object in, and its message looks like an object as well.

    {"message": "{\"level\": \"info\"}", "response_code": 200, …}

An envelope takes the message for the line's text. Where that is no request, the object itself may be one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from logrouter.model import NO_REQUEST, Ignored, Parsed, Rejected

if TYPE_CHECKING:
    from logrouter.model import Envelope, Parser

_MESSAGES: Final = frozenset({"log", "message", "msg"})


def read_beside(parse: Parser, envelope: Envelope, found: Parsed | Ignored | Rejected) -> Parsed | Ignored | Rejected:
    """What *parse* makes of the object that the text of *envelope* is the message of, if that is a request.

    Else *found*, which is what it has made of the text.
    """
    if envelope.document is None or _MESSAGES.isdisjoint(envelope.document):
        return found
    other = parse(replace(envelope, text=""))
    return found if other is NO_REQUEST else other
