"""Values of gateways that log JSON: objects, headers, texts in lists, and all without what is secret in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from logrouter.core.redact import REDACTED, names_secret
from logrouter.core.text.unflatten import ABSENT
from logrouter.model import Reason, Rejected, Stage

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_MAX_DEPTH: Final = 4


def read_parts(
    line: Mapping[str, Any], names: Collection[str], leaves: Collection[tuple[str, str]]
) -> dict[str, dict[str, Any]] | Rejected:
    """The objects *names* of a line, empty where absent, if none of the *leaves* in them is a list or an object."""
    parts: dict[str, dict[str, Any]] = {}
    for name in names:
        part = line.get(name)
        # An empty table of Lua and an empty array of PHP may be written as a list.
        if part and type(part) is not dict:
            return Rejected(Stage.PARSE, Reason.MALFORMED, f"{name} is no object", f"/{name}")
        parts[name] = part or {}
    for name, leaf in leaves:
        if type(parts[name].get(leaf)) in (dict, list):
            detail = f"{name}.{leaf} is an object or a list"
            return Rejected(Stage.PARSE, Reason.MALFORMED, detail, f"/{name}/{leaf}")
    return parts


def read_headers(headers: object) -> dict[str, str]:
    """The headers in an object by lower-case name; without absent, redacted and secret ones.

    A value is a text, or a list of texts where a header was sent several times. Anything but an object has none.
    """
    found: dict[str, str] = {}
    if type(headers) is not dict:
        return found
    for name, value in headers.items():
        text = value if type(value) is str else join_texts(value)
        if text in ABSENT or text == REDACTED:
            continue
        header = name.lower()
        if header and not names_secret(header):
            found.setdefault(header, text)
    return found


def secret_headers(headers: object) -> dict[str, Any] | None:
    """What `read_headers` leaves out because of its name, for `Parsed.secrets`; None if that is nothing."""
    if type(headers) is not dict:
        return None
    found = {
        f"header:{name.lower()}": text
        for name, value in headers.items()
        if names_secret(name.lower()) and (text := join_texts(value)) not in ABSENT and text != REDACTED
    }
    return found or None


def secret_fields(line: Mapping[str, Any], public: Collection[str] = ()) -> dict[str, Any] | None:
    """Texts and numbers of a line under names of secrets, for `Parsed.secrets`; None if there are none.

    *public* are names that have been looked at already, and are none.
    """
    found: dict[str, Any] = {}
    for name, value in line.items():
        if name in public or not names_secret(name):
            continue
        if type(value) in (str, int) and value not in ABSENT and value != REDACTED:
            found[name] = value
    return found or None


def nested_secrets(line: Mapping[str, Any], prefix: str = "", depth: int = 0) -> dict[str, Any] | None:
    """`secret_fields` of a line and of the objects in it, by dotted names."""
    found = {f"{prefix}{name}": value for name, value in (secret_fields(line) or {}).items()}
    for name, value in line.items():
        if type(value) is dict and depth < _MAX_DEPTH:
            found |= nested_secrets(value, f"{prefix}{name}.", depth + 1) or {}
    return found or None


def join_texts(value: object) -> str | None:
    """The text that a header has: a text, or of a list of texts all, with commas between; None for anything else."""
    if type(value) is str:
        return value
    if type(value) is not list or not value or any(type(each) is not str for each in value):
        return None
    return ", ".join(value)


def host_of(url: object) -> str | None:
    """The host of a URL without port; None if there is none."""
    if type(url) is not str or "://" not in url:
        return None
    try:
        return urlsplit(url.partition("?")[0]).hostname
    except ValueError:
        return None


def without_secrets(name: str, value: Any, depth: int = 0) -> Any:
    """The value of the field *name* as sources may read it: a text, a figure, or an object of such; else None.

    What is absent, redacted or called like a secret is left out, at any depth.
    """
    if value in ABSENT or value == REDACTED or names_secret(name):
        return None
    if type(value) in (str, int, float):
        return value
    if type(value) is not dict or depth == _MAX_DEPTH:
        return None
    kept = {key: below for key, each in value.items() if (below := without_secrets(key, each, depth + 1)) is not None}
    return kept or None
