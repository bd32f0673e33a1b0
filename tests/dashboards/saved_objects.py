"""Boards as saved objects, in the form that OpenSearch Dashboards and Kibana (7.10 and later) import."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.dashboards.contents import Contents

INDEX_PATTERN: Final = "api-gateway-request*"
"""Indices of a sink without further options."""
# Versions of the formats below; without them an import takes objects for those of version 6, and changes them.
_VERSIONS: Final = {"index-pattern": "7.6.0", "search": "7.9.3", "visualization": "7.10.0", "dashboard": "7.9.3"}
_INDEX_REF: Final = "kibanaSavedObjectMeta.searchSourceJSON.index"
_WIDTH: Final = 48


def saved_objects(contents: Contents) -> list[dict[str, Any]]:
    """An index pattern, saved searches, visualisations, and a board of them."""
    views = _visualisations(contents)
    return [_pattern(contents), *_searches(contents), *views, _board(contents, views)]


def _object(
    kind: str, name: str, contents: Contents, attributes: dict[str, Any], refs: Sequence[Any]
) -> dict[str, Any]:
    return {
        "type": kind,
        "id": f"logrouter-{contents.form}-{name}",
        "migrationVersion": {kind: _VERSIONS[kind]},
        "attributes": attributes,
        "references": list(refs),
    }


def _pattern(contents: Contents) -> dict[str, Any]:
    attributes = {"title": INDEX_PATTERN, "timeFieldName": contents.time}
    return _object("index-pattern", "requests", contents, attributes, [])


def _source(contents: Contents, query: str) -> tuple[dict[str, str], dict[str, str]]:
    """Where an object has its documents from, and the reference to the index pattern that belongs to it."""
    source = {"query": {"query": query, "language": "lucene"}, "filter": [], "indexRefName": _INDEX_REF}
    reference = {"name": _INDEX_REF, "type": "index-pattern", "id": f"logrouter-{contents.form}-requests"}
    return {"searchSourceJSON": json.dumps(source)}, reference


def _searches(contents: Contents) -> list[dict[str, Any]]:
    found = []
    for name, title, query in (
        ("server-errors", "Server errors", contents.server_errors),
        ("client-errors", "Client errors", contents.client_errors),
        ("throttled", "Throttled requests", contents.throttled),
        ("slow", "Requests of a second and more", contents.slow),
    ):
        source, reference = _source(contents, query)
        attributes = {
            "title": f"API gateway: {title}",
            "description": "",
            "hits": 0,
            "version": 1,
            "columns": list(contents.columns),
            "sort": [[contents.time, "desc"]],
            "kibanaSavedObjectMeta": source,
        }
        found.append(_object("search", name, contents, attributes, [reference]))
    return found


def _visualisations(contents: Contents) -> list[dict[str, Any]]:
    requests = _requests(contents)
    by_time = _agg("2", "date_histogram", "segment", field=contents.time, interval="auto", min_doc_count=1)
    classes = [{"input": {"query": query, "language": "lucene"}, "label": label} for label, query in contents.classes]
    percentiles = _agg("1", "percentiles", "metric", field=contents.milliseconds, percents=[50, 95, 99])
    return [
        _view(
            *("requests-over-time", "Requests by class of status", "histogram", ""),
            [requests, by_time, _agg("3", "filters", "group", filters=classes)],
            contents,
        ),
        _view(
            *("latency", "Latency in milliseconds: median, 95 %, 99 %", "line", ""), [percentiles, by_time], contents
        ),
        _view(
            *("server-errors-by-api", "Server errors by API", "histogram", contents.server_errors),
            [requests, _terms(contents.api, "segment")],
            contents,
        ),
        _view(
            *("client-errors-by-api", "Client errors by API", "histogram", contents.client_errors),
            [requests, _terms(contents.api, "segment")],
            contents,
        ),
        _view(*("clients", "Clients with most requests", "table", ""), [requests, _terms(contents.client)], contents),
        _view(
            *("failing-paths", "Paths with most server errors", "table", contents.server_errors),
            [requests, _terms(contents.path)],
            contents,
        ),
    ]


def _agg(number: str, kind: str, schema: str, **params: Any) -> dict[str, Any]:
    return {"id": number, "enabled": True, "type": kind, "schema": schema, "params": params}


def _requests(contents: Contents) -> dict[str, Any]:
    if not contents.weight:
        return _agg("1", "count", "metric", customLabel="Requests")
    return _agg("1", "sum", "metric", field=contents.weight, customLabel="Requests")


def _terms(field: str, schema: str = "bucket") -> dict[str, Any]:
    return _agg("2", "terms", schema, field=field, orderBy="1", order="desc", size=20, otherBucket=False)


def _view(
    name: str, title: str, kind: str, query: str, aggs: Sequence[dict[str, Any]], contents: Contents
) -> dict[str, Any]:
    source, reference = _source(contents, query)
    title = f"API gateway: {title}"
    params = _table() if kind == "table" else _chart(kind)
    attributes = {
        "title": title,
        "description": "",
        "version": 1,
        "uiStateJSON": "{}",
        "visState": json.dumps({"title": title, "type": kind, "params": params, "aggs": aggs}),
        "kibanaSavedObjectMeta": source,
    }
    return _object("visualization", name, contents, attributes, [reference])


def _table() -> dict[str, Any]:
    sort = {"columnIndex": None, "direction": None}
    return {"perPage": 10, "showPartialRows": False, "showMetricsAtAllLevels": False, "sort": sort, "showTotal": False}


def _chart(kind: str) -> dict[str, Any]:
    labels = {"show": True, "filter": True, "truncate": 100}
    axis: dict[str, Any] = {"show": True, "style": {}, "labels": labels, "title": {}}
    return {
        "type": kind,
        "grid": {"categoryLines": False},
        "categoryAxes": [
            {**axis, "id": "CategoryAxis-1", "type": "category", "position": "bottom", "scale": {"type": "linear"}}
        ],
        "valueAxes": [
            {
                **axis,
                "id": "ValueAxis-1",
                "name": "LeftAxis-1",
                "type": "value",
                "position": "left",
                "scale": {"type": "linear", "mode": "normal"},
            }
        ],
        "seriesParams": [
            {
                "show": True,
                "type": kind,
                "mode": "stacked" if kind == "histogram" else "normal",
                "data": {"id": "1", "label": ""},
                "valueAxis": "ValueAxis-1",
                "drawLinesBetweenPoints": True,
                "showCircles": True,
            }
        ],
        "addTooltip": True,
        "addLegend": True,
        "legendPosition": "right",
        "times": [],
        "addTimeMarker": False,
        "labels": {"show": False},
    }


def _board(contents: Contents, views: Sequence[dict[str, Any]]) -> dict[str, Any]:
    height, width = 15, _WIDTH // 2
    panels = [
        {
            "version": "7.9.3",
            "panelIndex": str(n + 1),
            "panelRefName": f"panel_{n}",
            "gridData": {"x": n % 2 * width, "y": n // 2 * height, "w": width, "h": height, "i": str(n + 1)},
            "embeddableConfig": {},
        }
        for n in range(len(views))
    ]
    attributes = {
        "title": f"API gateway ({contents.form})",
        "description": "Requests, errors, latency and clients, from documents of logrouter",
        "hits": 0,
        "version": 1,
        "timeRestore": True,
        "timeFrom": "now-24h",
        "timeTo": "now",
        "optionsJSON": json.dumps({"hidePanelTitles": False, "useMargins": True}),
        "panelsJSON": json.dumps(panels),
        "kibanaSavedObjectMeta": {
            "searchSourceJSON": json.dumps({"query": {"query": "", "language": "kuery"}, "filter": []})
        },
    }
    refs = [{"name": f"panel_{n}", "type": "visualization", "id": view["id"]} for n, view in enumerate(views)]
    return _object("dashboard", "board", contents, attributes, refs)
