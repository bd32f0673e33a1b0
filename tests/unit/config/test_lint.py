"""Lints: what is valid in a topics.yaml and will hardly do what was meant, and what is not to be complained about."""

from __future__ import annotations

from pathlib import Path

import pytest

from logrouter.config import lint
from logrouter.config.lint import check
from logrouter.config.settings import FILE_NAME

ROOT = Path(__file__).parents[3]
LOGS = "logs: {topics: [logs], envelope: rsyslog}"


def warnings_of(tmp_path: Path, routes: str, sources: str = LOGS, more: str = "") -> list[str]:
    """Path and message of every finding about a file with these routes, one a line, each but its format and topic."""
    made = "".join(
        f"  - {{name: r{n}, format: envoy, to: out-{n}, {line}}}\n" for n, line in enumerate(routes.splitlines())
    )
    inputs = "".join(f"  {line}\n" for line in sources.split("; "))
    file = tmp_path / "topics.yaml"
    file.write_text(f"version: 1\nsources:\n{inputs}routes:\n{made}{more}")
    found = check(file, {"KEY": "x" * 16, "SHORT": "x" * 15})
    assert found.settings is not None, found.problems
    assert {problem.severity for problem in found.problems} <= {"warning"}
    assert all(problem.line is not None for problem in found.problems)
    return [f"{problem.path}: {problem.message}" for problem in found.problems]


def test_long_lists_of_conditions_are_not_compared(tmp_path: Path) -> None:
    """Each with each of thousands takes hours, and nobody writes them by hand."""
    few = ", ".join(["{program: x}"] * 3)
    many = ", ".join(f"{{program: p{n}}}" for n in range(3_000))

    assert len(warnings_of(tmp_path, f"from: logs, match: {{any: [{few}]}}")) == 2
    assert warnings_of(tmp_path, f"from: logs, match: {{any: [{many}]}}") == []


