"""What the variables and expressions of HAProxy's log-format mean, in the words of `weblog`, and what they can hold."""

from __future__ import annotations

import re
from typing import Final

from logrouter.core.formats.families.weblog import field_meaning, header_meaning
from logrouter.core.text.line_patterns import ANY, CLF_TIME, HOST, NUMBER, PatternError, VariableKind

_WORD: Final = VariableKind(r"[^\s\x00-\x1f]")
"""Without a blank, but a client may write quotes into it."""
_NAME: Final = VariableKind(r"[\w.:~<>-]")
_URI: Final = VariableKind(r'[^\s"\x00-\x1f]')
_RAW: Final = VariableKind(r"[^\x00-\x1f]")
_FIGURE: Final = VariableKind(r"[0-9+-]", figures=True)
_HEX: Final = VariableKind("[0-9A-Fa-f+-]")
_STATE: Final = VariableKind("[A-Za-z-]")
_MILLI_TIME: Final = VariableKind("", r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d\.\d{3}", fixed=True)
_EPOCH: Final = VariableKind("", r"\d{9,10}", fixed=True)
_CAPTURES: Final = VariableKind("", r"\{[^{}\x00-\x1f]*+\}", fixed=True)
_CAPTURE_LIST: Final = VariableKind("", r'"[^"\x00-\x1f]*+"(?:[ ]"[^"\x00-\x1f]*+")*+', fixed=True)

VARIABLES: Final[dict[str, tuple[str, VariableKind]]] = {
    "ci": ("address", HOST),
    "cp": ("field:client_port", NUMBER),
    "fi": ("field:frontend_addr", HOST),
    "fp": ("field:frontend_port", NUMBER),
    "bi": ("dropped", HOST),
    "bp": ("dropped", NUMBER),
    "si": ("field:server_addr", HOST),
    "sp": ("field:server_port", NUMBER),
    "t": ("time", _MILLI_TIME),
    "tr": ("time", _MILLI_TIME),
    "T": ("time", CLF_TIME),
    "Tl": ("time", CLF_TIME),
    "trg": ("time", CLF_TIME),
    "trl": ("time", CLF_TIME),
    "Ts": ("time", _EPOCH),
    "ms": ("dropped", NUMBER),
    "ft": ("field:frontend", _NAME),
    "f": ("field:frontend", _NAME),
    "b": ("field:backend", _NAME),
    "s": ("field:server", _NAME),
    "Ta": ("millis", _FIGURE),
    "Tt": ("whole_millis", _FIGURE),
    "Tr": ("backend_seconds", _FIGURE),
    **dict.fromkeys(("TR", "Tw", "Tc", "Td", "Th", "Ti", "Tq", "Tu"), ("dropped", _FIGURE)),
    **dict.fromkeys(("ac", "fc", "bc", "sc", "sq", "bq", "lc", "rt", "pid"), ("dropped", _FIGURE)),
    "rc": ("field:retries", _FIGURE),
    "ST": ("status", _FIGURE),
    "B": ("bytes_sent", _FIGURE),
    "U": ("bytes_received", _FIGURE),
    "CC": ("dropped", _WORD),
    "CS": ("dropped", _WORD),
    "ts": ("ended", _STATE),
    "tsc": ("ended", _STATE),
    "hr": ("field:request_captures", _CAPTURES),
    "hs": ("field:response_captures", _CAPTURES),
    "hrl": ("dropped", _CAPTURE_LIST),
    "hsl": ("dropped", _CAPTURE_LIST),
    "r": ("request", ANY),
    "HM": ("method", _URI),
    "HU": ("uri", _URI),
    "HP": ("path", _URI),
    "HPO": ("path", _URI),
    "HQ": ("dropped", _URI),
    "HV": ("protocol", _URI),
    "ID": ("request_id", _WORD),
    "H": ("field:hostname", _NAME),
    "sslv": ("field:ssl_version", _NAME),
    "sslc": ("field:ssl_cipher", _NAME),
}
"""The variables by their names without the sign."""

_EXPRESSIONS: Final = {
    "src": ("address", HOST),
    "method": ("method", _URI),
    "status": ("status", _FIGURE),
    "unique-id": ("request_id", _WORD),
    "path": ("path", _WORD),
    "pathq": ("uri", _WORD),
    "url": ("uri", _WORD),
    "query": ("dropped", _WORD),
    "capture.req.method": ("method", _URI),
    "capture.req.uri": ("uri", _WORD),
    "capture.req.ver": ("protocol", _URI),
    "txn.sess_term_state": ("ended", _STATE),
}
_CODE = re.compile(r"(?:ssl_|fc_|bc_)\w*(?:err|resumed|used_cert|has_\w+|port|rank)|(?:src|dst)_(?:port|is_\w+)")
_ABOUT_CONNECTION = re.compile(r"(?!\w*_dn)(?:ssl_|fc_|bc_|src_|dst|fe_|be_|srv_)\w*")
_FETCH = re.compile(r"([\w.-]+)(?:\(([^()]*)\))?")
_HEADERS: Final = ("req.hdr", "req.fhdr", "hdr", "capture.req.hdr")
_SECRET: Final = ("cook", "cookie", "url_param", "urlp", "query", "body", "payload")


def meaning_of(name: str, at: int, escaped: bool) -> tuple[str, VariableKind]:  # noqa: FBT001 -- a callback's place
    """What a variable such as "%ST" or an expression such as "[path]" means and can hold.

    Raises:
        PatternError: HAProxy has no such variable.
    """
    if name[0] == "%":
        found = VARIABLES.get(name[1:])
        if found is None:
            raise PatternError(f"at character {at}: {name!r} is no variable of a log-format")
        return found
    fetch, _, converters = name[1:-1].partition(",")
    match = _FETCH.fullmatch(fetch.strip())
    called, argument = (match[1], (match[2] or "").strip("\"' ")) if match else (fetch, "")
    safe = escaped or "json" in converters
    if called in _EXPRESSIONS:
        meaning, kind = _EXPRESSIONS[called]
        return meaning, ANY if safe and kind is _WORD else kind
    if _CODE.fullmatch(called):
        return field_meaning(called), _HEX
    if _ABOUT_CONNECTION.fullmatch(called):
        return field_meaning(called), _NAME
    return _of_client(called, argument), ANY if safe else _RAW


def _of_client(called: str, argument: str) -> str:
    """The meaning of what a client has written, or the configuration has made of it."""
    if any(word in called for word in _SECRET):
        return "dropped"
    if called in _HEADERS and argument and not argument.isdigit():
        return header_meaning(argument.partition(",")[0])
    if called == "capture.req.hdr":
        return f"field:request_capture_{argument}"
    if called == "var":
        return field_meaning(argument.replace(".", "_"), called=argument)
    return field_meaning(re.sub(r"\W+", "_", f"{called}_{argument}").strip("_"), called=argument or called)
