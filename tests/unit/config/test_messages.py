"""Every message for a topics.yaml that is wrong: what it says, and where."""

from __future__ import annotations

import pytest

from logrouter import config
from logrouter.core.envelopes import ENVELOPES
from logrouter.core.formats import FORMATS

ANY_ENVELOPE = "one of " + ", ".join(f"`{name}`" for name in ENVELOPES)
ANY_FORMAT = "one of " + ", ".join(f"`{name}`" for name in FORMATS) if len(FORMATS) > 1 else "`envoy`"

SMALL = """\
version: 1
sources:
  logs: {topics: [logs], envelope: rsyslog}
routes:
  - name: gateway
    from: logs
    match: {program: gateway}
    format: envoy
    to: requests
"""


def problems_of(text: str, env: dict[str, str] | None = None) -> list[str]:
    """Every problem of a file, as it is printed."""
    with pytest.raises(config.ConfigError) as failed:
        config.parse(text.encode(), env or {})
    return [str(problem) for problem in failed.value.problems]


def with_route(**changes: str) -> str:
    """The small file with options of its route replaced or added, in YAML's flow style."""
    options = {"name": "gateway", "from": "logs", "match": "{program: gateway}", "format": "envoy", "to": "requests"}
    options |= {key.rstrip("_"): value for key, value in changes.items()}
    inside = ", ".join(f"{key}: {value}" for key, value in options.items() if value)
    return f"version: 1\nsources: {{logs: {{topics: [logs], envelope: rsyslog}}}}\nroutes:\n  - {{{inside}}}\n"


