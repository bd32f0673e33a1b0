"""Index templates: what is in them, and when one is put where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from logrouter.sinks.contract import Retry, Trouble
from logrouter.sinks.http_messages import HttpAnswer, HttpRequest
from logrouter.sinks.opensearch.documents import DocumentForm
from logrouter.sinks.opensearch.rotation import IndexNames, Rotation
from logrouter.sinks.opensearch.templates import VERSION, TemplateSetup, setup_of, template_of

SETUP = setup_of("http://h:9200/", IndexNames("requests", Rotation.DAY), DocumentForm.ECS, is_data_stream=False)


def answer(status: int, body: object = b"") -> HttpAnswer:
    """An answer; *body* in JSON, if it is not bytes."""
    return HttpAnswer(status, {}, body if isinstance(body, bytes) else orjson.dumps(body))


def found(version: object, owner: object) -> HttpAnswer:
    """That a template is there."""
    template = {"version": version, "_meta": {"managed_by": owner}}
    return answer(200, {"index_templates": [{"name": "logrouter-requests", "index_template": template}]})


def refused(status: int, reason: str) -> HttpAnswer:
    """An error as search engines write it."""
    return answer(status, {"error": {"type": "illegal_argument_exception", "reason": reason}, "status": status})


def put(setup: TemplateSetup = SETUP) -> HttpRequest:
    """The request that puts the template where it is missing."""
    request = setup.go_on(setup.begin(), answer(404))
    assert isinstance(request, HttpRequest)
    return request


def test_a_missing_template_is_put_there():
    """Only if nobody else puts one there in between."""
    first = SETUP.begin()
    second = put()

    assert (first.method, first.url.partition("?")[0]) == ("GET", "http://h:9200/_index_template/logrouter-requests")
    assert (second.method, second.url) == ("PUT", "http://h:9200/_index_template/logrouter-requests?create=true")
    assert orjson.loads(second.body)["index_patterns"] == ["requests-*"]
    assert SETUP.go_on(second, answer(200, {"acknowledged": True})) is None
    assert SETUP.go_on(second, refused(400, "index template [logrouter-requests] already exists")) is None


@pytest.mark.parametrize(
    "there",
    [
        found(VERSION, "logrouter"),
        found(VERSION + 1, "logrouter"),
        found(VERSION - 1, "somebody"),
        found("0", "logrouter"),
        answer(200, {"index_templates": [{"name": "logrouter-requests"}]}),
        answer(200, {}),
        answer(200, b"?"),
    ],
)
def test_a_template_that_is_there_is_left_alone(there: HttpAnswer):
    """Ours of this version or a later one, and any of somebody else."""
    assert SETUP.go_on(SETUP.begin(), there) is None


def test_an_earlier_one_of_ours_is_replaced():
    """New fields would not be indexed by it."""
    request = SETUP.go_on(SETUP.begin(), found(VERSION - 1, "logrouter"))

    assert isinstance(request, HttpRequest)
    assert (request.method, request.url) == ("PUT", "http://h:9200/_index_template/logrouter-requests")


@pytest.mark.parametrize(
    ("request_", "said", "trouble"),
    [
        (SETUP.begin(), answer(403, {"error": {"type": "security_exception", "reason": "no"}}), Trouble.DENIED),
        (SETUP.begin(), answer(405), Trouble.DENIED),
        (SETUP.begin(), answer(503), Trouble.OVERLOADED),
        (SETUP.begin(), answer(400, b"<html>"), Trouble.DENIED),
        (put(), refused(400, "template has index patterns matching patterns from others"), Trouble.DENIED),
        (put(), answer(413), Trouble.DENIED),
        (put(), answer(500), Trouble.UNAVAILABLE),
        (put(), answer(202), Trouble.NONSENSE),
    ],
)
def test_any_other_answer_is_trouble_that_is_about_no_event(request_: HttpRequest, said: HttpAnswer, trouble: Trouble):
    """It says what to do, so that delivery can begin without the template."""
    step = SETUP.go_on(request_, said)

    assert isinstance(step, Retry)
    assert step.trouble is trouble
    assert "`template: false`" in step.detail
    assert len(step.detail) < 600


def leaves(properties: dict[str, Any], at: str = "") -> dict[str, str]:
    """Types of fields by their dotted path."""
    result: dict[str, str] = {}
    for name, mapping in properties.items():
        inner = mapping.get("properties")
        result |= leaves(inner, f"{at}{name}.") if inner is not None else {f"{at}{name}": mapping["type"]}
    return result


@pytest.mark.parametrize(
    ("form", "types"),
    [
        (
            DocumentForm.ECS,
            {
                "@timestamp": "date",
                "client.ip": "ip",
                "client.address": "keyword",
                "event.duration": "long",
                "http.response.status_code": "long",
                "error.message": "text",
                "logrouter.weight": "double",
                "logrouter.client.attributes": "keyword",
            },
        ),
        (
            DocumentForm.FIREHOSE,
            {"id": "keyword", "timestamp": "date", "message.status": "keyword", "message.responseLatency": "long"},
        ),
    ],
)
def test_fields_are_mapped_by_their_kind(form: DocumentForm, types: dict[str, str]):
    """And no event adds a field to an index."""
    template = template_of(IndexNames("requests"), form, is_data_stream=False)

    mappings = template["template"]["mappings"]
    assert mappings["dynamic"] is False
    mapped = leaves(mappings["properties"])
    assert types.items() <= mapped.items()
    assert len(mapped) < 100


def test_the_template_of_a_data_stream_is_for_its_name_alone():
    """Its backing indices have no names of ours."""
    template = template_of(IndexNames("logs-requests-prod"), DocumentForm.ECS, is_data_stream=True)

    assert template["index_patterns"] == ["logs-requests-prod"]
    assert template["data_stream"] == {}


def test_of_two_templates_for_an_index_that_of_the_longer_name_counts():
    """Search engines refuse two of the same priority whose patterns overlap."""
    short, long = (
        template_of(IndexNames(name, Rotation.DAY), DocumentForm.ECS, is_data_stream=False)
        for name in ("api", "api-gateway")
    )

    assert short["index_patterns"] == ["api-*"]
    assert long["priority"] > short["priority"] > 200


@pytest.mark.parametrize(
    ("name", "method", "expected"),
    [
        ("template_none", "GET", "put"),
        ("template_found", "GET", "done"),
        ("template_exists", "PUT", "done"),
        ("template_put", "PUT", "done"),
    ],
)
def test_what_a_real_search_engine_answered(name: str, method: str, expected: str):
    """The files say how each answer was come by."""
    recorded = orjson.loads((Path(__file__).parent / "answers" / f"{name}.json").read_bytes())
    request = SETUP.begin() if method == "GET" else put()

    step = SETUP.go_on(request, answer(recorded["status"], recorded["answer"]))

    assert ("done" if step is None else step.method.lower() if isinstance(step, HttpRequest) else step) == expected
