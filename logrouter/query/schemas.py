"""JSON Schemas of answers, put together from few parts; what the OpenAPI document says about them."""

from __future__ import annotations

from typing import Any, Final

from logrouter.query.parameters import By, Sort, Step

Schema = dict[str, Any]

COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
TEXT: Final[Schema] = {"type": "string"}
TIME: Final[Schema] = {"type": "string", "format": "date-time"}
NUMBER: Final[Schema] = {"type": "number", "minimum": 0}
COUNTS: Final[Schema] = {"type": "object", "additionalProperties": COUNT}
UNDERCOUNT: Final[Schema] = COUNT | {"description": "By how much each count may be too small, at most."}


FRESHNESS_HEADER: Final = "Logrouter-Freshness"


def nullable(schema: Schema) -> Schema:
    """Null or what *schema* says."""
    return {"anyOf": [schema, {"type": "null"}]}


def ref(name: str) -> Schema:
    """A reference to one of `COMPONENTS`."""
    return {"$ref": f"#/components/schemas/{name}"}


def object_of(properties: Schema, optional: Schema | None = None) -> Schema:
    """An object that has all of *properties*, maybe some of *optional*, and nothing else."""
    return {
        "type": "object",
        "required": list(properties),
        "properties": {**properties, **(optional or {})},
        "additionalProperties": False,
    }


def list_of(schema: Schema) -> Schema:
    """A list of such things."""
    return {"type": "array", "items": schema}


INTERVAL: Final[Schema] = {"from": nullable(TIME), "to": TIME}
_SEEN: Final[Schema] = {"first_seen": nullable(TIME), "last_seen": nullable(TIME)}
_SUMS: Final[Schema] = {
    "count": COUNT | {"description": "Requests as logged."},
    "weighted": NUMBER | {"description": "Requests as served, if the gateway logs a sample."},
    "errors": COUNT | {"description": "Requests that failed."},
    "bytes": object_of({"in": COUNT, "out": COUNT}),
}
_LATENCY: Final[Schema] = object_of(
    {"count": COUNT, "mean": nullable(NUMBER), "max": COUNT, **dict.fromkeys(("p50", "p95", "p99"), nullable(NUMBER))}
)
_NUMBERS: Final[Schema] = {**_SUMS, "latency_ms": nullable(_LATENCY)}
_FIGURES: Final[Schema] = {
    **_NUMBERS,
    "status": COUNTS,
    "status_class": COUNTS,
    "outcome": COUNTS,
    "error": COUNTS,
}
_LISTED: Final[Schema] = {
    **_SUMS,
    "latency_ms": nullable(object_of({"mean": nullable(NUMBER), "max": COUNT})),
    **_SEEN,
}
_STRETCH: Final[Schema] = object_of({**INTERVAL, **_FIGURES, **_SEEN}, {"apis": COUNTS, "length": TEXT})

COMPONENTS: Final[Schema] = {
    "Figures": object_of({**_FIGURES, **_SEEN}, {"apis": COUNTS}),
    "Stretch": _STRETCH,
    "Point": object_of({"time": TIME, **_NUMBERS}, {"by": COUNTS}),
    "Partition": object_of(
        {
            "partition": COUNT,
            "offset": nullable(COUNT),
            "end": nullable(COUNT),
            "lag": nullable(COUNT),
            "watermark": nullable(TIME),
            "answered_by": TEXT,
            "role": {"enum": ["active", "standby"]},
        }
    ),
    "Freshness": object_of(
        {
            "at": TIME,
            "partitions": list_of(ref("Partition")),
            "stale": {"type": "boolean"},
            "missing": list_of(object_of({"partition": COUNT, "reason": TEXT})),
        }
    ),
    "Problem": {
        "type": "object",
        "required": ["type", "title", "status", "detail", "instance"],
        "properties": {
            "type": {"type": "string", "format": "uri"},
            "title": TEXT,
            "status": {"type": "integer"},
            "detail": TEXT,
            "instance": TEXT,
        },
    },
}

