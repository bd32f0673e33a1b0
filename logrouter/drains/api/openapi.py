"""The OpenAPI 3.1 document of the drains API. Its fields are those that requests are checked by."""

from __future__ import annotations

import re
from typing import Any, Final

from logrouter.core.drains.registration import DrainForm, DrainState
from logrouter.core.drains.wanted import FIELDS, FRAMINGS
from logrouter.http_server.owner_names import OWNER_PATHS

_TEXT: Final = {"type": "string"}
_TIME: Final = {"type": "string", "format": "date-time"}
_SHOWN: Final[dict[str, Any]] = {
    "addon": {"type": "object", "properties": {"id": _TEXT, "name": _TEXT}, "required": ["id", "name"]},
    "created_at": _TIME,
    "id": {"type": "string", "format": "uuid"},
    "token": _TEXT,
    "updated_at": _TIME,
    "url": _TEXT | {"description": "Without user, password and query."},
    "form": {"enum": [form.value for form in DrainForm]},
    "framing": {"enum": list(FRAMINGS)},
    "max_message_bytes": {"type": ["integer", "null"]},
    "private_ca": {"type": "boolean"},
    "match": {"type": ["object", "null"]},
    "request": {"type": ["object", "null"]},
    "sample": {"type": "number"},
    "signing_keys": {"type": "integer", "description": "How many there are."},
    "challenge": {"type": "boolean"},
    "state": {"enum": [state.value for state in DrainState]},
    "reason": _TEXT,
}
_SAYS: Final = {
    "400": "The body is no JSON, or the name in the path is not usable.",
    "401": "A valid token is needed.",
    "403": "The token does not allow this.",
    "404": "This owner has no such drain.",
    "408": "The body did not come in time.",
    "409": "The name means several apps; the answer has a path for each.",
    "413": "The body is too large.",
    "415": "Access is open, and the body was not sent as application/json.",
    "422": "The drain can't be made as it is asked for; the answer has a JSON pointer for each fault.",
    "429": "Too many requests, or drains.",
    "503": "The cluster takes no change, or this process does not know all drains yet: see Retry-After.",
}
_FOR_ALL: Final = ("400", "401", "403", "429", "503")
_VERBS: Final = (
    ("", "get", "list", "All drains of the owner", ("409",)),
    (
        "",
        "post",
        "add",
        "Make a drain; the one that is there if the owner has one with this URL",
        ("408", "409", "413", "415", "422"),
    ),
    ("/{id}", "get", "show", "One drain", ("404", "409")),
    ("/{id}", "delete", "remove", "Remove a drain", ("404", "409")),
    ("/{id}/status", "get", "status", "How a drain fares", ("404", "409")),
    ("/{id}/test", "post", "test", "Send one line by a drain, and say what became of it", ("404", "409", "415")),
    ("/{id}/enable", "post", "enable", "Let a drain that was disabled have lines again", ("404", "409", "415")),
)
_SCHEMAS: Final = {"add": "Drain", "list": "Drains", "show": "Drain", "remove": "Drain", "enable": "Drain"}


def describe_drains_api(version: str) -> dict[str, Any]:
    """The document, of the package of this *version*."""
    paths: dict[str, dict[str, Any]] = {}
    for number, (kind, pattern) in enumerate(OWNER_PATHS):
        owner = re.sub(r"\{(\w+):[^}]*\}", r"{\1}", pattern)
        for below, method, verb, summary, statuses in _VERBS:
            path = f"{owner}/log-drains{below}"
            name = f"drains_{verb}_{kind}{'_pair' if number == 1 else ''}"
            paths.setdefault(path, {})[method] = _operation(name, verb, summary, path, statuses)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "logrouter log drains",
            "version": version,
            "summary": "Where an app's, a site's, an API's or a client's logs also go.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": {
                "WantedDrain": _wanted(),
                "Drain": {"type": "object", "properties": _SHOWN, "required": list(_SHOWN)},
                "Drains": {"type": "array", "items": {"$ref": "#/components/schemas/Drain"}},
                "Problem": {"type": "object", "required": ["type", "title", "status", "detail", "instance"]},
            },
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
    }


def _wanted() -> dict[str, Any]:
    fields = {name: {**field.schema, "description": field.doc} for name, field in FIELDS.items()}
    return {"type": "object", "properties": fields, "required": ["url"], "additionalProperties": False}


def _operation(name: str, verb: str, summary: str, path: str, statuses: tuple[str, ...]) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{_SCHEMAS[verb]}"} if verb in _SCHEMAS else {"type": "object"}
    answer = {"description": f"{summary}.", "content": {"application/json": {"schema": schema}}}
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    body = {"required": True, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/WantedDrain"}}}}
    return {
        "operationId": name,
        "summary": summary,
        "parameters": [
            {"name": found, "in": "path", "required": True, "schema": _TEXT} for found in re.findall(r"\{(\w+)\}", path)
        ],
        **({"requestBody": body} if verb == "add" else {}),
        "responses": {
            **({"201": {**answer, "description": "Kafka has the new drain."}} if verb == "add" else {}),
            "200": answer,
            **{status: {"description": _SAYS[status], "content": problem} for status in sorted({*_FOR_ALL, *statuses})},
        },
    }
