r"""The HTTP access logs of WSO2 gateways, http_access and http_gw: common or combined log format, or key=value.

    192.0.2.7 198.51.100.1 - - [01/May/2026:10:00:00 +0000] "GET /weather/1.0 HTTP/1.1" - - "-" "curl/8"    a request
    198.51.100.1  - [01/May/2026:10:00:00 +0000] "- - " 200 - "-" "-"                                        its answer
    192.0.2.7 - - [01/May/2026:10:00:00 +0000] GET /carbon/ HTTP/1.1 200 512 - curl/8.5.0 0.012              both
    time=01/May/2026:10:00:00 +0000 … requestMethod=GET requestURL=/weather/1.0 … HTTPStatusCode=200

X-Forwarded-For may come first. The pass-through transport writes a request and its answer as two lines with nothing in
common, so the first is the request, without a status, and the second is not counted. Servlets write one line with both;
Carbon's own pattern for it, `%h %l %u %t %r %s %b %{Referer}i %{User-Agent}i %T`, has no quotes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from logrouter.core.formats.families import wso2
from logrouter.core.formats.format import Format, fixed_format
from logrouter.core.names import SUSPECT
from logrouter.core.redact import path_of
from logrouter.model import NO_REQUEST, Ignored, Parsed, Reason, Rejected, Stage

if TYPE_CHECKING:
    from logrouter.model import Envelope

_MAX_HEAD: Final = 2048
# How rsyslog writes a newline, which envelopes undo. A gateway's line never has one: a client has written this itself.
_NEWLINE: Final = "#012"
_NOT_COUNTED: Final = Ignored(Reason.NOT_COUNTED)
_TWO_LINES: Final = Rejected(Stage.PARSE, Reason.MALFORMED, "two lines in one")

_TIME = re.compile(r"\[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?: [+-]\d\d:?\d\d)?)\]", re.ASCII)
# The request ends where a status and a size follow: a target holds no space, so it can't hold these.
_RESULT = re.compile(r'" (\d{3}|-) (\d{1,16}|-)(?= |\Z)', re.ASCII)
_SECONDS = re.compile(r" (\d{1,9})\.(\d{3})\Z", re.ASCII)
# What may stand there: headers in quotes, of which the last is closed, and figures.
_BEHIND = re.compile(r'(?: ".*")?(?: [0-9.]{1,20}| -){0,8}', re.DOTALL)
_IN_CHAIN = re.compile(r"(?:[0-9A-Fa-f]*[.:][0-9A-Fa-f.:]*|\[[0-9A-Fa-f.:]+\](?::\d+)?|unknown),?", re.ASCII)
_METHOD = re.compile(r"[A-Z][A-Z_-]{0,31}", re.ASCII)
# X-Forwarded-For in quotes. Its entries may hold anything but quotes; what is no address is found out with the others.
_QUOTED_CHAIN = re.compile(r'"([^"]{0,2000})" {1,4}', re.ASCII)
# More blanks than one where a writer has one: a transport that cuts columns to a width leaves them.
_BLANKS = re.compile(r" {2,}")
_WIDE = re.compile(
    r'(?<=\]) {2,8}(?=")|(?<=") {2,8}(?=(?:\d{3}|-) )|(?<= \d{3}) {2,8}(?=(?:\d{1,16}|-)(?: |\Z))', re.ASCII
)
_PROTOCOL = re.compile(r"HTTP/\d(?:\.\d)?", re.ASCII)

_KEY = re.compile(r"(?:^|(?<= ))([A-Za-z][A-Za-z0-9_-]{0,39})=", re.ASCII)
_METHOD_KEY: Final = "requestMethod="
# Keys whose values hold no blank, or are the server's own: behind any other, a client may have written what follows.
_CLOSED: Final = frozenset(
    {"time", "remoteHostname", "remoteIP", "localPort", "localIP", "requestMethod", "requestURL", "requestProtocol"}
    | {"HTTPStatusCode", "queryString", "bytesSent", "processingTime"}
)
# What stands before the time: addresses, identity and user; or a host by its name, whose identity is "-".
_HEAD = re.compile(
    r"(?:(?:[0-9A-Fa-f:.]{2,45},? ){1,32}[^\s\"]{0,255} (?:[^\s\"]{1,255} )?|[\w.-]{1,255} - [^\s\"]{1,255} )", re.ASCII
)
_UNQUOTED = re.compile(
    r" (?:([A-Z][A-Z_-]{0,31}) (\S{1,16384}+) (HTTP/\d(?:\.\d)?)|-) (\d{3}|-) (\d{1,16}|-)(?: (\S*+)(?: (.*+))?)?+",
    re.ASCII | re.DOTALL,
)
# A request that goes on as no other does: its line was cut.
_BEGUN = re.compile(
    r" (?:[A-Z][A-Z_-]{0,31} /\S*+(?: (?:H(?:T(?:T(?:P[/\d.]{0,4})?)?)?)?(?: [\d-]{0,3})?(?: )?)?)?\Z", re.ASCII
)
_TOOK = re.compile(r"(?:\A|(.*) )\[?(\d{1,9})\.(\d{3})\]?", re.ASCII | re.DOTALL)
_KEYS: Final = frozenset({"requestMethod", "requestURL", "HTTPStatusCode"})
_MAX_KEYS: Final = 64


def parse(envelope: Envelope) -> Parsed | Ignored | Rejected:
    """One line. Never raises."""
    line = envelope.text.strip().replace("\n", _NEWLINE)
    found = _line(line)
    if isinstance(found, Parsed) or "  " not in line:
        return found
    narrow = _WIDE.sub(" ", line)
    return found if narrow == line else _line(narrow)


def _line(line: str) -> Parsed | Ignored | Rejected:
    if line[:1] == '"' and (first := _QUOTED_CHAIN.match(line)) is not None:
        line = f"{first[1] or '-'} {line[first.end() :]}"
    time = _TIME.search(line, 0, _MAX_HEAD)
    if time is not None and '"' not in line[: time.start()] and line[time.end() : time.end() + 2] == ' "':
        if _METHOD_KEY in line[: time.start()]:
            # Pairs with such a line in a user agent, or such a line with pairs in X-Forwarded-For: nobody can tell.
            return _TWO_LINES
        return _common(line[: time.start()], time[1], line[time.end() + 2 :])
    if time is not None and _HEAD.fullmatch(line, 0, time.start()):
        return _unquoted(line[: time.start()], time[1], line[time.end() :])
    return _keyed(line) if _METHOD_KEY in line else NO_REQUEST


def _common(head: str, time: str, rest: str) -> Parsed | Ignored | Rejected:
    result = _RESULT.search(rest)
    if result is None:
        return Rejected(Stage.PARSE, Reason.TRUNCATED, "no status and size behind the request")
    request, behind = rest[: result.start()], rest[result.end() :]
    if _TIME.search(behind):
        # What a client sends as X-Forwarded-For stands first, and may look like a whole line of its own.
        return _TWO_LINES
    if request.split() == ["-", "-"]:
        return _NOT_COUNTED
    if _BEHIND.fullmatch(behind) is None or (behind[-2:] == ' "' and behind.count('"') % 2):
        if behind[:2] == ' "':
            return Rejected(Stage.PARSE, Reason.TRUNCATED, "a header in quotes does not end")
        return Rejected(Stage.PARSE, Reason.MALFORMED, "neither headers nor figures behind the size")
    chain, user, certain = _client(head)
    took = _SECONDS.search(behind)
    event: dict[str, Any] = {"http": _asked(request)}
    headers = _headers(behind)
    if headers:
        event["http"]["request_headers"] = headers
    if took is not None:
        event["total_time_ms"] = int(took[1]) * 1000 + int(took[2])
    return _finished(event, result[1], result[2], chain, user, time, () if certain else (SUSPECT,))


def _unquoted(head: str, time: str, rest: str) -> Parsed | Ignored | Rejected:
    """A line in Carbon's own pattern. A target holds no blank, so status and size are the server's; the time is too."""
    found = _UNQUOTED.fullmatch(rest)
    if found is None:
        if _BEGUN.fullmatch(rest):
            return Rejected(Stage.PARSE, Reason.TRUNCATED, "no status and size behind the request")
        return Rejected(Stage.PARSE, Reason.MALFORMED, "no request behind the time")
    method, target, protocol, status, size, referer, agent = found.groups()
    if _TIME.search(rest):
        return _TWO_LINES
    chain, user, certain = _client(head)
    http = {"method": method, "protocol": protocol, "target": target and wso2.present(target)}
    event: dict[str, Any] = {"http": {name: value for name, value in http.items() if value is not None}}
    took = _TOOK.fullmatch(agent) if agent is not None else None
    if took is not None:
        agent = took[1]
        event["total_time_ms"] = int(took[2]) * 1000 + int(took[3])
    headers = {"referer": wso2.present(referer), "user-agent": wso2.present(agent)}
    if any(headers.values()):
        event["http"]["request_headers"] = {name: value for name, value in headers.items() if value is not None}
    return _finished(event, status, size, chain, user, time, () if certain else (SUSPECT,))


def _headers(behind: str) -> dict[str, str]:
    """Referer and user agent in ` "referer" "user agent"`. Nothing is escaped: the last quote is the user agent's."""
    if behind[:2] != ' "':
        return {}
    referer, mark, agent = behind[2 : max(behind.rfind('"'), 2)].partition('" "')
    found = {"referer": wso2.present(referer), "user-agent": wso2.present(agent) if mark else None}
    return {name: value for name, value in found.items() if value is not None}


