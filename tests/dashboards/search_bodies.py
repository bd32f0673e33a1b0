"""What saved objects ask a search engine: bodies for `_search`, as the boards send them."""

from __future__ import annotations

import json
from typing import Any


def search_body(saved: dict[str, Any]) -> dict[str, Any]:
    """The body for a saved search or a visualisation."""
    attributes = saved["attributes"]
    query = json.loads(attributes["kibanaSavedObjectMeta"]["searchSourceJSON"])["query"]["query"]
    body: dict[str, Any] = {
        "query": {"query_string": {"query": query, "analyze_wildcard": True}} if query else {"match_all": {}}
    }
    if saved["type"] == "search":
        [(field, order)] = attributes["sort"]
        return {**body, "sort": [{field: {"order": order}}]}
    aggs = json.loads(attributes["visState"])["aggs"]
    metrics = {agg["id"]: _metric(agg) for agg in aggs if agg["schema"] == "metric" and agg["type"] != "count"}
    inner = metrics
    for agg in reversed([agg for agg in aggs if agg["schema"] != "metric"]):
        bucket = _bucket(agg, has_metric=bool(metrics))
        inner = {agg["id"]: {**bucket, "aggs": inner} if inner else bucket}
    return {**body, "size": 0, "aggs": inner}


def _metric(agg: dict[str, Any]) -> dict[str, Any]:
    params = agg["params"]
    kept = {key: params[key] for key in ("field", "percents") if key in params}
    return {agg["type"]: kept}


def _bucket(agg: dict[str, Any], *, has_metric: bool) -> dict[str, Any]:
    params = agg["params"]
    if agg["type"] == "date_histogram":
        return {"date_histogram": {"field": params["field"], "fixed_interval": "5m", "min_doc_count": 1}}
    if agg["type"] == "filters":
        filters = {each["label"]: {"query_string": {"query": each["input"]["query"]}} for each in params["filters"]}
        return {"filters": {"filters": filters}}
    order = {params["orderBy"] if has_metric else "_count": params["order"]}
    return {"terms": {"field": params["field"], "size": params["size"], "order": order}}
