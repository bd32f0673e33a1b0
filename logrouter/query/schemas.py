"""The parts of which reports declare the JSON Schemas of their answers, and the components of the OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

Schema = dict[str, Any]

COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
TEXT: Final[Schema] = {"type": "string"}
TIME: Final[Schema] = {"type": "string", "format": "date-time"}
NUMBER: Final[Schema] = {"type": "number", "minimum": 0}
COUNTS: Final[Schema] = {"type": "object", "additionalProperties": COUNT}
BOUNDED: Final[Schema] = {
    "count": COUNT | {"description": "Requests: exact if the bounds are the same, else the middle between them."},
    "at_least": COUNT | {"description": "Requests that were counted for sure."},
    "at_most": COUNT | {"description": "Requests there can have been."},
}
"""The members of a figure that is known between two bounds."""
UNLISTED: Final[Schema] = COUNT | {"description": "No entry that is not listed can have more requests."}


FRESHNESS_HEADER: Final = "Logrouter-Freshness"
ROWS_HEADER: Final = "Logrouter-Rows-Read"
"""The header of answers, problems among them, that says how many rows were read for it."""


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


STATUS: Final[Schema] = nullable(TEXT | {"description": "Three digits; null when it is not known."})
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
LISTED: Final[Schema] = {
    **_SUMS,
    "latency_ms": nullable(object_of({"mean": nullable(NUMBER), "max": COUNT})),
    **_SEEN,
}
_RANGE_FIGURES: Final[Schema] = object_of({**INTERVAL, **_FIGURES, **_SEEN}, {"apis": COUNTS, "length": TEXT})

COMPARISON: Final[Schema] = {
    "previous": nullable(ref("Stretch")),
    "counted_since": TIME | {"description": "Why there is no comparison: counting began within that time, or later."},
}

COMPONENTS: Final[Schema] = {
    "Figures": object_of({**_FIGURES, **_SEEN}, {"apis": COUNTS}),
    "Stretch": _RANGE_FIGURES,
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
        },
        {"holes": list_of(ref("Hole"))},
    ),
    "Hole": object_of(
        {
            "partition": COUNT,
            "records": COUNT | {"description": "Offsets of the rollup topic: records, and ends of transactions."},
            "from": nullable(TIME | {"description": "When the first of these requests was made; null: not known."}),
            "to": nullable(TIME | {"description": "When the last was made; null: no record came behind yet."}),
            "reason": TEXT,
        }
    )
    | {"description": "Requests that are in no row and never will be."},
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
    ROWS_HEADER: {"description": "Table rows that were read for it, which the caller's budget lacks.", "schema": COUNT},
    FRESHNESS_HEADER: {
        "description": "The freshness in brief: the largest lag, the newest watermark, the missing partitions; "
        "how many holes it touches, if any; and what nobody who is missing exceeds, if a list is not exact.",
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
                    {"max_unlisted": COUNT, "holes": COUNT},
                )
            }
        },
    },
}
"""Headers of every answer with figures, also of one that says that they are the same as before."""

WINDOW: Final[Schema] = {"window": TEXT | {"description": "As it was asked for."}}


def broken_down(field: str | None, content: Schema) -> Schema:
    """An answer about a time range: *field*, the member that names the subject if there is one, then *content*."""
    return object_of({**({} if field is None else {field: TEXT}), **INTERVAL, **content}, WINDOW)