HEADERS: Final[Schema] = {
    "ETag": {"description": "Changes when the figures do.", "schema": TEXT},
    FRESHNESS_HEADER: {
        "description": "The freshness in brief: the largest lag, the newest watermark, the missing partitions; and "
        "what nobody who is missing exceeds, if a list is not exact.",
        "content": {
            "application/json": {
                "schema": object_of(
                    {
                        "at": TIME,
                        "stale": {"type": "boolean"},
                        "lag": nullable(COUNT),
                        "watermark": nullable(TIME),
                        "missing": list_of(COUNT),
                    },
                    {"max_unlisted": COUNT},
                )
            }
        },
    },
}
"""Headers of every answer with figures, also of one that says that they are the same as before."""

_WINDOW: Final[Schema] = {"window": TEXT | {"description": "As it was asked for."}}


def summary(field: str) -> Schema:
    """Lifetime and last 24 hours of one subject."""
    stretch = ref("Stretch")
    return object_of(
        {field: TEXT, "lifetime": ref("Figures"), "last_24h": stretch}, {"window": stretch, "previous": stretch}
    )


def ranking(field: str, members: str) -> Schema:
    """A top list."""
    previous = object_of({**INTERVAL, **_LISTED})
    entry = object_of({field: TEXT, **_LISTED}, {"previous": object_of(_LISTED)})
    return object_of(
        {
            **INTERVAL,
            "sort": {"enum": [member.value for member in Sort]},
            "limit": COUNT,
            "exact": {"type": "boolean"},
            "max_unlisted": nullable(COUNT),
            "total": nullable(object_of({members: nullable(COUNT), **_LISTED})),
            members: list_of(entry),
            "next": nullable(TEXT),
        },
        {**_WINDOW, "previous": nullable(previous)},
    )


def series(field: str | None = None) -> Schema:
    """Points over time."""
    return object_of(
        {
            **({} if field is None else {field: TEXT}),
            "from": TIME,
            "to": TIME,
            "step": {"enum": [member.value for member in Step]},
            "by": {"enum": [*(member.value for member in By), None]},
            "points": list_of(ref("Point")),
        },
        {"keys": list_of(TEXT)},
    )


def totals() -> Schema:
    """Figures over everything."""
    return object_of(
        {**INTERVAL, "total": ref("Figures"), "clients": nullable(COUNT), "apis": COUNT},
        {**_WINDOW, "previous": ref("Stretch")},
    )


def broken_down(field: str | None, content: Schema) -> Schema:
    """One subject, or all of them, taken apart in a stretch of time."""
    return object_of({**({} if field is None else {field: TEXT}), **INTERVAL, **content}, _WINDOW)


_STATUS: Final[Schema] = nullable(TEXT | {"description": "Three digits; null when it is not known."})
APIS: Final[Schema] = {
    "apis": list_of(
        object_of({"api": TEXT, "count": COUNT, "errors": COUNT, "status": COUNTS, "status_class": COUNTS})
    ),
    "other": COUNT,
}
URLS: Final[Schema] = {
    "urls": list_of(object_of({"url": TEXT, "status": _STATUS, "count": COUNT})),
    "max_undercount": UNDERCOUNT,
    "other": COUNT,
    "count": COUNT,
}
CLIENTS: Final[Schema] = {
    "clients": list_of(object_of({"client_id": TEXT, "count": COUNT})),
    "max_undercount": UNDERCOUNT,
    "other": COUNT,
    "count": COUNT,
}
OUTCOMES: Final[Schema] = {
    "rows": list_of(object_of({"api": TEXT, "outcome": TEXT, "error": nullable(TEXT), "count": COUNT})),
    "other": COUNT,
}


def errors(peer: str) -> Schema:
    """Errors and recent failures; *peer* is what the other side of a request is called."""
    recent = object_of({"time": TIME, "status": _STATUS, peer: TEXT, "url": TEXT, "error": TEXT}, {"request_id": TEXT})
    return {
        "errors": list_of(object_of({"error": TEXT, "count": COUNT})),
        "success": COUNT,
        "aborted": COUNT,
        "recent": list_of(recent),
    }


CALLS: Final[Schema] = object_of(
    {
        "step": {"enum": [member.value for member in Step]},
        "from": TIME,
        "to": TIME,
        "apis": list_of(object_of({"api": TEXT, "count": COUNT, "points": list_of(COUNT)})),
        "times": list_of(TIME),
        "other": list_of(COUNT),
    }
)