def _asked(request: str) -> dict[str, Any]:
    """Method, target and protocol of a request line; what is none of these is left out."""
    method, _, rest = request.partition(" ")
    target, _, protocol = rest.rpartition(" ")
    http: dict[str, Any] = {}
    if not _METHOD.fullmatch(method) or not rest:
        return http
    http["method"] = method
    if _PROTOCOL.fullmatch(protocol):
        http["protocol"] = protocol
    else:
        target = rest
    if wso2.present(target) is not None:
        http["target"] = target
    return http


def _finished(
    event: dict[str, Any],
    status: str | None,
    size: str | None,
    chain: str | None,
    user: str | None,
    time: str | None,
    flags: tuple[str, ...] = (),
) -> Parsed | Rejected:
    http = event["http"]
    target = http.pop("target", None)
    if target is not None:
        event["meta"] = {"uri": wso2.relative(target)}
        http["path"] = path_of(event["meta"]["uri"])
    fields: dict[str, Any] = {}
    if chain is not None:
        http["client_ip"] = fields["http.client_ip"] = chain
    if user is not None:
        fields["user"] = user
    code = wso2.status_of(status)
    if code is None and wso2.count_of(status) is not None:
        return Rejected(Stage.PARSE, Reason.MALFORMED, "HTTP has no such status")
    if code is not None:
        http["status_code"] = code
    sent = wso2.count_of(size)
    if sent is not None:
        event["bytes_sent"] = sent
    if not http:
        del event["http"]
    return Parsed(event, fields, time, flags)