MESSAGES = [
    ("", "must be a mapping that begins with `version: 1`"),
    ("[]", "1:1: must be a mapping that begins with `version: 1`"),
    (SMALL.replace("version: 1\n", ""), "1:1: lacks `version`, which is required"),
    (SMALL.replace("version: 1", "version: 2"), "1:10: version: must be `1`, not 2"),
    (SMALL.replace("version: 1", "version: true"), "1:10: version: must be `1`, not true"),
    (SMALL + "surces: {}", '10:1: surces: unknown key (did you mean "sources"?)'),
    (SMALL + "tests:", "10:7: tests: must be a list; each: a mapping, not empty"),
    (SMALL + "kafka: [a]", "10:8: kafka: must be a mapping from librdkafka setting to text, number, true or false"),
    (SMALL + "kafka: {acks: }", "10:14: kafka.acks: must be text, a number, true or false"),
    (
        SMALL + "kafka: {group.id: a}",
        "10:9: kafka.group.id: is not for this section: set route_lane.group or tables_lane.group",
    ),
    (SMALL + "kafka: {acks: '${X}'}", "10:15: kafka.acks: environment variable X is not set"),
    (SMALL + "kafka: {acks: '${1X}'}", "10:15: kafka.acks: a reference is written ${NAME} or ${NAME:-default}"),
    (SMALL + "kafka: {acks: '${X'}", "10:15: kafka.acks: a reference is written ${NAME} or ${NAME:-default}"),
    (
        SMALL + "route_lane: {batch: {max_records: 0}}",
        "10:35: route_lane.batch.max_records: must be a whole number from 1 to 1000000, not 0",
    ),
    (
        SMALL + "route_lane: {batch: {max_records: '9'}}",
        "10:35: route_lane.batch.max_records: must be a whole number from 1 to 1000000, not '9'",
    ),
    (
        SMALL + "route_lane: {static_membership: no}",
        "10:33: route_lane.static_membership: must be true or false, not 'no'",
    ),
    (
        SMALL + "route_lane: {group: a b}",
        "10:21: route_lane.group: must be a group name (letters, digits, . _ -), not 'a b'",
    ),
    (
        SMALL + "tables_lane: {http: {advertise: gw:1}}",
        "10:33: tables_lane.http.advertise: must be a base URL like http://host:8080, not 'gw:1'",
    ),
    (
        SMALL + "outputs: {rollup: {topic: logrouter.dead-letter}}",
        "10:27: outputs.rollup.topic: logrouter.dead-letter is outputs.dead_letter.topic as well",
    ),
    (SMALL.replace("[logs]", "[]"), "3:18: sources.logs.topics: has 0 entries, 1 to 1000 are allowed"),
    (SMALL.replace("[logs]", "[logs, logs]"), "3:25: sources.logs.topics[1]: 'logs' is listed twice"),
    (
        SMALL.replace("[logs]", "[a/b]"),
        "3:19: sources.logs.topics[0]: must be a topic name (letters, digits, . _ -), not 'a/b'",
    ),
    (
        SMALL.replace("[logs]", "['^(a']"),
        "3:19: sources.logs.topics[0]: is not a regular expression of RE2: missing ): ^((a)$",
    ),
    (
        SMALL.replace("[logs]", r"['^a\d']"),
        r"3:19: sources.logs.topics[0]: \d is not in POSIX extended syntax, which is all that the Kafka client knows",
    ),
    (
        SMALL.replace("[logs]", f"['^{'a' * 500}']"),
        "3:19: sources.logs.topics[0]: has 501 characters, at most 500 are allowed",
    ),
    (
        SMALL.replace("[logs]", "[requests]"),
        "3:19: sources.logs.topics[0]: requests is written by logrouter or by Kafka itself: no output can be an input",
    ),
    (
        SMALL.replace("[logs]", "[__consumer_offsets]"),
        (
            "3:19: sources.logs.topics[0]: __consumer_offsets is written by logrouter or by Kafka itself: "
            "no output can be an input"
        ),
    ),
    (
        SMALL.replace("[logs]", "[logrouter-tables-x-changelog]"),
        (
            "3:19: sources.logs.topics[0]: logrouter-tables-x-changelog is written by logrouter or by Kafka itself: "
            "no output can be an input"
        ),
    ),
    (
        SMALL.replace("sources:\n", "sources:\n  other: {topics: logs, envelope: rsyslog}\n"),
        "4:19: sources.logs.topics[0]: source other takes logs already",
    ),
    (
        SMALL.replace("envelope: rsyslog", "envelope: rsylog"),
        f"3:36: sources.logs.envelope: must be {ANY_ENVELOPE}, not 'rsylog' (did you mean \"rsyslog\"?)",
    ),
    (
        SMALL.replace("sources:\n", "sources:\n  lo gs: {topics: x, envelope: rsyslog}\n"),
        "3:10: sources.lo gs: must be a name (letters, digits, . _ -; at most 64), not 'lo gs'",
    ),
    (with_route(name=""), "4:5: routes[0]: lacks `name`, which is required"),
    (
        with_route(name="7"),
        "4:12: routes[0].name: must be a name (letters, digits, . _ -; at most 64) (put it in quotes), not 7",
    ),
    (
        with_route(from_="log"),
        "4:27: routes[0].from: there is no source 'log' (did you mean \"logs\"?); there are logs",
    ),
    (
        with_route(format="envoi"),
        f"4:68: routes[0].format: must be {ANY_FORMAT}, not 'envoi' (did you mean \"envoy\"?)",
    ),
    (
        with_route(to="logrouter.rollup"),
        "4:79: routes[0].to: logrouter.rollup is outputs.rollup.topic as well: events need their own topic",
    ),
    (with_route(to="_requests"), '4:79: routes[0].to: topics that begin with "_" are Kafka\'s own'),
    (
        with_route(schema="nope/1.0.0"),
        (
            "4:97: routes[0].schema: there is no schema 'nope/1.0.0': no such file, and the package has "
            "api_request/1.0.0, api_request/1.1.0, dead_letter/1.0.0, wikimedia/api-gateway/request/1.0.0"
        ),
    ),
    (with_route(weight="0.5"), "4:97: routes[0].weight: must be a number from 1 to 1000000, not 0.5"),
    (
        with_route(weight="{by_status: {6xx: 2}}"),
        "4:115: routes[0].weight.by_status.6xx: must be a status like 429, or a class like 5xx, not '6xx'",
    ),
    (
        with_route(client_ip="hsh"),
        "4:100: routes[0].client_ip: must be one of `keep`, `truncate`, `hash`, not 'hsh' (did you mean \"hash\"?)",
    ),
    (with_route(client_ip="hash"), "4:100: routes[0].client_ip.policy: `hash` needs `privacy.hash_key`"),
    (with_route(request_headers="[a b]"), "4:107: routes[0].request_headers[0]: must be a header name, not 'a b'"),
    (
        with_route(tables="[clients, users]"),
        "4:107: routes[0].tables[1]: must be one of `clients`, `apis`, `urls`, not 'users' (did you mean \"urls\"?)",
    ),
    (
        with_route(enrich="{api: {paths: [{}]}}"),
        "4:112: routes[0].enrich.api.paths[0]: needs either `prefix` or `glob`",
    ),
    (
        with_route(enrich="{api: {paths: [{glob: /a}]}}"),
        "4:112: routes[0].enrich.api.paths[0]: without a name the pattern needs a group called api",
    ),
    (
        with_route(enrich="{client_id: []}"),
        "4:109: routes[0].enrich.client_id: has 0 entries, 1 to 20 are allowed",
    ),
    (
        with_route(format="{name: nginx, pattern: $host $a$b}"),
        "4:91: routes[0].format.pattern: at character 9: nothing stands between $a and $b, so they can't be told apart",
    ),
    (
        with_route(format="{name: auto, formats: [nginx, auto]}"),
        "4:98: routes[0].format.formats[1]: auto has no signature to be told by",
    ),
    (with_route() + "tests: [{line: x, source: y, expect: {}}]", "5:27: tests[0].source: there is no source 'y'"),
    (
        with_route() + "tests: [{line: x, expect: {route: _unmatch}}]",
        "5:35: tests[0].expect.route: there is no route '_unmatch' (did you mean \"_unmatched\"?)",
    ),
    (with_route() + "tests: [{line: x}]", "5:9: tests[0]: lacks `expect`, which is required"),
]


