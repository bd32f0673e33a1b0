"""What somebody asks for who makes a drain: the fields of the request's body, and what is wrong with them.

logshuttle's clients send `{"url": ...}`, some with `addon`; all other fields are ours. Each is declared once: the
declarations check requests and fill the OpenAPI document.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from logrouter.core.drains.registration import DrainForm
from logrouter.core.drains.target_url import (
    DRAIN_SCHEMES,
    MAX_URL,
    SYSLOG_TCP,
    SYSLOG_TLS,
    DrainUrlError,
    read_drain_url,
)
from logrouter.core.framing.frames import FRAMES
from logrouter.core.signing_keys import KEY_PREFIX, read_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from logrouter.core.drains.target_url import DrainTarget

MAX_CA: Final = 32 * 1024
MAX_FAULTS: Final = 20
MESSAGE_BYTES: Final = (480, 1 << 18)
"""Bounds of `max_message_bytes`: what every receiver must take (RFC 5424, section 6.1), and a quarter of a mebibyte."""
FRAMINGS: Final = tuple(FRAMES)

_AUTHORITY_END: Final = re.compile(r"[/?]")
_CERTIFICATES: Final = re.compile(
    r"(?:\s*+-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]++-----END CERTIFICATE-----){1,20}\s*+"
)
_MAX_ADDON: Final = 200
_MAX_DEPTH: Final = 12
_MAX_NAME_SHOWN: Final = 60


class WantedDrain(NamedTuple):
    """A drain as it is asked for, with `Registration`'s words."""

    url: str
    addon_id: str = ""
    addon_name: str = ""
    form: DrainForm = DrainForm.SYSLOG
    framing: str = FRAMINGS[0]
    max_message_bytes: int | None = None
    ca: str = ""
    match: dict[str, Any] | None = None
    request: dict[str, Any] | None = None
    sample: float = 1.0
    signing_keys: tuple[str, ...] = ()
    challenge: bool = False

    def __repr__(self) -> str:
        """Nothing that could be a secret: texts of errors may quote it."""
        return f"WantedDrain(form={self.form!r})"


class WantedFault(NamedTuple):
    """What is wrong with one field. *pointer* is where it stands (RFC 6901); *detail* never repeats its value."""

    pointer: str
    detail: str


class DrainField(NamedTuple):
    """A field of the body. *read* gives its value, or a `WantedFault` whose pointer begins within the value."""

    read: Callable[[Any], Any]
    schema: Mapping[str, Any]
    doc: str


def read_wanted(document: Any) -> WantedDrain | tuple[WantedFault, ...]:
    """The drain that a decoded JSON document asks for, or all that is wrong with it: 20 faults at most, never none."""
    if not isinstance(document, dict):
        return (WantedFault("", "must be an object"),)
    faults = [WantedFault(_pointer(name), "there is no such field") for name in document if name not in FIELDS]
    if "url" not in document:
        faults.append(WantedFault("/url", "must be there"))
    found: dict[str, Any] = {}
    for name, value in document.items():
        if name not in FIELDS or (value is None and name != "url"):
            continue
        read = FIELDS[name].read(value)
        if isinstance(read, WantedFault):
            faults.append(WantedFault(f"/{name}{read.pointer}", read.detail))
        else:
            found[name] = read
    if faults:
        return tuple(faults[:MAX_FAULTS])
    target = read_drain_url(found["url"])
    misfits = _misfits(target, found)
    if misfits:
        return misfits
    addon_id, addon_name = found.pop("addon", ("", ""))
    form = DrainForm.LOGPLEX if target.is_http else DrainForm.SYSLOG
    return WantedDrain(**{"form": form, "addon_id": addon_id, "addon_name": addon_name, **found})


def _misfits(target: DrainTarget, found: Mapping[str, Any]) -> tuple[WantedFault, ...]:
    """Fields that the scheme of the URL leaves no room for."""
    form = found.get("form")
    rules = (
        ("form", form is not None and (form is DrainForm.SYSLOG) == target.is_http),
        ("framing", "framing" in found and target.scheme not in (SYSLOG_TCP, SYSLOG_TLS)),
        ("ca", bool(found.get("ca")) and target.scheme not in (SYSLOG_TLS, "https")),
        ("signing_keys", bool(found.get("signing_keys")) and not target.is_http),
        ("challenge", bool(found.get("challenge")) and not target.is_http),
    )
    detail = f"does not go with a URL of {target.scheme}"
    return tuple(WantedFault(f"/{name}", detail) for name, misfit in rules if misfit)


def _must(text: str, pointer: str = "") -> WantedFault:
    return WantedFault(pointer, f"must be {text}")


def _read_url(value: Any) -> str | WantedFault:
    if not isinstance(value, str):
        return _must("a text")
    scheme, _, rest = value.partition("://")
    if scheme not in DRAIN_SCHEMES:
        return _must(f"a URL of {', '.join(DRAIN_SCHEMES)}, such as syslog+tls://logs.example.org:6514")
    try:
        read_drain_url(value)
    except DrainUrlError as error:
        return WantedFault("", str(error))
    if _AUTHORITY_END.split(rest, maxsplit=1)[0].endswith(":"):
        return WantedFault("", "has a colon behind its host, and no port")
    return value


