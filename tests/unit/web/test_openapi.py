"""The OpenAPI document: valid, whole, and true of what is served, for any request that anybody makes up."""

import asyncio
import re
import threading
from contextlib import contextmanager
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from logrouter.access.rates import Rate
from logrouter.access.scopes import client_scope
from logrouter.query.endpoints import Reach
from logrouter.query.openapi import openapi_document, statuses
from logrouter.query.reports.registry import ENDPOINTS
from tests.conftest import HANG_SECONDS, examples

DOCUMENT = openapi_document("0.0.0", ENDPOINTS)
SHARED = "between us"
REFUSED = {f"urn:logrouter:problem:{slug}" for slug in ("not-yet", "too-stale")}
"""What is asked of an answer and cannot be had now, also where the answer would be that nobody is known by the name."""
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)


def test_the_document_names_every_route_and_parameter(fleet):
    """It is served as it is made, and by everybody's declarations there is nothing else."""

    async def main():
        async with fleet(1) as (worker,):
            served = (await worker.get("/openapi.json")).json
            assert served["paths"].keys() == {endpoint.path for endpoint in ENDPOINTS}
            assert served["paths"] == DOCUMENT["paths"]
            for endpoint in ENDPOINTS:
                if endpoint.reach is not Reach.NOBODY:
                    path = re.sub(r"\{\w+\}", "-", endpoint.path)
                    refused = (await worker.get(f"{path}?nonsense=1")).json["errors"][0]["detail"]
                    listed = {p["name"] for p in served["paths"][endpoint.path]["get"]["parameters"]}
                    known = set(refused.partition("known here: ")[2].split(", "))
                    assert known == listed - {"client_id", "api"}

    asyncio.run(main())


def test_schemas_in_the_document_are_json_schemas():
    """Every one of them is well-formed, and every reference leads somewhere."""
    found = []

    def walk(node):
        if isinstance(node, dict):
            if "schema" in node:
                found.append(node["schema"])
            if "$ref" in node:
                assert node["$ref"].removeprefix("#/components/schemas/") in DOCUMENT["components"]["schemas"]
            for item in node.values():
                walk(item)
        elif isinstance(node, list):
            for item in node:
                walk(item)

    walk(DOCUMENT)
    assert len(found) > 100
    for schema in [*found, *DOCUMENT["components"]["schemas"].values()]:
        jsonschema.Draft202012Validator.check_schema(schema)


@contextmanager
def running(fleet, **options):
    """The base URL of a worker that serves in a thread of its own, as the requests of this test are synchronous."""
    started, stopping, urls = threading.Event(), asyncio.Event(), []
    loop = asyncio.new_event_loop()

    async def main():
        async with fleet(2, **options) as workers:
            urls.append(workers[0].reader.url)
            started.set()
            await stopping.wait()

    def serve():
        asyncio.set_event_loop(loop)
        loop.run_until_complete(main())

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        assert started.wait(HANG_SECONDS)
        yield urls[0]
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join(HANG_SECONDS)
        loop.close()


@pytest.fixture(scope="module")
def worker(fleet, let_in):
    """The URL of a running worker that has a peer, and the headers of a caller who may read everything."""
    policy, sent = let_in(boss=["admin"])
    unhurried = replace(policy, rate=Rate(100_000, 100_000), strangers=Rate(100_000, 100_000), audit=False)
    with running(fleet, access=unhurried, secret=SHARED) as url:
        yield url, sent["boss"]


def is_sound(path, sent):
    """Whether parameters, texts by name as they were sent, are what the document allows."""
    known = {p["name"]: p["schema"] for p in DOCUMENT["paths"][path]["get"].get("parameters", ()) if p["in"] == "query"}
    for name, texts in sent.items():
        kind = known.get(name, {}).get("type")
        numeric = kind in ("integer", "number") and texts[0].isdecimal()
        value = texts if kind == "array" else int(texts[0]) if numeric else texts[0]
        if name not in known or not jsonschema.Draft202012Validator(known[name]).is_valid(value):
            return False
    return True


@SCHEMA.parametrize()
@settings(max_examples=examples(4), deadline=None, suppress_health_check=list(HealthCheck))
def test_answers_are_as_documented(case, worker):
    """For any parameters, good and bad: the status is a documented one, and type and body are as it says."""
    base_url, headers = worker
    # Which parameters go together is more than a schema can say: window or from, a cursor with its own question.
    unsaid = [schemathesis.checks.positive_data_acceptance]
    if case.path == "/metrics":
        # Scrapers may send parameters of their own; there they are ignored.
        unsaid.append(schemathesis.checks.negative_data_rejection)
    response = case.call(base_url=base_url, headers=headers)
    if is_sound(case.path, parse_qs(urlsplit(response.request.url).query, keep_blank_values=True)):
        # What was to be bad about the request is not in what was sent: a list without items, null as a text.
        unsaid.append(schemathesis.checks.negative_data_rejection)
    if response.status_code == 503 and response.json()["type"] in REFUSED:
        unsaid.append(schemathesis.checks.not_a_server_error)
    # Longer request lines are refused by the HTTP library, before anything of ours sees them.
    if len(response.request.path_url) < 8000:
        case.validate_response(response, headers=headers, excluded_checks=unsaid)


@pytest.mark.parametrize("status", ["200", "304", "400", "401", "403", "404", "429", "503"])
def test_every_documented_status_occurs(fleet, let_in, status):
    """At each endpoint that names it, each is provoked once, in the way that its description says."""
    policy, sent = let_in(boss=["admin"], scraper=["metrics:read"], one=[client_scope("client-2")])
    headers = {"401": {}, "304": sent["boss"] | {"If-None-Match": "*"}}.get(status, sent["boss"])
    documented = [endpoint for endpoint in ENDPOINTS if status in ["200", *statuses(endpoint)]]
    assert len(documented) > 8
    if status == "429":
        policy = replace(policy, rate=Rate(1, 1))

    async def main(headers=headers):
        async with fleet(1, access=policy) as (worker,):
            worker.reader.is_ready = status != "503"
            if status == "429":
                await asyncio.gather(*(worker.get("/v1/whoami", **headers) for _ in range(60)))
            for endpoint in documented:
                name = {"404": "nobody"}.get(status, "core" if "{api}" in endpoint.path else "client-1")
                target = re.sub(r"\{\w+\}", name, endpoint.path) + ("?nonsense=1" if status == "400" else "")
                if status == "403":
                    headers = sent["one" if endpoint.path == "/metrics" else "scraper"]
                reply = await worker.get(target, **headers)
                assert (target, reply.status) == (target, int(status))
                kind = reply.headers.get("Content-Type", "").partition(";")[0]
                described = DOCUMENT["paths"][endpoint.path]["get"]["responses"][status]
                assert not reply.body if status == "304" else kind in described["content"]
                assert all(header in reply.headers for header in described.get("headers", {}))

    asyncio.run(main())
