r"""Secrets in text whose form is not known: masked by patterns, which hide too much rather than too little.

All run in linear time: repeats are possessive, or bounded, or start only where the previous match ended. Where a name
of the table (`core.redact.names`) is found, what stands behind it is told by its first character: a quote, a bracket,
or neither. Raw bytes hold JSON in JSON, so a quote may come with backslashes before it, as \u0022, or as %22.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

from logrouter.core.redact.names import (
    BULK,
    HEADER_KEY,
    HINTS,
    LAST_WORDS,
    REDACTED,
    SECRET_PARTS,
    WHOLE_NAMES,
    names_secret,
)
from logrouter.core.redact.segments import STRONG, WEAK, is_credential, is_credential_behind_id
from logrouter.core.redact.tokens import raw_without_tokens, without_tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_HIDDEN: Final = REDACTED.encode()
_ENCODED: Final = rb"%(?:25){0,3}"

# All of these are matched against a lower-case copy, which is five times as fast as ignoring case.
_QUOTE: Final = rb"(?:\\{0,15}+(?:[" + rb'"' + rb"']|u002[27]|x2[27])|&quot;|&#3[49];|" + _ENCODED + rb"2[27])"
_EQUALS: Final = rb"(?:=>?|:=?|->|&gt;|\\{1,15}(?:u003|x3)[da]|" + _ENCODED + rb"3[da])"
_PAIRED: Final = (
    rb"(?:,\s{0,4}+(?:" + _QUOTE + rb"v(?:al(?:ues?)?)?" + _QUOTE + rb"\s{0,4}:\s{0,4}+)?+|v(?:al(?:ue)?)?=|/?>)"
)
_BETWEEN: Final = (
    rb"(?:\[\w{0,20}\]|\])?+(?:"
    + _QUOTE
    + rb"\s{0,4}+"
    + _PAIRED
    + rb"|"
    + _QUOTE
    + rb"?+\]?\s{0,4}+"
    + _EQUALS
    + rb")(?:\s|%20|\+){0,4}+(?:[bru](?=['\"]))?+"
)
_PARTS: Final = f"(?:{SECRET_PARTS}|{BULK})".encode() + rb"[\w.-]{0,40}+"
_LAST: Final = rb"(?<![a-z0-9])(?:" + "|".join(LAST_WORDS).encode() + rb")"
_WHOLE: Final = rb"(?<![\w.-])key(?=" + _QUOTE + rb"?+\s{0,4}+=)"
# In what is no query, `code` is most often why something failed: what a client redeems is longer, and has digits.
_CODE: Final = (
    rb"""(?<=["'])(?:code|ticket)(?="""
    + _QUOTE
    + rb"\s{0,4}:\s{0,4}"
    + _QUOTE
    + rb"""(?=[^"'\\]{8})[^"'\\]{0,60}[0-9])"""
)
_NAMED: Final = re.compile(
    rb"(?:" + _PARTS + rb"|" + _LAST + rb"|" + _WHOLE + rb"|" + _CODE + rb"|" + HEADER_KEY.encode() + rb")" + _BETWEEN
)
_CAMEL: Final = re.compile(rb"[a-z](?:" + "|".join(word.title() for word in LAST_WORDS).encode() + rb")" + _BETWEEN)
# Common words are names of secrets only where a URI has its parameters.
_PARAMETER_SIGN: Final = re.compile(rb"[?&;]|%(?:25)?(?:3f|26)|(?:u00|x)26")
_PARAMETER: Final = re.compile(
    rb"(?:[?&;]|"
    + _ENCODED
    + rb"(?:3[fb]|26)|[ux](?:00)?26|&amp;)(?:"
    + "|".join(WHOLE_NAMES).encode()
    + rb")"
    + _BETWEEN
)
_QUERY_FIELD: Final = re.compile(
    rb"(?<![\w.-])\$?(?:http_)?(?:raw|request|url|multivalue|cs[-_]uri)?[-_]?(?:query(?:[-_]?string)?(?:[-_]?param(?:eter)?s)?|args)"
    + _BETWEEN
)

# The value in quotes ends with as many backslashes before the quote as before the opening one; more belong to it.
_DOUBLE: Final = re.compile(rb"""(?P<level>\\{0,15}+)"(?:[^"\\]++|\\++(?!")|(?P=level)\\++")*+""")
_CLOSING: Final = re.compile(rb'\\{0,15}"')
_SINGLE: Final = re.compile(rb"\\{0,15}+'[^'\r\n]*+")
# A quote or a comma in the middle belongs to it, unless another name comes behind the comma.
_PLAIN: Final = re.compile(
    rb"(?:" + _QUOTE + rb""")?+(?:[^\s"'&;,}<\\]|\\{1,15}/|'(?=\w)|,(?=[^\s"'\[{\\])(?![\w.-]{1,40}+[\"']?[=:]))++"""
)
_HEADER: Final = re.compile(rb"""[^\r\n"\\<]++""")
_HEADER_NAME: Final = re.compile(rb"(?:cookie2?|authori[sz]ation)(?![\w-])")
_ELEMENT: Final = re.compile(rb"(?:<!\[cdata\[(?:(?!\]\]>)[\s\S])*+|[^<]++)++")
_WORD_END: Final = re.compile(rb"[^\w.-][\w.-]{0,64}\Z")
_OPENING: Final = re.compile(rb"[\[{]")
_STRING_OR_BRACKET: Final = re.compile(rb"""(\\{0,15}+)"(?:[^"\\]++|\\++(?!")|\1\\++")*+(?:\1")?+|[\[\]{}]""")

_SCHEME: Final = re.compile(
    rb"\b((?:bearer|basic|negotiate|ntlm|dpop|hoba|mutual|gnap|privatetoken|sharedkey(?:lite)?)(?:\s{1,8}+|%20|\+|:\s?))"
    rb"(?:[\w.~+=%:-]|\\{0,15}/){6,}+"
)
_DIGEST: Final = re.compile(
    rb"\b((?:digest|hawk|oauth|signature|hmac|aws4-hmac-sha256|scram-sha-(?:1|256)|sharedaccesssignature)\s{1,8}+)"
    rb"(?:[\w-]{1,40}+\s?(?:=|:)\s?(?:\\{0,15}\"[^\"\\]*+\\{0,15}\"?|[^\s,\"\\&]++)[,;&\s]{0,4}+)++"
)
_USERINFO: Final = re.compile(
    rb"(:(?:\\{0,15}/){2}|" + _ENCODED + rb"3a(?:" + _ENCODED + rb"2f){2}|(?<![\w:/\\])//(?=[^/\s:@\"'\\]{1,128}+:))"
    rb"""(?:(?!""" + _ENCODED + rb"""2f)[^/\s"'<>\\?#]){1,512}(?:@|""" + _ENCODED + rb"""40)"""
)
_USERINFO_SLASH: Final = re.compile(
    rb"""(:(?:\\{0,15}/){2})[^/?#\s:@"'\\]{1,128}:(?![0-9]{1,5}[/\\])[^/\s@"'\\]{0,128}\\?/[^/\s@"'\\]{0,128}@"""
)
# What would be the port of a host is no number: user and password, of which the end may have been cut off.
_NO_PORT: Final = re.compile(
    rb"""(:(?:\\{0,15}/){2}[^/?#\s:@"'\\\[]{1,128}:)(?![0-9]{1,5}(?:[/?#\s"'\\,;)<>\]}]|\Z))[^\s/"'\\@<>]{1,256}+"""
)
_AUTHORITY: Final = re.compile(rb"""(\bconnect\s{1,2}+)[^/\s"'<>\\]{1,512}@""")
_OPTION: Final = re.compile(
    rb"((?<![\w-])--[\w-]{0,40}?(?:" + SECRET_PARTS.encode() + rb")[\w-]{0,20}+\s{1,4}+)[^\s-]\S*+"
)
_TAG_NAME: Final = rf"[\w.-]{{0,40}}?(?:{SECRET_PARTS})[\w.-]{{0,40}}+|{'|'.join(LAST_WORDS)}".encode()
_TAG: Final = re.compile(rb"<(?:[\w-]{1,30}+:)?+(" + _TAG_NAME + rb")(?:\s[^<>]{0,200}+)?+>")
# To a blank. Quotes and angles belong to it unless what comes behind them tells that they end a string or an element:
# browsers write "'" as it is, and servers put `"` as \\x22 or with a backslash before it.
_QUERY: Final = re.compile(
    rb"""(\?|%3f)(?=[\w%&=+\[$.~;/(*!@,:{|-]|\\{1,15}(?:x22|"\w))"""
    rb"""(?:[^\s"'<>\\]|'(?=[\w%&=+{\[(*-])|<(?!\\{0,15}/)|>(?=[\w%&=+<])"""
    rb"""|\\{1,15}(?:/|u00(?:26|3[dbfce])|x[0-9a-f]{2}|"(?=[\w%&=+{\[(*:/-])))++"""
)
_ESCAPED_LETTER: Final = re.compile(rb"\\{1,15}(?:u00|x)(2d|3[0-9]|5f|[46][1-9a-f]|[57][0-9a])", re.IGNORECASE)
_ENCODED_LETTER: Final = re.compile(_ENCODED + rb"(2d|3[0-9]|5f|[46][1-9a-f]|[57][0-9a])", re.IGNORECASE)
# Without one of these there is neither a name with a value, nor a scheme with credentials, nor a path.
_SIGN: Final = re.compile(rb"""[=:@?%<>/&;,\s\\+]""")
_RUN: Final = re.compile(rb"""[^\s"'<>\\]++""")
_ESCAPED_ASCII: Final = re.compile(rb"%(?:2[1-9A-Fa-f]|[3-7][0-9A-Fa-f])")
_UNQUOTED: Final = "/:@;=&?#,+~!*()[]{}$-._|"
# One pass says whether there is anything for the dear expressions. Most texts hold none of these.
_RAW_HINT: Final = re.compile("|".join((*HINTS, *LAST_WORDS, "payload", "body")).encode())
_SCHEME_HINT: Final = re.compile(rb"b(?:earer|asic)|nego|ntlm|dpop|hoba|mutual|gnap|private|shared")
_IN_NO_NAME: Final = (" ", "=", "{", "//", "%3D", "%3d")
_DIGEST_HINT: Final = re.compile(rb"digest|hawk|oauth|signature|hmac|scram")
# The segment behind a word may be such a word itself, so it is only looked at.
_SEGMENT_NAME: Final = rb"(?:" + STRONG.encode() + rb"|" + WEAK.encode() + rb")"
_SEGMENT: Final = re.compile(rb"(?<=/)(" + _SEGMENT_NAME + rb"\\{0,15}/)(?=([\w.~%=-]{4,}+))", re.IGNORECASE)
_BEHIND_ID: Final = re.compile(
    rb"(?<=/)(" + _SEGMENT_NAME + rb"\\{0,15}/([\w=@-]{1,80}+)\\{0,15}/)([\w~=-]{20,}+)", re.IGNORECASE
)
_BOT: Final = re.compile(rb"(/bot[0-9]{3,15}:)[\w-]++", re.IGNORECASE)


def redact_raw(raw: bytes) -> bytes:
    """The bytes without anything that looks like a secret. Never raises. The result is for people, not for parsers."""
    return mask(raw)


def redact_text(text: str) -> str:
    """The same of text."""
    return redact_raw(text.encode("utf-8", "replace")).decode("utf-8", "replace")


def holds_secret(text: str) -> bool:
    """Whether a name that a client may have written is or holds a secret: `Bearer …`, `a?token=…`, `{"password": …}`.

    A word before a colon is no secret's name here: names may have a version, as `token-service:v1`.
    """
    if without_tokens(text) != text:
        return True
    return any(sign in text for sign in _IN_NO_NAME) and redact_text(text) != text


def mask(raw: bytes, *, drop_queries: bool = False) -> bytes:
    """The bytes without what looks like a secret, and with *drop_queries* without query strings."""
    if b"\\u00" in raw or b"\\x" in raw:
        raw = _ESCAPED_LETTER.sub(lambda found: bytes.fromhex(found[1].decode()), raw)
    if b"%" in raw:
        # Letters, digits and the like mean the same either way (RFC 3986, 2.3).
        raw = _ENCODED_LETTER.sub(lambda found: bytes.fromhex(found[1].decode()), raw)
    raw = _mask_plain(raw, drop_queries=drop_queries)
    if b"%" in raw:
        raw = _RUN.sub(lambda run: _mask_encoded(run, drop_queries=drop_queries), raw)
    return raw


def _mask_encoded(run: re.Match[bytes], *, drop_queries: bool) -> bytes:
    """One run without blanks: what its percent-encoding hides is looked for in the plain text."""
    text = run[0]
    if b"%" not in text or _ESCAPED_ASCII.search(text) is None:
        return text
    plain = text
    for _ in range(4):
        decoded = unquote_to_bytes(plain)
        if decoded == plain:
            break
        plain = decoded
    masked = _mask_plain(plain, drop_queries=drop_queries)
    return text if masked == plain else quote_from_bytes(masked, safe=_UNQUOTED).encode()


def _mask_plain(raw: bytes, *, drop_queries: bool) -> bytes:
    raw = raw_without_tokens(raw)
    if _SIGN.search(raw) is None:
        return raw
    lower = raw.lower()
    if _DIGEST_HINT.search(lower):
        raw = _hide(_DIGEST, raw)
    if _SCHEME_HINT.search(lower):
        raw = _hide(_SCHEME, raw)
    if _RAW_HINT.search(lower):
        if b"<" in raw and b">" in raw:
            raw = _hide_elements(raw)
        raw = _hide_values(_NAMED, raw, raw.lower())
        raw = _hide_values(_CAMEL, raw, raw)
        if b"--" in raw:
            raw = _hide(_OPTION, raw)
    if _PARAMETER_SIGN.search(lower):
        raw = _hide_values(_PARAMETER, raw, raw.lower())
        if drop_queries:
            raw = _hide(_QUERY, raw)
    if drop_queries and (b"query" in lower or b"args" in lower):
        raw = _hide_values(_QUERY_FIELD, raw, raw.lower())
    if b"/" in raw:
        raw = _hide(_BOT, _hide_segments(raw))
    if b"//" in raw or b"/\\" in raw:
        raw = _hide(_NO_PORT, raw)
    if b"@" in raw or b"%" in raw:
        raw = _hide(_USERINFO, raw, b"@")
        raw = _hide(_USERINFO_SLASH, raw, b"@")
        raw = _hide(_AUTHORITY, raw, b"@")
    return raw


def _hide_segments(raw: bytes) -> bytes:
    """*raw* without segments of paths that are credentials."""
    parts: list[bytes] = []
    end = 0
    for segment in _SEGMENT.finditer(raw):
        before, text = segment[1].rstrip(b"/\\").decode("latin-1"), segment[2].decode("latin-1")
        if segment.end(1) >= end and is_credential(text, before):
            parts += (raw[end : segment.end(1)], _HIDDEN)
            end = segment.end(2)
    raw = b"".join((*parts, raw[end:])) if parts else raw
    return _BEHIND_ID.sub(_without_credential, raw)


def _without_credential(segments: re.Match[bytes]) -> bytes:
    before, between, text = (each.decode("latin-1") for each in segments.groups())
    name = before.partition("/")[0].rstrip("\\")
    return segments[1] + _HIDDEN if is_credential_behind_id(text, between, name) else segments[0]


def _hide(pattern: re.Pattern[bytes], raw: bytes, ends: bytes = b"") -> bytes:
    """*raw* with everything of each match behind its first group replaced."""
    parts: list[bytes] = []
    end = 0
    for match in pattern.finditer(raw.lower()):
        parts += (raw[end : match.end(1)], _HIDDEN, ends)
        end = match.end()
    return b"".join((*parts, raw[end:])) if parts else raw


def _hide_values(pattern: re.Pattern[bytes], raw: bytes, searched: bytes) -> bytes:
    """*raw* with the value behind each name that the pattern finds in *searched*, the same in any case, replaced."""
    parts: list[bytes] = []
    end = 0
    for begin, stop in _values(pattern, searched):
        parts += (raw[end:begin], _HIDDEN)
        end = stop
    return b"".join((*parts, raw[end:])) if parts else raw


def _values(pattern: re.Pattern[bytes], lower: bytes) -> Iterator[tuple[int, int]]:
    """Where each value begins and ends."""
    at = 0
    while (name := pattern.search(lower, at)) is not None:
        begin, stop = _extent(lower, name) if b"," not in name[0] or _is_quoted(lower, name) else (at, at)
        if stop > begin:
            yield begin, stop
        at = max(stop, name.end())


def _is_quoted(lower: bytes, name: re.Match[bytes]) -> bool:
    """Whether a name before a comma is all that stands in its quotes, and no end of a sentence."""
    begun = _WORD_END.search(lower, max(0, name.start() - 64), name.start())
    return begun is not None and begun[0][:1] in b"\"';\\%"


def _extent(lower: bytes, name: re.Match[bytes]) -> tuple[int, int]:
    at = name.end()
    if name[0].endswith(b">"):
        value = _ELEMENT.match(lower, at)
        return at, value.end() if value is not None else at
    quoted = _DOUBLE.match(lower, at)
    if quoted is not None:
        return quoted.end("level") + 1, quoted.end()
    if _OPENING.match(lower, at) is not None:
        return at, _bracket_end(lower, at)
    single = _SINGLE.match(lower, at)
    if single is not None:
        return lower.index(b"'", at) + 1, single.end()
    if _HEADER_NAME.search(name[0]) is not None:
        return at, _header_end(lower, at)
    value = _PLAIN.match(lower, at)
    return at, value.end() if value is not None else at


def _header_end(lower: bytes, at: int) -> int:
    """The end of a header's value: of the line, or a quote that is none of its own (`realm="r"`)."""
    while (part := _HEADER.match(lower, at)) is not None:
        at = part.end()
        quoted = _DOUBLE.match(lower, at) if lower[at - 1 : at] in (b"=", b":") else None
        if quoted is None:
            break
        closing = _CLOSING.match(lower, quoted.end())
        at = closing.end() if closing is not None else quoted.end()
    return at


def _bracket_end(lower: bytes, at: int) -> int:
    """Behind the bracket that closes the one at *at*; the end where none does."""
    depth = 0
    for token in _STRING_OR_BRACKET.finditer(lower, at):
        if token[0] in (b"[", b"{"):
            depth += 1
        elif token[0] in (b"]", b"}"):
            depth -= 1
            if depth <= 0:
                return token.end()
    return len(lower)


def _hide_elements(raw: bytes) -> bytes:
    """XML without what stands in elements that are called like secrets; to the end, where such an element has none."""
    lower = raw.lower()
    parts: list[bytes] = []
    end = 0
    while (tag := _TAG.search(lower, end)) is not None:
        parts += (raw[end : tag.end()], _HIDDEN)
        closing = re.compile(rb"<\\{0,15}/(?:[\w-]{1,30}:)?" + re.escape(tag[1]) + rb"\s{0,4}>").search(
            lower, tag.end()
        )
        end = closing.start() if closing is not None else len(raw)
    return b"".join((*parts, raw[end:])) if parts else raw


def redact_shown(name: str, text: str, most: int = 200, mask_text: Callable[[str], str] = redact_text) -> str:
    """The text of the field *name* as it may be shown: masked by *mask_text*, at most *most* characters."""
    if names_secret(name):
        return REDACTED
    # Redacted before it is cut, as in dead letters: half a token is still a secret.
    kept = mask_text(text[: 4 * most])
    return kept if len(kept) <= most and len(text) <= 4 * most else kept[:most] + "…"
