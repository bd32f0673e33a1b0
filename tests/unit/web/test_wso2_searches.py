"""The six searches that the developers of a WSO2 site made in their log, each as one question to the table view.

The lines go through the route pipeline as the gateway writes them; `docs/table-view.md` has the table of the searches.
"""

import asyncio
from pathlib import Path

import pytest

from logrouter import config
from logrouter.core.dead_letter import DeadLetterSettings
from logrouter.core.rollup.records import decode_record
from logrouter.query.memory import MemoryTables
from logrouter.route.batch import BatchProcessor
from tests.fake_kafka.messages import Message

PAGE = (Path(__file__).parents[3] / "docs" / "table-view.md").read_text()
NOW = 1_790_000_000_000  # 07:13 in the time zone of the lines
TOPICS = b"""
version: 1
sources: {gateway: {topics: logs, envelope: lines}}
routes:
  - name: access
    from: gateway
    match: {looks_like: request}
    format: {name: wso2_access, errors: {'900906': {outcome: not_found, status: 404}}}
    client_ip: keep
    enrich: {client_id: [APPLICATION_NAME, http.client_ip]}
    to: events
"""
PREFIX = "2026-09-21T07:{minute:02}:00.118-0700 [][hMessageProcessor-56]{{D_APIAccessLog.AccessLogWriter}}[] INFO  "
BEGUN = 'Event="INCOMING_REQUEST", MessageID="{id}", {api}RequestInURL="{url}", RequestInMethod="GET", UserAgent="curl"'
DONE = (
    'Event="REQUEST_COMPLETE", MessageID="{id}-end", ResponseTo="{id}", {api}APPLICATION_NAME="{who}", '
    'END_USER_NAME="jdoe", StatusCode="{status}", RequestOutURL="https://backend.internal.example/", '
    'RequestOutMethod="GET", RequestInURL="{url}", RequestInMethod="GET"'
)
FAILED = (
    'ErrorSource="{source}", Event="ERROR", MessageID="{id}", {api}StatusCode="{status}", ERROR_CODE="{code}", '
    'ERROR_MESSAGE="{message}", RequestInURL="{url}", RequestInMethod="GET", UserAgent="curl", RemoteIP="{who}"'
)
REFUSED = {"source": "_auth_failure_handler_", "status": "401", "code": "900901", "message": "Invalid Credentials"}
NO_API = {"source": "main", "status": "404", "code": "null", "message": "No matching API"}
REQUESTS = [
    *[(DONE, "Weather", f"/weather/1.2.0/cities/{n}", "CampusMap", {"status": "200"}) for n in range(4)],
    *[(DONE, "CCES", f"/cces/v1/courses/{n}?term=FA26", "CampusMap", {"status": "200"}) for n in range(3)],
    (DONE, "CCES", "/cces/v1/courses/9", "Advising", {"status": "503"}),
    *[(FAILED, "CCES", "/cces/v1/courses/7", "192.0.2.7", REFUSED)] * 2,
    (FAILED, None, "/CCES-old/courses", "192.0.2.8", NO_API),
    (FAILED, None, "/wether/today", "192.0.2.7", NO_API),
    *[(DONE, "NAGIOS-check", "/nagios/echo", "Monitor", {"status": "200"})] * 20,
    *[(DONE, "LB-echo", "/echo", "Balancer", {"status": "200"})] * 30,
]


def lines():
    """What the gateway writes: of each request its beginning, unless no API matched, and its end."""
    for number, (end, api, url, who, members) in enumerate(REQUESTS):
        named = f'API="admin--{api}:v1", ' if api else ""
        for text in (BEGUN, end) if api else (end,):
            filled = text.format(id=f"urn:uuid:{number}", api=named, url=url, who=who, **members)
            yield (PREFIX.format(minute=number % 10) + filled).encode()


@pytest.fixture(scope="module")
def tables():
    """Tables that have counted the lines."""
    processor = BatchProcessor(
        config.parse(TOPICS, {}).table,
        cluster="test",
        rollup_partitions=4,
        dead_letters=DeadLetterSettings("dead", 2000),
        clock_ms=lambda: NOW,
    )
    output = processor.process([Message(line, number, at=NOW) for number, line in enumerate(lines())])
    assert not output.dead_letters
    counted = MemoryTables(4)
    for _, value in output.rollup:
        counted.fold(decode_record(value))
    return counted


@pytest.fixture
def ask(fleet, tables):
    """Asks a question, which must be in the documentation as it is."""

    def asked(target):
        assert f"`{target}`" in PAGE, target

        async def main():
            async with fleet(2, tables=tables) as workers:
                reply = await workers[1].get(target)
                assert reply.status == 200, reply.body
                return reply.json

        return asyncio.run(main())

    return asked


def test_calls_of_every_api_over_time(ask):
    """Each request once: the line of its beginning is not counted."""
    answer = ask("/v1/reports/calls?window=24h&step=hour")
    calls = {row["api"]: row["count"] for row in answer["apis"]}
    assert calls == {"Weather": 4, "CCES": 6, "-": 2, "NAGIOS-check": 20, "LB-echo": 30}
    assert sum(map(sum, (row["points"] for row in answer["apis"]))) == len(REQUESTS)


def test_calls_of_some_apis(ask):
    """By wildcard, without regard to case."""
    answer = ask("/v1/reports/calls?window=24h&step=hour&include=*cces*&include=weather*")
    assert {row["api"]: row["count"] for row in answer["apis"]} == {"Weather": 4, "CCES": 6}


def test_calls_without_those_that_only_check(ask):
    """Monitoring and load balancers would hide all else."""
    answer = ask("/v1/reports/calls?window=24h&step=hour&exclude=*nagios*&exclude=*echo*")
    assert {row["api"]: row["count"] for row in answer["apis"]} == {"Weather": 4, "CCES": 6, "-": 2}


def test_who_attempts_to_access_an_api(ask):
    """By a part of the URL: also who is refused, and who asks for a URL that no API serves."""
    answer = ask("/v1/callers?contains=*CCES*")
    assert [(row["client_id"], row["url"], row["count"], row["status"]) for row in answer["callers"]] == [
        ("CampusMap", "/cces/v1/courses/{id}", 3, {"200": 3}),
        ("x-client-ip:192.0.2.7", "/cces/v1/courses/{id}", 2, {"401": 2}),
        ("Advising", "/cces/v1/courses/{id}", 1, {"503": 1}),
        ("x-client-ip:192.0.2.8", "/CCES-old/courses", 1, {"404": 1}),
    ]
    assert (answer["count"], answer["max_unlisted"]) == (7, 0)


def test_outcomes_by_api(ask):
    """Success, or with which error it failed."""
    answer = ask("/v1/reports/outcomes?window=24h&include=*cces*")
    assert {(row["outcome"], row["error"]): row["count"] for row in answer["rows"]} == {
        ("success", None): 3,
        ("auth", "900901 Invalid Credentials"): 2,
        ("backend_error", "503 backend_error"): 1,
    }


def test_urls_that_no_api_serves(ask):
    """Those who call them have mistyped it, or call an API that is gone."""
    answer = ask("/v1/reports/unmatched?window=24h")
    assert {row["url"]: row["count"] for row in answer["urls"]} == {"/CCES-old/courses": 1, "/wether/today": 1}