def _client(head: str) -> tuple[str | None, str | None, bool]:
    """Addresses and user in `[X-Forwarded-For ]host ident user `, and whether they can be told apart.

    The identity may be missing, with its space there. A user name with spaces and a header that a client has made up
    look alike; then there is neither an address nor a user.
    """
    parts = head.removesuffix(" ").rsplit(" ", 2)
    *chain, host = parts[0].split(" ")
    certain = len(parts) == 3 and bool(host) and all(map(_IN_CHAIN.fullmatch, chain[1:]))
    if not certain or (chain and chain[0] != "-" and not _IN_CHAIN.fullmatch(chain[0])):
        return _client(_BLANKS.sub(" ", head)) if "  " in head else (None, None, False)
    known = [text for entry in (*chain, host) if (text := wso2.present(entry.rstrip(","))) is not None]
    return ", ".join(known) or None, wso2.present(parts[2]), True


def _keyed(line: str) -> Parsed | Ignored | Rejected:
    """`key=value` pairs between spaces; the first of a key counts. A target holds no space, so it can't hold a pair."""
    starts: list[re.Match[str]] = []
    for match in _KEY.finditer(line):
        starts.append(match)
        if len(starts) > _MAX_KEYS:
            return Rejected(Stage.PARSE, Reason.MALFORMED, f"more than {_MAX_KEYS} keys")
    if not starts or '"' in line[: starts[0].end() + 1] or "{" in line[: starts[0].start()]:
        return NO_REQUEST  # pairs in what a client has sent, in a log of another kind
    ends = [*(match.start() for match in starts[1:]), len(line)]
    values: dict[str, str | None] = {}
    cut_off = False
    for match, end in zip(starts, ends, strict=True):
        if cut_off := match[1] not in _CLOSED:
            break
        values.setdefault(match[1], wso2.present(line[match.end() : end].strip()))
    if not values.keys() >= _KEYS:
        if cut_off and {match[1] for match in starts} >= _KEYS:
            return Rejected(Stage.PARSE, Reason.MALFORMED, f"one of {', '.join(sorted(_KEYS))} stands behind a header")
        return NO_REQUEST
    method, target = values["requestMethod"], values["requestURL"]
    if method is None and target is None:
        return _NOT_COUNTED
    http: dict[str, Any] = {"method": method, "protocol": values.get("requestProtocol"), "target": target}
    event: dict[str, Any] = {"http": {name: value for name, value in http.items() if value is not None}}
    stamp = values.get("time")
    return _finished(
        event,
        values["HTTPStatusCode"],
        values.get("bytesSent"),
        values.get("remoteIP") or values.get("remoteHostname"),
        None,
        stamp.strip("[]") if stamp is not None else None,
    )


def _signature(envelope: Envelope) -> bool:
    text = envelope.text
    return _METHOD_KEY in text or '] "' in text or _TIME.search(text) is not None


FORMAT: Final[Format] = fixed_format(parse, _signature, users=("user",))
