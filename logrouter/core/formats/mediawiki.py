r"""Events of MediaWiki's action API: one JSON object per request, of the schema `mediawiki/api/request`.

    {"$schema":"/mediawiki/api/request/1.0.0","meta":{"dt":"2026-05-01T10:00:00Z","domain":"wiki.example.org",…},
     "http":{"method":"GET","client_ip":"192.0.2.7","request_headers":{"user-agent":"ExampleBot/1.0"}},
     "database":"examplewiki","performer":{"user_text":"ExampleBot","user_id":7},"backend_time_ms":120,
     "params":{"action":"query","titles":"Main page"},"api_error_codes":["maxlag"]}

MediaWiki writes the event when it has answered. Versions 0.0.1 and 1.0.0 are the same in what is read here. There is
neither a path nor a status: a request without error codes was answered with 200, and of the others only the codes tell
how they ended. What a client sends stands in `params`, in headers and in a user name, each inside a value.
docs/formats/mediawiki.md says what is dropped.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from logrouter.core.formats.families.json_values import read_headers, read_parts, secret_headers, without_secrets
from logrouter.core.formats.families.weblog import begin_of
from logrouter.core.formats.families.wso2 import STATUS_FROM_ERROR
from logrouter.core.formats.format import Format
from logrouter.core.redact import path_of
from logrouter.core.text.json_numbers import as_whole
from logrouter.core.text.json_objects import cut_or_malformed, decode_object, repair_flags
from logrouter.core.text.unflatten import ABSENT
from logrouter.model import NO_REQUEST, Ignored, Parsed, Reason, Rejected, Stage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from logrouter.core.formats.format import ErrorRule, FormatSettings
    from logrouter.model import Envelope, Parser

SCHEMA_PREFIX: Final = "/mediawiki/api/request/"
CANARY_DOMAIN: Final = "canary"

_QUOTED: Final = ('"/mediawiki/api/request/', '"\\/mediawiki\\/api\\/request\\/')
"""How the name of the schema stands in a text; PHP escapes slashes. In values of clients the quote is escaped, too."""

_PARTS: Final = ("meta", "http", "performer", "params")
_LEAVES: Final = (
    *(("meta", name) for name in ("uri", "request_id", "domain")),
    *(("http", name) for name in ("method", "client_ip")),
)
_CANARY: Final = Ignored(Reason.CANARY)

_OUTCOMES: Final = {
    "throttled": "ratelimited maxlag actionthrottledtext concurrency-limit",
    "auth": """
        badtoken notoken blocked autoblocked permissiondenied readapidenied writeapidenied notloggedin protectedpage
        cascadeprotected protectedtitle assertuserfailed assertbotfailed assertanonfailed assertnameduserfailed
    """,
    "not_found": "missingtitle missingrev nosuchpageid nosuchrevid nosuchuser nosuchsection nosuchlogid no-such-entity",
    "backend_error": "readonly search-error cirrussearch-too-busy-error cirrussearch-backend-error",
}
_CODES: Final = {code: outcome for outcome, codes in _OUTCOMES.items() for code in codes.split()}
_PREFIXES: Final = {"internal_api_error": "backend_error", "mwoauth-": "auth"}
_KINDS: Final = {
    "auth": "auth",
    "throttled": "throttled",
    "not_found": "resource",
    "client_error": "client",
    "backend_error": "backend",
}
_GRAVEST: Final = ("backend_error", "gateway_error", "throttled", "auth", "not_found", "client_error", "aborted", "ok")
"""Of several codes the one whose outcome stands first here tells how the request ended."""

_UNKNOWN_ACTION: Final = frozenset({"badvalue", "unknown_action"})
_ACTION: Final = re.compile(r"[a-z][a-z0-9_-]{0,63}", re.ASCII)
_CORE_ACTIONS: Final = """
    block checktoken clearhasmsg clientlogin compare createaccount delete edit emailuser expandtemplates help import
    feedcontributions feedrecentchanges feedwatchlist filerevert login logout managetags mergehistory move opensearch
    options paraminfo parse patrol protect purge query revisiondelete rollback rsd setnotificationtimestamp stashedit
    setpagelanguage tag unblock undelete upload userrights validatepassword watch