def test_routes_are_not_compared_if_their_conditions_multiply(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Topics times the square of the conditions of their routes; each network of a list counts as one."""
    nets = "10.0.0.0/8, 192.0.2.0/24", "10.0.0.0/8"
    routes = "\n".join(f"from: logs, match: {{field.ip: {{cidr: [{given}]}}}}" for given in nets)

    assert len(warnings_of(tmp_path, routes)) == 1
    monkeypatch.setattr(lint, "MAX_COMPARISONS", 8)
    assert warnings_of(tmp_path, routes) == []
    monkeypatch.setattr(lint, "MAX_COMPARISONS", 9)
    assert len(warnings_of(tmp_path, routes)) == 1


FEW = "has fewer than 16 characters, so trying can find it: take 32 random bytes"
TWO = "a: {topics: [a], envelope: rsyslog}; b: {topics: [b], envelope: rsyslog}"


@pytest.mark.parametrize(
    ("routes", "message"),
    [
        (
            "from: logs\nfrom: logs, match: {program: x}",
            "routes[1]: r1 is never reached: routes[0] (r0) before it takes everything that it matches",
        ),
        (
            "from: logs, match: {program: x}\nfrom: logs, match: {program: x}",
            "routes[1]: r1 is never reached: routes[0] (r0) before it takes everything that it matches",
        ),
        (
            "from: logs, match: {program: {prefix: api-}}\nfrom: logs, match: {program: [api-a, api-b], host: h}",
            "routes[1]: r1 is never reached: routes[0] (r0) before it takes everything that it matches",
        ),
        (
            "from: logs, match: {host: {cidr: 10.0.0.0/8}}\nfrom: logs, match: {host: {cidr: 10.1.0.0/16}}",
            "routes[1]: r1 is never reached: routes[0] (r0) before it takes everything that it matches",
        ),
        (
            "from: logs, match: {field.n: {gt: 5}}\nfrom: logs, match: {field.n: {ge: 6}}",
            "routes[1]: r1 is never reached: routes[0] (r0) before it takes everything that it matches",
        ),
        (
            "from: logs, match: {program: {regex: ^a}}\nfrom: logs, match: {program: {regex: ^a}, looks_like: request}",
            "routes[1]: r1 is never reached: routes[0] (r0) before it takes everything that it matches",
        ),
        (
            "from: logs, match: {looks_like: request}\nfrom: logs, match: {program: x, looks_like: request}",
            "routes[1]: r1 is never reached: routes[0] (r0) before it takes everything that it matches",
        ),
        (
            "from: logs, request: {status_code: {ge: 400}}\nfrom: logs, request: {status_code: [500, 503]}",
            "routes[1]: r1 is never reached: routes[0] (r0) before it takes everything that it matches",
        ),
        (
            "from: logs, match: {topic: other}",
            "routes[0]: r0 is never reached: its conditions hold for no topic of logs",
        ),
        (
            "from: logs, match: {program: a}\nfrom: logs, match: {any: [{program: a}, {program: b}]}",
            "routes[1].match.any[0]: adds nothing: routes[0] (r0) before it takes everything that it matches",
        ),
        (
            "from: logs, match: {any: [{program: a, host: h}, {program: [a, b]}]}",
            "routes[0].match.any[0]: adds nothing: any[1] holds whenever it does",
        ),
        (
            "from: logs, match: {any: [{program: a}, {program: a}]}",
            "routes[0].match.any[1]: adds nothing: any[0] holds whenever it does",
        ),
        (
            "from: logs, match: {program: a, not: {program: {prefix: a}}}",
            "routes[0].match: never holds together: program equals a, and not (program begins with a)",
        ),
        (
            "from: logs, match: {host: a, all: [{host: b}]}",
            "routes[0].match: never holds together: host equals a, and host equals b",
        ),
        (
            "from: logs, match: {pod: {exists: false, prefix: x}}",
            "routes[0].match: never holds together: pod is absent, and pod begins with x",
        ),
        (
            "from: logs, request: {status_code: {ge: 500, lt: 500}}",
            "routes[0].request: never holds together: status_code is at least 500, and status_code is less than 500",
        ),
        (
            "from: logs, request: {any: [{api: x}, {client_ip: {cidr: 10.0.0.0/8}, not: {client_ip: {exists: true}}}]}",
            "routes[0].request: never holds together: client_ip is in 10.0.0.0/8, and not (client_ip is there)",
        ),
        (
            "from: logs, match: {stream: stdot}",
            'routes[0].match.stream: no stream is "stdot" (did you mean "stdout"?); there are stderr, stdout',
        ),
        (
            "from: logs, match: {shape: {glob: 'x*'}}",
            (
                "routes[0].match.shape.glob: no shape matches x*; there are cee, cloudwatch, containerd, docker, ecs, "
                "json, kubernetes, plain"
            ),
        ),
        (
            "from: logs, match: {severity: {regex: '^E[A-Z]X'}}",
            (
                "routes[0].match.severity.regex: no severity matches /^E[A-Z]X/; there are alert, crit, critical, "
                "debug, emerg, emergency, err, error, fatal, info, informational, notice, panic, trace, warn, warning"
            ),
        ),
        (
            "from: logs, request: {status_code: [200, 700]}",
            'routes[0].request.status_code: no status_code is "700"',
        ),
        (
            "from: logs, request: {status_class: {in: [5XX]}}",
            'routes[0].request.status_class: no status_class is "5XX"; there are 0xx, 1xx, 2xx, 3xx, 4xx, 5xx',
        ),
    ],
)
def test_warning_about_a_route(tmp_path: Path, routes: str, message: str) -> None:
    """One doubtful thing gives one warning, with its path."""
    assert warnings_of(tmp_path, routes) == [message]


@pytest.mark.parametrize(
    "routes",
    [
        "from: logs, match: {program: x}\nfrom: logs",
        "from: logs, match: {program: x, host: h}\nfrom: logs, match: {program: x}",
        "from: logs, match: {looks_like: request}\nfrom: logs",
        "from: logs, request: {api: x}\nfrom: logs",
        "from: logs, request: {api: x}, enrich: {api: tenant}\nfrom: logs, request: {api: x}",
        "from: logs, match: {program: {prefix: api-}}\nfrom: logs, match: {program: {regex: ^api-}}",
        "from: logs, match: {field.n: {gt: 5}}\nfrom: logs, match: {field.n: {ge: 5}}",
        "from: logs, match: {not: {program: x}}\nfrom: logs, match: {not: {program: [x, y], host: h}}",
        "from: logs, match: {severity: ERR, stream: {glob: 'std*'}, shape: cee}",
        "from: logs, match: {any: [{program: a, host: h}, {program: b, host: h}], not: {host: g}}",
        "from: logs, request: {method: [GET, MKCOL], status_code: {glob: 5??}, status_class: {prefix: '4'}}",
    ],
)
def test_no_warning_where_every_route_gets_something(tmp_path: Path, routes: str) -> None:
    """What is not surely wrong is not mentioned."""
    assert warnings_of(tmp_path, routes) == []


@pytest.mark.parametrize(
    ("routes", "sources", "messages"),
    [
        (
            "from: a\nfrom: [a, b]",
            TWO,
            ["routes[1].from: r1 gets nothing from a: routes[0] (r0) before it takes everything that it matches"],
        ),
        (
            "from: a\nfrom: b\nfrom: [a, b]",
            TWO,
            ["routes[2]: r2 is never reached: routes[0] (r0) before it takes everything that it matches"],
        ),
        ("from: a", TWO, ["sources.b: no route takes from b, so its topics are read for nothing"]),
        (
            "from: logs, match: {topic: a}\nfrom: logs, match: {topic: b}\nfrom: logs, match: {program: x}",
            "logs: {topics: [a, b], envelope: rsyslog}",
            [
                (
                    "routes[2]: r2 is never reached: "
                    "routes[0] (r0) and routes[1] (r1) before it take everything that it matches"
                )
            ],
        ),
        (
            "from: logs, match: {topic: a}\nfrom: logs, match: {program: x}",
            "logs: {topics: [a, '^b.*'], envelope: rsyslog}",
            [],
        ),
        (
            "from: logs\nfrom: logs",
            "logs: {topics: [a], envelope: rsyslog, routing: all-matches}",
            [],
        ),
        (
            "from: logs",
            "logs: {topics: [in, '^out.*'], envelope: rsyslog}",
            ["sources.logs.topics[1]: ^out.* selects out-0 as well, an output of this file; outputs are never read"],
        ),
        ("from: logs", "logs: {topics: [in, '^ou'], envelope: rsyslog}", []),
    ],
)
def test_warning_about_sources(tmp_path: Path, routes: str, sources: str, messages: list[str]) -> None:
    """Each source is looked at on its own, topic by topic."""
    assert warnings_of(tmp_path, routes, sources) == messages


SHORT = (
    "outputs.rollup.retention_ms: keeps rollup records for 24 h: what a tables lane that is away for longer has not "
    "counted is lost; three days (259200000) outlast a weekend"
)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            "privacy: {hash_key: '${KEY}'}\n",
            "privacy.hash_key: no route says `client_ip: hash`, `user: hash`, or `hashed: true` of its client id",
        ),
        ("admin: {token: '${SHORT}'}\n", f"admin.token: {FEW}"),
        (
            "lookups: {owners: {file: owners.csv, key: id, fields: [owner]}}\n",
            "lookups.owners: no route looks anything up in owners",
        ),
        (
            "outputs: {rollup: {retention_ms: 86400000}}\n",
            SHORT,
        ),
        (
            "tests: [{line: x, expect: {outcome: ignored}}, {line: x, source: logs, expect: {outcome: ignored}}]\n",
            "tests[1]: tests[0] has the same line and source, and expects the same",
        ),
        (
            "tests: [{line: x, expect: {outcome: ignored}}, {line: x, expect: {outcome: accepted}}]\n",
            "tests[1]: tests[0] has the same line and source, and expects something else",
        ),
    ],
)
def test_warning_about_the_rest(tmp_path: Path, more: str, message: str) -> None:
    """What nothing uses, and tests that occur twice."""
    (tmp_path / "owners.csv").write_text("id,owner\n1,a\n")

    assert warnings_of(tmp_path, "from: logs", more=more) == [message]


def test_warning_about_a_pair_whose_window_ends_before_a_dead_process_is_forgotten(tmp_path: Path) -> None:
    """What that has left open hides the other line until its transaction times out."""
    file = tmp_path / "topics.yaml"

    def warned(seconds: int, more: str = "") -> list[str]:
        file.write_text(
            f"version: 1\nsources: {{s: {{topics: t, envelope: plain}}}}\n{more}\nroutes: [{{name: r, from: s, "
            f"format: wso2_access, match: {{looks_like: request}}, pair: {seconds}, to: out}}]\n"
        )
        return [f"{each.path}: {each.message}" for each in check(file, {}).problems]

    assert warned(10) == warned(20, "route_lane: {transaction_timeout_ms: 20000}") == []
    (warning,) = warned(9)
    assert warning == (
        "routes[0].pair.window_seconds: 9 s is shorter than route_lane.transaction_timeout_ms (10000): so long may the "
        "other line be held back by what a dead process has left open"
    )


def test_the_shipped_file_has_nothing_to_warn_of() -> None:
    """The default topics.yaml is as it should be."""
    assert check(ROOT / FILE_NAME, {}).problems == []


def test_errors_come_with_the_warnings_of_reading(tmp_path: Path) -> None:
    """A file that can't be used is told about as far as it can be read, in file order."""
    file = tmp_path / "topics.yaml"
    file.write_text(
        "version: 1\nsources: {logs: {topics: logs, envelope: rsyslog}}\nroutes:\n"
        "  - {name: a, from: logs, match: {stream: x}, format: envoy, too: x, to: out}\n"
    )
    found = check(file, {})

    assert found.settings is None
    assert [(p.severity, p.path) for p in found.problems] == [
        ("warning", "routes[0].match.stream"),
        ("error", "routes[0].too"),
    ]
