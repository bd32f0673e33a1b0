"""Secrets in random wrappings: what redaction makes of them must not hold them any more.

Bytes choose a form in which a secret is written, and layers around it: JSON in objects, lists and strings, pairs of
names and values, percent-encoding, quotes, text before it, and a cut.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson

from logrouter.core.redact import path_of, redact_uri
from logrouter.core.redact.disclosure import STRICT, Disclosure
from logrouter.core.redact.names import percent_decoded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECRET = "Q7x0042Zk9wAb"  # noqa: S105 - none
NAMES = (
    *("password", "access_token", "X-Api-Key", "Authorization", "cookie", "client_secret", "Ocp-Apim-Subscription-Key"),
    *("otp", "session_id", "x-functions-key", "private_key", "sig", "userPass"),
)
TEXTS: tuple[Callable[[str], str], ...] = (
    lambda name: f"{name}={SECRET}",
    lambda name: f"{name}: {SECRET}",
    lambda name: f'{name}="{SECRET} b"',
    lambda _: f"Bearer {SECRET}",
    lambda _: f"ghp_{SECRET}{SECRET}",
    lambda _: f"eyJhbGciOiJIUzI1NiJ9.eyJ{SECRET}.{SECRET}",
    lambda name: f"<{name}>{SECRET}</{name}>",
    lambda _: f'Authorization: Digest username="u", response="{SECRET}"',
)
URIS: tuple[Callable[[str], str], ...] = (
    lambda name: f"/p?a=1&{name}={SECRET}",
    lambda name: f"/p;{name}={SECRET}",
    lambda _: f"/reset-password/{SECRET}",
    lambda _: f"https://u:{SECRET}@h.example.org/p",
    lambda _: f"/x/lrt_{SECRET}{SECRET}/y",
    lambda name: f"/p#{name}={SECRET}",
)
OBJECTS: tuple[Callable[[str], Any], ...] = (
    lambda name: {name: SECRET},
    lambda name: {name: {"deep": [SECRET, {"x": SECRET}]}},
    lambda name: {"name": name, "value": SECRET},
    lambda name: {"value": [SECRET], "key": name},
    lambda name: [[name, SECRET], ["Host", "h"]],
    lambda name: ["Host", "h", name, SECRET],
)
LAYERS: tuple[Callable[[Any], Any], ...] = (
    lambda inner: {"a": inner, "n": 1},
    lambda inner: [1, inner],
    lambda inner: {"log": orjson.dumps(inner).decode()},
    lambda inner: {"m": {"headers": inner}},
    lambda inner: {"text": f"2026-05-01 host app[1]: {orjson.dumps(inner).decode()}"},
)


def wrapped(data: bytes) -> tuple[str, str]:
    """A URI, and a line, that hold the secret as *data* says."""
    choose = _choices(data)
    name = NAMES[choose(len(NAMES))]
    uri = URIS[choose(len(URIS))](name)
    for _ in range(choose(4)):
        # What begins a URI is never encoded as a whole: no client sends such a path.
        uri = f"/r?u={quote(uri, safe='')}" if choose(2) else f"/r/{quote(uri, safe='')}"
    forms = (OBJECTS, TEXTS, ())[choose(3)]
    line: Any = forms[choose(len(forms))](name) if forms else uri
    for _ in range(choose(7)):
        line = LAYERS[choose(len(LAYERS))](line)
    text = line if isinstance(line, str) else orjson.dumps(line, option=choose(2) and orjson.OPT_INDENT_2).decode()
    if choose(2):
        text = f"<134>1 2026-05-01T10:00:00Z host app: {text}"
    # Of a name that stands behind its value, nothing must be cut off: it tells that the value is secret.
    return uri, text[: len(text) - choose(8)] if choose(2) and "value" not in text else text


def check_wrapped(data: bytes) -> None:
    """No form that is shown or published holds the secret."""
    uri, line = wrapped(data)
    keeps = Disclosure(keeps_query=True, address=None)
    for shown in (redact_uri(uri), redact_uri(uri, "keep"), path_of(uri), STRICT.text(line), keeps.text(line)):
        for each in (shown, percent_decoded(shown)):
            if SECRET in each:
                raise AssertionError(f"{each[:500]!r} out of {uri!r} or {line[:500]!r}")


def check_bytes(data: bytes) -> None:
    """Any bytes are shown as bytes, within a bound, and what was masked once stays as it is when it is masked again."""
    shown = STRICT.raw(data)
    if len(shown) > 16 * len(data) + 4096:
        raise AssertionError(f"{len(shown)} bytes out of {len(data)}")
    text = data.decode("utf-8", "replace")
    redact_uri(text, "keep")
    path_of(text)


def _choices(data: bytes) -> Callable[[int], int]:
    """A function that returns a number below its argument, by the next byte of *data*; 0 where there is none left."""
    numbers: Iterator[int] = iter(data)
    return lambda count: next(numbers, 0) % count
