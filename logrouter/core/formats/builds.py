r"""Records of builds, and what the CI server logs about requests to itself.

    {"build": 42, "job": "shop", "message": "Step 1/9 : FROM base", "metadata": "shop-prod"}          output of a build
    {…, "message": "192.0.2.7 - ann [01/May/2026:10:00:00 +0000] \"GET /job/shop/ HTTP/1.1\" 200 512"}       a request

What a build prints is no request. A message that is a line of the common or combined log format from its first
character, as Jenkins writes them, is one; so is such a line without a record around it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from logrouter.core.formats import apache
from logrouter.core.formats.families.app_space import app_space
from logrouter.core.formats.format import Format, FormatSettings, fixed_format
from logrouter.core.text.json_objects import decode_object
from logrouter.model import NO_REQUEST, Envelope, Ignored, Parsed, Rejected, Stage

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAMES: Final = ("job", "build")
_ADDRESS = re.compile(r"[0-9A-Fa-f.:]{3,45} ", re.ASCII)

_access: Final = apache.FORMAT.compile(FormatSettings())
_begins_access: Final = apache.FORMAT.signature


def parse(envelope: Envelope) -> Parsed | Ignored | Rejected:
    """The request in a record's message, or in a bare line. Never raises."""
    record: Mapping[str, Any] = envelope.document or {}
    text = envelope.text
    if text[:1] == "{":
        # The envelope gives the whole record where it is plain, and where the record has no message.
        found = decode_object(text, Stage.PARSE)
        if isinstance(found, Rejected):
            return NO_REQUEST
        record = found
        message = record.get("message")
        text = message.rstrip("\r\n") if type(message) is str else ""
    if not _begins(text):
        return NO_REQUEST
    request = _access(Envelope(envelope.shape, text))
    if not isinstance(request, Parsed):
        return request
    return replace(request, fields={**request.fields, **_of_build(record)})


def _begins(text: str) -> bool:
    """Whether a text begins as a line of an access log does; a build may print such a line among other things."""
    if _ADDRESS.match(text) is None:
        return False
    return _begins_access is not None and _begins_access(Envelope("plain", text))


def _of_build(record: Mapping[str, Any]) -> dict[str, str]:
    """The job and the number of a build, and the app and space that it is for."""
    fields = {name: str(value) for name in _NAMES if type(value := record.get(name)) in (str, int) and value != ""}
    metadata = record.get("metadata")
    place = app_space(metadata) if type(metadata) is str else None
    if place is not None:
        fields |= place._asdict()
    return fields


def _signature(envelope: Envelope) -> bool:
    """Whether the text is a line of an access log, or may be a record that holds one."""
    return envelope.text[:1] == "{" or _begins(envelope.text)


FORMAT: Final[Format] = fixed_format(parse, _signature, users=("remote_user",))
