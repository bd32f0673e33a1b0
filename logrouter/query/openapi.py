"""The OpenAPI 3.1 document of the table view, made from the declarations that check requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from logrouter.query.endpoints import Reach
from logrouter.query.parameters import MAX_REPEATS
from logrouter.query.schemas import COMPONENTS, HEADERS, object_of, ref

if TYPE_CHECKING:
    from collections.abc import Iterable

    from logrouter.query.endpoints import Endpoint
    from logrouter.query.parameters import Parameter
    from logrouter.query.schemas import Schema

_SAYS: Final = {
    "304": "The figures are those of the answer with this ETag.",
    "400": "A parameter, or the name in the path, is not usable.",
    "401": "A valid token is needed.",
    "403": "The token does not allow this.",
    "404": "Nothing was ever counted under this name.",
    "429": "Too many requests.",
    "503": "The answer would be wrong or late at the moment; Retry-After says when to ask again.",
}
_OPEN: Final = frozenset({"livez", "readyz", "openapi"})
_MAX_NAME_IN_PATH: Final = 512


def openapi_document(version: str, endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """The document of *endpoints*, which are those of the package of this *version*."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "logrouter table view",
            "version": version,
            "summary": "Usage of APIs by client, counted exactly once.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {endpoint.path: {"get": _operation(endpoint)} for endpoint in endpoints},
        "components": {
            "schemas": COMPONENTS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
    }


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "parameters": [*_path_parameters(endpoint), *map(_parameter, endpoint.parameters)],
        "responses": {"200": _answer(endpoint), **{status: _problem(status) for status in statuses(endpoint)}},
        **({"security": []} if endpoint.name in _OPEN else {}),
    }


def statuses(endpoint: Endpoint) -> list[str]:
    """What an endpoint answers besides 200."""
    found = [] if endpoint.name in _OPEN else ["401", "403", "429"]
    if endpoint.name != "metrics":
        found.append("400")
    if endpoint.reach is Reach.ONE:
        found.append("404")
    if endpoint.reach is not Reach.NOBODY:
        found += ["304", "503"]
    if endpoint.name == "readyz":
        found.append("503")
    if endpoint.name == "whoami":
        found.remove("403")
    return sorted(found)


def _path_parameters(endpoint: Endpoint) -> list[Schema]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": "Matched exactly, percent-encoded UTF-8; - is the absent one.",
            "schema": {"type": "string", "minLength": 1, "maxLength": _MAX_NAME_IN_PATH},
        }
        for name in ("client_id", "api")
        if f"{{{name}}}" in endpoint.path
    ]


def _parameter(parameter: Parameter[Any]) -> Schema:
    schema = dict(parameter.kind.schema)
    default: Any = parameter.default
    if default is not None and schema["type"] == "integer":
        default = int(default)
    if parameter.repeats:
        schema = {"type": "array", "items": schema, "maxItems": MAX_REPEATS}
        default = None if default is None else [default]
    return {
        "name": parameter.name,
        "in": "query",
        "description": parameter.doc,
        "schema": schema if default is None else schema | {"default": default},
        **({} if parameter.example is None else {"example": _example(parameter)}),
    }


def _example(parameter: Parameter[Any]) -> Any:
    return [parameter.example] if parameter.repeats else parameter.example


def _answer(endpoint: Endpoint) -> Schema:
    if endpoint.name == "metrics":
        return {"description": "Metrics as Prometheus reads them.", "content": {"text/plain": {}}}
    if endpoint.schema is None:
        return {"description": "This document.", "content": {"application/json": {"schema": {"type": "object"}}}}
    content: Schema = {"application/json": {"schema": _body(endpoint)}}
    if endpoint.csv is not None:
        content["text/csv"] = {"schema": {"type": "string"}}
    return {
        "description": endpoint.summary + ".",
        "content": content,
        **({} if endpoint.reach is Reach.NOBODY else {"headers": HEADERS}),
    }


def _body(endpoint: Endpoint) -> Schema:
    schema = endpoint.schema or {}
    if endpoint.reach is Reach.NOBODY:
        return schema
    optional = {name: value for name, value in schema["properties"].items() if name not in schema["required"]}
    required = {name: schema["properties"][name] for name in schema["required"]}
    return object_of({**required, "freshness": ref("Freshness")}, {**optional, "partial": {"const": True}})


def _problem(status: str) -> Schema:
    if status == "304":
        return {"description": _SAYS[status], "headers": HEADERS}
    return {
        "description": _SAYS[status],
        "content": {"application/problem+json": {"schema": ref("Problem")}},
        **(
            {"headers": {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 0}}}}
            if status in ("429", "503")
            else {}
        ),
    }