def _read_addon(value: Any) -> tuple[str, str] | WantedFault:
    """Id and name. A text is both: clients send either."""
    given = {"id": value, "name": value} if isinstance(value, str) else value
    if not isinstance(given, dict) or not given.keys() <= {"id", "name"}:
        return _must("a text, or an object with id and name")
    found = [given.get(name) or "" for name in ("id", "name")]
    if not all(isinstance(one, str) and len(one) <= _MAX_ADDON and one.isprintable() for one in found):
        return WantedFault("", f"must hold printable texts of {_MAX_ADDON} characters at most")
    return found[0], found[1]


def _read_form(value: Any) -> DrainForm | WantedFault:
    known = [form.value for form in DrainForm]
    return DrainForm(value) if isinstance(value, str) and value in known else _must(f"one of {', '.join(known)}")


def _read_framing(value: Any) -> str | WantedFault:
    return value if isinstance(value, str) and value in FRAMINGS else _must(f"one of {', '.join(FRAMINGS)}")


def _read_bytes(value: Any) -> int | WantedFault:
    low, high = MESSAGE_BYTES
    fits = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
    return int(value) if fits else _must(f"a whole number from {low} to {high}")


def _read_ca(value: Any) -> str | WantedFault:
    fits = isinstance(value, str) and len(value) <= MAX_CA and (not value or _CERTIFICATES.fullmatch(value))
    return str(value) if fits else _must(f"certificates in PEM, at most 20 and {MAX_CA} characters, and nothing else")


def _read_conditions(value: Any) -> dict[str, Any] | WantedFault:
    if not isinstance(value, dict):
        return _must("an object with conditions, as topics.yaml has them")
    return value if _is_shallow(value, _MAX_DEPTH) else WantedFault("", f"is nested deeper than {_MAX_DEPTH} levels")


def _is_shallow(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return True
    return levels > 0 and all(
        _is_shallow(one, levels - 1) for one in (value.values() if isinstance(value, dict) else value)
    )


def _read_sample(value: Any) -> float | WantedFault:
    fits = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1
    return float(value) if fits else _must("a number above 0, and at most 1")


def _read_keys(value: Any) -> tuple[str, ...] | WantedFault:
    if not isinstance(value, list) or len(value) > 2:
        return _must("a list of at most two keys")
    for index, key in enumerate(value):
        if not isinstance(key, str) or not _is_key(key):
            return _must(f"{KEY_PREFIX} and 24 to 64 bytes in base64", f"/{index}")
    return tuple(value)


def _is_key(text: str) -> bool:
    """Whether it is a key of Standard Webhooks."""
    try:
        read_key(text)
    except ValueError:
        return False
    return True


def _read_flag(value: Any) -> bool | WantedFault:
    return value if isinstance(value, bool) else _must("true or false")


def _pointer(name: str) -> str:
    escaped = name.replace("~", "~0").replace("/", "~1")
    return "/" + "".join(char if char.isprintable() else "?" for char in escaped[:_MAX_NAME_SHOWN])


_TEXT: Final = {"type": "string"}
FIELDS: Final[Mapping[str, DrainField]] = {
    "url": DrainField(
        _read_url,
        {"type": "string", "maxLength": MAX_URL, "examples": ["syslog+tls://logs.example.org:6514"]},
        "Where the lines go. User, password and query are kept, used, and never shown again.",
    ),
    "addon": DrainField(
        _read_addon,
        {
            "oneOf": [
                _TEXT,
                {"type": "object", "properties": {"id": _TEXT, "name": _TEXT}, "additionalProperties": False},
            ]
        },
        "What the drain belongs to; shown again as it is.",
    ),
    "form": DrainField(
        _read_form,
        {"enum": [form.value for form in DrainForm]},
        "Over HTTP `logplex` (the default) or `ndjson`, else `syslog`.",
    ),
    "framing": DrainField(_read_framing, {"enum": list(FRAMINGS)}, "How messages are told apart on a stream."),
    "max_message_bytes": DrainField(
        _read_bytes,
        {"type": "integer", "minimum": MESSAGE_BYTES[0], "maximum": MESSAGE_BYTES[1]},
        "Longer messages are cut, between characters.",
    ),
    "ca": DrainField(
        _read_ca,
        {"type": "string", "maxLength": MAX_CA},
        "PEM: who signs the receiver's certificate, if it is private.",
    ),
    "match": DrainField(_read_conditions, {"type": "object"}, "Conditions on lines, as `match` of a route has them."),
    "request": DrainField(_read_conditions, {"type": "object"}, "Conditions on requests, as `request` of a route."),
    "sample": DrainField(
        _read_sample, {"type": "number", "exclusiveMinimum": 0, "maximum": 1}, "The share of lines that is sent."
    ),
    "signing_keys": DrainField(
        _read_keys, {"type": "array", "items": _TEXT, "maxItems": 2}, "Keys that sign requests (Standard Webhooks)."
    ),
    "challenge": DrainField(
        _read_flag, {"type": "boolean"}, "Whether the receiver must answer a challenge before it gets a line."
    ),
}
"""All fields, by their names."""