@pytest.mark.parametrize(("text", "message"), MESSAGES)
def test_message(text: str, message: str) -> None:
    """One mistake gives one message, with its place and its path."""
    assert problems_of(text) == [message]


MATCH_MESSAGES = [
    ("{}", "match: must not be empty"),
    ("[a]", "match: must be a mapping from envelope field to condition"),
    (
        "{host: {}}",
        "match.host: needs one of equals, in, glob, prefix, suffix, contains, regex, gt, ge, lt, le, cidr, exists",
    ),
    ("{host: true}", "match.host: must be text, not true"),
    ("{host: 1.5}", "match.host: must be text, not 1.5"),
    ("{host: }", "match.host: must be text, not empty"),
    ("{host: []}", "match.host: must be a list of texts, not empty"),
    ("{host: [a, {}]}", "match.host[1]: must be text, not {}"),
    ("{host: '-'}", 'match.host: can never hold: "-" means that the field is absent, so write {exists: false}'),
    ("{host: {exists: 1}}", "match.host.exists: must be true or false, not 1"),
    (
        "{host: {globb: a}}",
        (
            'match.host.globb: no such operator (did you mean "glob"?); '
            "there are equals, in, glob, prefix, suffix, contains, regex, gt, ge, lt, le, cidr, exists"
        ),
    ),
    ("{looks_like: page}", "match.looks_like: must be `request`, not 'page'"),
    (
        "{not: {looks_like: request}}",
        "match.not.looks_like: belongs at the top of `match`: it is asked of the whole line",
    ),
    ("{any: {host: a}}", "match.any: must be a list of condition mappings, not empty"),
    ("{all: [{}]}", "match.all[0]: must not be empty"),
    ("{not: }", "match.not: must not be empty"),
]


