"""Every message for options of the format `json` that make no sense: what it says, and where."""

from __future__ import annotations

import pytest

from logrouter import config

START = """\
version: 1
sources:
  logs: {topics: [logs], envelope: json}
routes:
  - name: gateway
    from: logs
    to: requests
    format:
      name: json
"""
STATUS = "      fields: {http.status_code: status}\n"


def with_fields(inside: str, more: str = "") -> str:
    """A file whose format has these fields besides the status, in YAML's flow style."""
    return f"{START}      fields: {{http.status_code: status, {inside}}}\n{more}"


def problems_of(text: str) -> list[str]:
    """Every problem of a file, as it is printed but for its place in the list of routes."""
    with pytest.raises(config.ConfigError) as failed:
        config.parse(text.encode(), {})
    return [str(problem).replace("routes[0].format.", "") for problem in failed.value.problems]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        (
            "http.metod: m",
            (
                "10:42: fields.http.metod: 'http.metod' is no field that a key can be read into (did "
                'you mean "http.method"?)'
            ),
        ),
        ("method: m", '(did you mean "http.method"?)'),
        ("uri: u", '(did you mean "meta.uri"?)'),
        ("instance: i", '(did you mean "backend.instance"?)'),
        ("request_id: m", '(did you mean "meta.request_id"?)'),
        ("took: t", '(did you mean "total_time_ms"?)'),
        ("meta.time: t", '(did you mean "time"?)'),
        ("nothing.like_it: t", "is no field that a key can be read into; there are api, api_provider, api_version, "),
        ("route: '$.route'", "fields.route: $.route begins as in another notation: write route, or a JSON pointer"),
        ("meta.dt: t", '(did you mean "time"?)'),
        ("user_agent: t", '(did you mean "http.request_headers.user-agent"?)'),
        (
            "client_id: t",
            "is no field that a key can be read into: name the key in `extras`, and that name in `enrich.client_id`",
        ),
        ("http.request_headers.X-Id: t", "is no field that a key can be read into"),
        (
            "total_time_ms: took",
            (
                "fields.total_time_ms: needs its unit, as {key: took, unit: ms}; there are s, ms, us, "
                "ns, text (as in 12.5ms)"
            ),
        ),
        (
            "total_time_ms: {key: took, unit: sec}",
            "fields.total_time_ms.unit: must be one of `s`, `ms`, `us`, `ns`, `text`, not 'sec'",
        ),
        ("total_time_ms: {unit: s}", "fields.total_time_ms: lacks `key`, which is required"),
        (
            "bytes_sent: {key: size, unit: ms}",
            "fields.bytes_sent.unit: is for durations only: backend_time_ms, total_time_ms",
        ),
        ("route: {key: r, form: epoch_s}", "fields.route.form: is for `time` only"),
        ("route: {key: r, at: end}", "fields.route.at: is for `time` only"),
        ("time: {key: t, unit: s}", "fields.time.unit: is for durations; a time has a `form`, such as epoch_ms"),
        (
            "time: {key: t, form: unix}",
            (
                "fields.time.form: no form 'unix'; there are auto, rfc3339, epoch_s, epoch_ms, "
                "epoch_us, epoch_ns, and those of strftime, such as %d/%b/%Y:%H:%M:%S %z"
            ),
        ),
        ("time: {key: t, form: '%Y-%q'}", "fields.time.form: %q in a time is not understood"),
        ("time: {key: t, form: '%Y %f %Y'}", "fields.time.form: '%Y %f %Y' has a directive twice"),
        (
            "time: {key: t, form: '%H:%M:%S'}",
            "fields.time.form: '%H:%M:%S' gives no time: it needs year, month, day, hour, minute and second, or %s",
        ),
        ("route: /a~b", "fields.route: in a JSON pointer ~ is written ~0, and a slash in a name ~1"),
        ("route: a.b.c.d.e.f.g.h.i", "fields.route: a key of 9 parts; at most 8 are read"),
        ("route: [a, a]", "fields.route[1]: 'a' is listed twice"),
        ("route: [a, 1]", "fields.route[1]: must be a key of the line (put it in quotes), not 1"),
        (
            "application: account.token",
            (
                "fields.application: account.token is called like a secret, which is never read; if "
                "it holds none, say not_secret: true"
            ),
        ),
        ("application: {key: token.name, at: start}", "token.name is called like a secret"),
        (
            "http.request_headers.authorization: a",
            "fields.http.request_headers.authorization: the header authorization holds a secret, which is never read",
        ),
        (
            "http.request_headers.x-a: {key: api_key}",
            "fields.http.request_headers.x-a: api_key is called like a secret",
        ),
    ],
)
def test_a_field_that_makes_no_sense_is_told(fields, says):
    """One sentence that names the field, and what would be right."""
    (problem,) = problems_of(with_fields(fields))

    assert says in problem


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (START, "fields: says which key is which field of the event: {http.status_code: status, http.method: method}"),
        (START + "      fields: {}\n", "10:15: fields: must not be empty"),
        (
            START + "      fields: {route: r}\n",
            (
                "required: name the keys that all requests have, and nothing else has; without it, "
                "http.status_code must be in fields"
            ),
        ),
        (START + STATUS + "      required: [a, a]\n", "required[1]: 'a' is listed twice"),
        (START + STATUS + "      required: /a~b\n", "required: in a JSON pointer ~ is written ~0"),
        (
            START + STATUS + "      extras: {route: r}\n",
            "extras.route: is the name of a field of the event; take another one",
        ),
        (
            START + STATUS + "      extras: {x-id: r}\n",
            "extras.x-id: must be a name (letters, digits, _ .; at most 64), not 'x-id'",
        ),
        (START + STATUS + "      extras: {plan: {key: p, unit: s}}\n", "extras.plan.unit: unknown key"),
        (
            START + STATUS + "      extras: {who: session.user}\n",
            "extras.who: session.user is called like a secret, which is never read",
        ),
        (
            with_fields("http.client_ip: [ip, peer]", "      extras: {peer: peer}\n"),
            (
                "extras.peer: is the client's address, which the source http.client_ip gives as the "
                "route's client_ip allows"
            ),
        ),
        (
            START + STATUS + "      pattern: x\n",
            "pattern: the format json does not take this; it takes errors, extras, fields, required",
        ),
        (
            START.replace("name: json", "name: envoy") + STATUS,
            "fields: the format envoy does not take this; it takes no options",
        ),
    ],
)
def test_options_that_make_no_sense_are_told(text, says):
    """One sentence that names the option, and what would be right."""
    (problem,) = problems_of(text)

    assert says in problem


@pytest.mark.parametrize(
    "text",
    [
        START + STATUS,
        START + "      fields: {route: r}\n      required: r\n",
        with_fields("error.code: code", "      extras: {sub: {key: jwt.sub, not_secret: true}}\n"),
        with_fields("bytes_sent: session.bytes, time: {key: token.at, form: '%s'}"),
        with_fields("time: {key: t, form: '%Y-%m-%dT%H:%M:%S.%f%z'}, http.request_headers.user-agent: [ua, agent]"),
        START + "      fields: {http.status_code: [s, '/a/b'], total_time_ms: {key: [t, u], unit: text}}\n",
    ],
)
def test_options_that_make_sense_are_taken(text):
    """Figures hold no secrets, and `error.code` is called as it is."""
    assert config.parse(text.encode(), {}).table.sources[0].routes[0].format == "json"