"""
_KNOWN_ACTIONS: Final = frozenset(_CORE_ACTIONS.split())
"""Actions of MediaWiki without extensions: a request with a code of `_UNKNOWN_ACTION` may have named one of them."""


def _compile(settings: FormatSettings) -> Parser:
    errors = settings.errors

    def parse(envelope: Envelope) -> Parsed | Ignored | Rejected:
        text, document = envelope.text, envelope.document
        if text[:1] != "{" or not any(name in text for name in _QUOTED):
            return NO_REQUEST if document is None else _of_object(document, (), errors)
        line = decode_object(text, Stage.PARSE)
        if not isinstance(line, Rejected):
            found = _of_object(line, repair_flags(line), errors)
            return _of_object(document, (), errors) if found is NO_REQUEST and document is not None else found
        return cut_or_malformed(line, text) if document is None else _of_object(document, (), errors)

    return parse


def _of_object(
    line: dict[str, Any], flags: tuple[str, ...], errors: Mapping[str, ErrorRule]
) -> Parsed | Ignored | Rejected:
    """The request in an object, if that names the schema."""
    if not _is_ours(line):
        return NO_REQUEST
    parts = read_parts(line, _PARTS, _LEAVES)
    if isinstance(parts, Rejected):
        return parts
    for name in ("database", "backend_time_ms"):
        if type(line.get(name)) in (dict, list):
            return Rejected(Stage.PARSE, Reason.MALFORMED, f"{name} is an object or a list", f"/{name}")
    codes = line.get("api_error_codes") or []
    if type(codes) is not list or any(type(code) is not str for code in codes):
        return Rejected(Stage.PARSE, Reason.MALFORMED, "api_error_codes is no list of texts", "/api_error_codes")
    if parts["http"].get("method") in ABSENT:
        return Rejected(Stage.PARSE, Reason.MALFORMED, "no http.method", "/http/method")
    if parts["meta"].get("domain") == CANARY_DOMAIN:
        return _CANARY
    return _request(line, parts, [code for code in codes if code not in ABSENT], flags, errors)


def _request(
    line: dict[str, Any],
    parts: dict[str, dict[str, Any]],
    codes: list[str],
    flags: tuple[str, ...],
    errors: Mapping[str, ErrorRule],
) -> Parsed:
    """The event in an object whose parts are what they must be."""
    asked, meta = parts["http"], parts["meta"]
    http = {name: asked[name] for name in ("method", "client_ip") if asked.get(name) not in ABSENT}
    event: dict[str, Any] = {"http": http}
    written = asked.get("request_headers")
    if headers := read_headers(written):
        http["request_headers"] = headers
    if found := {name: meta[name] for name in ("uri", "request_id", "domain") if meta.get(name) not in ABSENT}:
        event["meta"] = found
        if type(found.get("uri")) is str:
            http["path"] = path_of(found["uri"])
    action = parts["params"].get("action")
    if type(action) is str and _names_module(action, codes):
        event["api"] = action
    if line.get("database") not in ABSENT:
        event["tenant"] = line["database"]
    taken = as_whole(line.get("backend_time_ms"))
    if taken not in ABSENT and not (type(taken) is int and taken < 0):
        event["total_time_ms"] = event["backend_time_ms"] = taken
    outcome, status = None, None if codes else 200
    if codes:
        code, outcome = _gravest(codes, errors)
        if rule := errors.get(code):
            status = rule.status
        event["error"] = {"code": code, "class": _KINDS.get(outcome, "other")}
    if status is not None:
        http["status_code"] = status
        flags = (*flags, STATUS_FROM_ERROR)
    parsed = Parsed(event, _fields(line, parts, event), _begin(line, meta, taken), flags, outcome)
    if type(written) is dict and len(headers) < len(written):
        parsed.secrets = secret_headers(written)
    return parsed


def _names_module(action: str, codes: list[str]) -> bool:
    """Whether an action is one that there is, as far as one can tell: of others clients could make up any number."""
    return action in _KNOWN_ACTIONS or (_ACTION.fullmatch(action) is not None and _UNKNOWN_ACTION.isdisjoint(codes))


def _gravest(codes: list[str], errors: Mapping[str, ErrorRule]) -> tuple[str, str]:
    """The code that tells how the request ended, and its outcome; *errors* of topics.yaml take precedence."""
    meant = [(code, rule.outcome if (rule := errors.get(code)) else _outcome_of(code)) for code in codes]
    return min(meant, key=lambda each: _GRAVEST.index(each[1]))


def _outcome_of(code: str) -> str:
    """What a code means. Most say what was wrong with a parameter, and extensions have any number of their own."""
    known = _CODES.get(code)
    return known or next((outcome for begin, outcome in _PREFIXES.items() if code.startswith(begin)), "client_error")


def _begin(line: dict[str, Any], meta: dict[str, Any], taken: Any) -> str | None:
    """When the request began: MediaWiki tells when it had ended, and events of newer schemas have that at the top."""
    end = next((time for time in (line.get("dt"), meta.get("dt")) if type(time) is str and time not in ABSENT), None)
    return begin_of(end, taken) if end is not None and type(taken) is int and taken > 0 else end


def _fields(line: dict[str, Any], parts: dict[str, dict[str, Any]], event: dict[str, Any]) -> dict[str, Any]:
    """What sources may ask for. The name of somebody who is not logged in is an address, and so it is left out."""
    performer = without_secrets("performer", parts["performer"]) or {}
    if "user_id" not in performer:
        performer.pop("user_text", None)
    params = without_secrets("params", parts["params"]) or {}
    fields = {"database": line.get("database"), "performer": performer, "params": params}
    return {name: value for name, value in fields.items() if value not in ABSENT} | event


def _is_ours(line: dict[str, Any]) -> bool:
    schema = line.get("$schema")
    return type(schema) is str and schema.startswith(SCHEMA_PREFIX)


def _signature(envelope: Envelope) -> bool:
    """Whether an object names the schema, or a text that begins as one does."""
    if envelope.document is not None and _is_ours(envelope.document):
        return True
    return envelope.text[:1] == "{" and any(name in envelope.text for name in _QUOTED)


FORMAT: Final = Format(_compile, frozenset({"errors"}), _signature, users=("performer.user_text",))