@pytest.mark.parametrize(("match", "message"), MATCH_MESSAGES)
def test_message_of_a_condition(match: str, message: str) -> None:
    """A wrong condition is named by its place in `match`."""
    found = problems_of(with_route(match=match))

    assert [problem.partition("routes[0].")[2] for problem in found] == [message]


def test_a_test_that_names_a_route_that_could_not_be_read_is_no_second_problem() -> None:
    """One mistake gives one message, wherever its name is used."""
    text = SMALL.replace("to: requests", "too: requests") + (
        "tests:\n  - {source: logs, line: x, expect: {outcome: ignored, route: gateway}}\n"
    )

    assert problems_of(text) == [
        "5:5: routes[0]: lacks `to`, which is required",
        '9:5: routes[0].too: unknown key (did you mean "to"?)',
    ]


def test_all_problems_are_listed_at_once_in_file_order() -> None:
    """Problems of reading and of meaning come together, so that one round mends them all."""
    text = SMALL.replace("envoy", "envoi").replace("to: requests", "too: requests") + (
        "  - {name: gateway, from: lgs, format: envoy, to: logrouter.rollup}\n"
        "  - {name: gateway, from: logs, format: envoy, to: x, schema: api_reqest/1.0.0}\n"
    )
    found = problems_of(text)

    assert found == [
        "5:5: routes[0]: lacks `to`, which is required",
        f"8:13: routes[0].format: must be {ANY_FORMAT}, not 'envoi' (did you mean \"envoy\"?)",
        '9:5: routes[0].too: unknown key (did you mean "to"?)',
        "10:27: routes[1].from: there is no source 'lgs' (did you mean \"logs\"?); there are logs",
        "10:51: routes[1].to: logrouter.rollup is outputs.rollup.topic as well: events need their own topic",
        "11:12: routes[2].name: routes[1] is called gateway as well",
        (
            "11:63: routes[2].schema: there is no schema 'api_reqest/1.0.0' (did you mean \"api_request/1.0.0\"?): no "
            "such file, and the package has api_request/1.0.0, api_request/1.1.0, dead_letter/1.0.0, "
            "wikimedia/api-gateway/request/1.0.0"
        ),
    ]


def test_a_problem_is_one_printable_line_wherever_it_is_shown():
    """In the log, in the answer to a request for a reload, on a terminal."""
    with pytest.raises(config.ConfigError) as failed:
        config.parse((SMALL + '"a\\n1:1: b\\e[31m\\u202e": 1').encode(), {})

    (problem,) = failed.value.problems
    assert str(problem) == r"10:1: a\n1:1: b\x1b[31m\u202e: unknown key"
    assert str(failed.value).count("\n") == 1


SINK = "sinks: {s: {type: webhook, url: 'https://h.example.org/', from: %s}}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SMALL + SINK % "'${NAME}'", "sinks.s.from: no route writes to ${NAME}"),
        (SMALL + SINK % "['${NAME}', '${NAME}']", "sinks.s.from[1]: '${NAME}' is listed twice"),
        (SMALL.replace("format: envoy", "format: '${NAME}'"), f"routes[0].format: must be {ANY_FORMAT}, "),
        (SMALL.replace("from: logs", "from: '${NAME}'"), "routes[0].from: "),
    ],
)
def test_no_message_repeats_what_came_from_the_environment(text, message):
    """It may be a secret in the wrong place, or the wrong variable: the message says which variable it was."""
    problems = problems_of(text, {"NAME": "hunter2-hunter2"})

    assert any(message in problem for problem in problems), problems
    assert not any("hunter2" in problem for problem in problems)


def test_of_values_within_each_other_the_longest_is_hidden_first():
    """Else what is left of it would be shown."""
    text = SMALL + SINK % "['${LONG}', '${SHORT}']"

    problems = problems_of(text, {"LONG": "hunter2-hunter3", "SHORT": "hunter2"})

    assert [problem.partition(": ")[2] for problem in problems] == [
        "sinks.s.from[0]: no route writes to ${LONG}",
        "sinks.s.from[1]: no route writes to ${SHORT}",
    ]
