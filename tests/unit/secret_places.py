"""Lines with secrets in every place where one can stand: planted into the corpus of each format of the registry.

A secret holds a *mark*, `Q7x0001Zk9w`, that occurs nowhere else: what is published must show none, however encoded.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import orjson

from fuzz.targets import CORPUS, folder_of, read_settings
from logrouter.core.envelopes import ENVELOPES
from logrouter.core.formats import FORMATS
from logrouter.core.redact.names import percent_decoded
from logrouter.model import Envelope, Parsed

if TYPE_CHECKING:
    from collections.abc import Iterator

MARK = re.compile(r"Q7x[0-9]{4}Zk9w", re.IGNORECASE)
ADDRESS = re.compile(r"203\.0\.113\.[1-9][0-9]*")

TOKENS = """
    eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ@In0.c2ln@ lrt_@@@ ghp_@@@ github_pat_@_@ glpat-@@ AKIA00000@ ASIA00000@ xoxb-@-@
    xapp-1-@-@ sk_live_@@ rk_live_@@ whsec_@@ AIza@@@ ya29.@@ SG.@@.@@ npm_@@@ pypi-@@ hf_@@ sk-proj-@@ hvs.@@ glsa_@@
    123456789:AA@@@ NRAK-@@ PMAK-@@ ATATT3x@@ ntn_@@ tskey-auth-@
""".split()  # noqa: SIM905 - a list of so many reads worse
NAMES = """
    access_token refresh_token id_token token x-auth-token X-Vault-Token secret client_secret password passwd pass pwd
    passphrase otp pin cvv sig signature X-Amz-Signature X-Amz-Security-Token X-Amz-Credential auth api_key apikey
    x-api-key Ocp-Apim-Subscription-Key x-functions-key x-rapidapi-key private_key access_key sharedAccessKey
    Authorization Proxy-Authorization session sessionid JSESSIONID PHPSESSID connect.sid sid jwt client_assertion
    csrf_token XSRF-TOKEN SAMLResponse code_verifier credential user[password] db.password userPass smsOtp
    connection_string
""".split()  # noqa: SIM905 - likewise

URIS = [
    *(f"/v1/items?a=1&{name}=@" for name in NAMES),
    *(f"/v1/items;{name}=@/x" for name in NAMES[::5]),
    *(f"/v1/{token}/x" for token in TOKENS),
    *(f"/v1/x?next={token}" for token in TOKENS[::4]),
    *("/a%3Bsession%3D@", "/a%253Bsession%253D@", "/cb%23access_token=@", "/cb#access_token=@", "/a%3Faccess_token=@"),
    *("/a?code=@", "/a?key=@&x", "/a?ticket=@", "/a?%61ccess_token=@", "/a?p%2561ss=@", "/a?user%5Bpassword%5D=@"),
    *("https://u:@@h.example.org/a", "https://u:p@@@h.example.org/a", "https://u%3A@%40h.example.org/a"),
    *("/proxy/https://u:@@h.example.org/", "/proxy/https%3A%2F%2Fu%3A@%40h.example.org%2Fa"),
    *(
        "/token/@",
        "/v1/tokens/@/x",
        "/reset-password/@",
        "/password/reset/@",
        "/verify/@",
        "/magic-link/@",
        "/invite/@",
    ),
    *("/unsubscribe/@", "/bot123456:@/getMe", "/bot123456%3A@/getMe", "/activate/@", "/api-keys/@", "/reset%2F@"),
    *("/a?next=%2Fb%3Faccess_token%3D@", "/a?q=%7B%22password%22%3A%22@%22%7D", "/a?h=Bearer+@", "/a?h=Basic%20@"),
]
TEXTS = [
    *(f"{name}=@" for name in NAMES),
    *(f"{name}: @" for name in NAMES[::3]),
    *(f'{name}="@ two"' for name in NAMES[::2]),
    *TOKENS,
    *("Bearer @", "bearer @", "Basic @==", "Negotiate @", "Authorization: token @", "Authorization: Basic @=="),
    *(
        'Authorization: Digest username=\\"u\\", realm=\\"r\\", response=\\"@\\"',
        "Cookie: a=@; b=@",
        "Set-Cookie: s=@; Path=/",
    ),
    *("AWS4-HMAC-SHA256 Credential=@/x, Signature=@", "https://u:@@h.example.org/", "%61ccess_token%3D@", "key='@'"),
    *("<password>@</password>", "<a:Token type='x'>@</a:Token>", "{'secret': '@ two'}", "password => @"),
    *("/reset-password/@", "https://hooks.slack.com/services/T0/B0/@", "SharedAccessSignature sr=x&sig=@&se=1"),
]
MEMBERS = [
    *({name: "@"} for name in NAMES),
    *({name: {"deep": ["@", {"x": "@"}]}} for name in NAMES[::4]),
    *({"note": token} for token in TOKENS[::3]),
    {"headers": [["Authorization", "Bearer @"], ["Host", "h"]]},
    {"headers": [{"name": "X-Api-Key", "value": "@"}]},
    {"headers": [{"key": "cookie", "value": ["@"]}]},
    {"rawHeaders": ["Cookie", "@", "Host", "h"]},
    {"headers": {"authorization": ["Digest x", "@"]}},
    {"headers": "Authorization: Bearer @\r\nHost: h"},
    {"log": '{"password":"@","n":1}'},
    {"log": '{"m":"{\\"headers\\":[[\\"cookie\\",\\"@\\"]]}"}'},
    {"payload": '{"card":"@"}'},
    {"request_body": "a=@"},
    {"queryStringParameters": {"token": "@"}},
    {"query": "sig=@&a=1"},
    {"%74oken": "@"},
    {"oauth": {"code": "4/0A@"}},
    {"xml": "<r><Password>@</Password></r>"},
    {"list": ["Bearer @", "x"]},
]


class Planted(NamedTuple):
    """A record with secrets; *what* says how it was made."""

    what: str
    record: bytes


class Marks:
    """Makes marks that differ, and says of a text which of them are in it."""

    def __init__(self) -> None:
        self._count = 0

    def fill(self, text: str) -> str:
        """The text with a mark in place of each sign `@`, but for the last of `@@h`, which ends user information."""
        self._count += 1
        mark = f"Q7x{self._count % 10_000:04}Zk9w"
        return text.replace("@@h.", "@\x00h.").replace("@", mark).replace("\x00", "@")


def leaks(shown: bytes | str) -> set[str]:
    """The marks in what is shown, as it is, and without any percent-encoding, escapes and line ends."""
    text = shown.decode("utf-8", "replace") if isinstance(shown, bytes) else shown
    return {
        found.upper() for each in (text, percent_decoded(text), text.replace("\\", "")) for found in MARK.findall(each)
    }


class Case(NamedTuple):
    """A line of the corpus: its envelope, its record as text, its event, and its settings as options of topics.yaml."""

    envelope: str
    text: str
    parsed: Parsed
    options: dict


def cases_of(name: str, most: int) -> list[Case]:
    """Some lines of a format's corpus that it reads without settings, or with those of one case if it needs some.

    Those with most places for secrets come first, and short ones before long ones.
    """
    folder = CORPUS / folder_of(name)
    envelope = (folder / "envelope").read_text().strip() if (folder / "envelope").exists() else "plain"
    found = []
    for file in sorted(folder.glob("*.in")):
        given = file.with_suffix(".settings")
        line = ENVELOPES[envelope].decode(file.read_bytes())
        if not isinstance(line, Envelope) or given.exists() != bool(FORMATS[name].needs):
            continue
        options = orjson.loads(given.read_bytes()) if given.exists() else {}
        parsed = FORMATS[name].compile(read_settings(options))(line)
        if isinstance(parsed, Parsed):
            found.append(Case(envelope, file.read_bytes().decode("utf-8", "replace"), parsed, _as_options(options)))
    found.sort(key=lambda case: (-_count_places(case.parsed), len(case.text)))
    return found[: 1 if FORMATS[name].needs else most]


def _as_options(settings: dict) -> dict:
    """Settings of the corpus as topics.yaml writes them."""
    rules = {}
    for part in settings.keys() & {"fields", "extras"}:
        given = settings[part].items()
        rules[part] = {field: {k.removesuffix("s"): value for k, value in rule.items()} for field, rule in given}
    return {**settings, **rules}


def _count_places(parsed: Parsed) -> int:
    http = parsed.event.get("http", {})
    headers = http.get("request_headers")
    return (len(str(http.get("path", ""))) > 1) + (len(headers) if isinstance(headers, dict) else 0)


def plant(name: str, marks: Marks, *, most: int = 2) -> Iterator[Planted]:
    """Lines of a format, each with as many secrets as it has places."""
    for number, (_, text, parsed, _) in enumerate(cases_of(name, most)):
        stride = (1 if number == 0 else 5) * (1 if len(text) < 700 else 2)
        for turn in range(0, max(map(len, (URIS, TEXTS, MEMBERS))), stride):
            step = turn + number
            uri, note = marks.fill(URIS[step % len(URIS)]), marks.fill(TEXTS[step % len(TEXTS)])
            places = MEMBERS[(turn // stride + number) % len(MEMBERS)]
            member = orjson.loads(marks.fill(orjson.dumps(places).decode()))
            line = _plant(text.rstrip("\n"), parsed, uri, note, member)
            yield Planted(f"{name} {URIS[step % len(URIS)]} | {TEXTS[step % len(TEXTS)]} | {member}", line)


def _plant(text: str, parsed: Parsed, uri: str, note: str, member: dict) -> bytes:
    """One line with the secrets in its URI and its headers, and behind it, or among its members where it is JSON."""
    http, meta = parsed.event.get("http", {}), parsed.event.get("meta", {})
    for old in (meta.get("uri"), http.get("path")):
        if isinstance(old, str) and len(old) > 1 and old in text:
            text = _replace_uri(text, old, _written(uri, text), parsed)
            break
    headers = http.get("request_headers") or {}
    for name, old in headers.items() if isinstance(headers, dict) else ():
        if isinstance(old, str) and len(old) > 3:
            text = text.replace(old, _written(note if name != "referer" else f"https://h.example.org{uri}", text))
    address = http.get("client_ip")
    if isinstance(address, str) and len(address) > 6:
        text = text.replace(address, "203.0.113.77")
    try:
        document = orjson.loads(text)
    except ValueError:
        return f"{text} {note}".encode() if "=" in text else text.encode()
    if isinstance(document, dict):
        for place in (document, *(each for each in document.values() if isinstance(each, dict))):
            place.update(member)
    return orjson.dumps(document)


def _replace_uri(text: str, old: str, new: str, parsed: Parsed) -> str:
    """The text with another URI, unless it stands there only as the name that the gateway gives to a route."""
    route = parsed.event.get("route")
    if isinstance(route, str) and old in route:
        return text
    return text.replace(old, new, 1)


def _written(value: str, text: str) -> str:
    """The value as a line of that kind has it between quotes."""
    return (
        value.replace("\\", "").replace('"', "%22") if not text.startswith("{") else orjson.dumps(value).decode()[1:-1]
    )


def spoilt(record: bytes) -> Iterator[tuple[str, bytes]]:
    """The record in ways that no parser takes."""
    for part in (3, 5, 7):
        yield "cut", record[: len(record) * part // 8]
    yield "cut at its end", record[:-1]
    yield "bytes that are no text", record + b" \xff\xfe"
    yield "a quote too many", record.replace(b',"', b',""', 1)
    yield "too large", record + b" " * 2000
