"""The `access` section: read strictly, with nothing secret in any message."""

import pytest
from click.testing import CliRunner

from logrouter import config
from logrouter.access.policy import Policy
from logrouter.access.rates import Rate
from logrouter.access.tokens import hash_token, make_token
from logrouter.cli import cli
from logrouter.config import lint
from logrouter.config.compile.access import build_policy
from logrouter.config.compile.tokens import inline_tokens, read_tokens
from logrouter.config.options.endpoint import is_loopback

TOKEN = make_token(bytes(32))
HASH = hash_token(TOKEN)
REST = "sources: {logs: {topics: [logs], envelope: rsyslog}}\nroutes: [{name: r, from: logs, format: envoy, to: out}]\n"
NEVER = "expires: 2026-01-01T00:00:00Z, not_before: 2026-01-01T00:00:00Z"
JWT = "issuer: i, audience: a"


def access_of(text, more=""):
    """The section of a small file."""
    return config.parse(f"version: 1\naccess: {text}\n{more}{REST}".encode(), {}).access


def problems_of(text, more=""):
    """Messages with their paths."""
    with pytest.raises(config.ConfigError) as caught:
        access_of(text, more)
    return [(problem.path, problem.message) for problem in caught.value.problems]


def warnings_of(tmp_path, text):
    """What `check` warns of in the section that is in question here."""
    file = tmp_path / "topics.yaml"
    file.write_text("version: 1\n" + text + REST)
    return [p.message for p in lint.check(file, {}).problems if p.path.startswith("access")]


def test_without_the_section_nobody_is_let_in():
    """The default is to deny."""
    settings = config.parse(f"version: 1\n{REST}".encode(), {})
    policy = build_policy(settings.access, (), b"")
    assert (policy.open, policy.metrics_open, policy.tokens, policy.jwt) == (False, False, (), None)


def test_everything_that_can_be_said_reaches_the_policy():
    """Each option by its own value."""
    access = access_of(
        f"{{tokens: [{{name: one, hash: '{HASH}', scopes: [usage:read], not_before: 2026-01-01T00:00:00Z, "
        "expires: 2027-01-01T00:00:00Z}], metrics: open, audit: false, rate: {requests_per_second: 0.5, burst: 7, "
        "rows_per_second: 1.5, rows_burst: 9}, "
        "strangers: {requests_per_second: 0, burst: 3}, jwt: {issuer: 'https://login.example.org', audience: [a, b], "
        "jwks_url: 'https://login.example.org/keys', algorithms: [ES256], leeway_seconds: 3, claim: roles, "
        "scopes: {analyst: usage:read, ops: [metrics:read, admin]}, client_claim: azp}}"
    )
    policy = build_policy(access, inline_tokens(access), b"")
    (token,) = policy.tokens
    assert (token.caller.name, token.caller.scopes, token.digest.hex()) == ("one", ("usage:read",), HASH[7:])
    assert (token.not_before_ms, token.expires_ms) == (1_767_225_600_000, 1_798_761_600_000)
    assert (policy.metrics_open, policy.audit) == (True, False)
    assert (policy.rate, policy.rows, policy.strangers) == (Rate(0.5, 7), Rate(1.5, 9), Rate(0, 3))
    jwt = policy.jwt
    assert (jwt.issuer, jwt.audience, jwt.url) == (
        "https://login.example.org",
        ("a", "b"),
        "https://login.example.org/keys",
    )
    assert (jwt.algorithms, jwt.leeway_seconds, jwt.claim, jwt.client_claim) == (("ES256",), 3, "roles", "azp")
    assert jwt.scopes == {"analyst": ("usage:read",), "ops": ("metrics:read", "admin")}


def test_mode_open_is_only_what_is_written_out():
    """And then nothing else may seem to matter."""
    assert build_policy(access_of("{mode: open}"), (), b"") == Policy(open=True)
    for more in (
        "tokens_file: t.yaml",
        f"jwt: {{{JWT}, jwks_file: k}}",
        f"tokens: [{{name: a, hash: '{HASH}', scopes: admin}}]",
    ):
        assert problems_of(f"{{mode: open, {more}}}")[0][0] == "access.mode"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("{tokens: [{name: a, scopes: usage:read}]}", "access.tokens[0]"),
        (f"{{tokens: [{{name: 'a b', hash: '{HASH}', scopes: usage:read}}]}}", "access.tokens[0].name"),
        (f"{{tokens: [{{name: a, hash: '{HASH}', scopes: usage:write}}]}}", "access.tokens[0].scopes"),
        (f"{{tokens: [{{name: a, hash: '{HASH}', scopes: []}}]}}", "access.tokens[0].scopes"),
        (f"{{tokens: [{{name: a, hash: '{HASH}', scopes: admin, expires: tomorrow}}]}}", "access.tokens[0].expires"),
        (f"{{tokens: [{{name: a, hash: '{HASH}', scopes: admin, {NEVER}}}]}}", "access.tokens[0].expires"),
        ("{mode: closed}", "access.mode"),
        ("{metrics: public}", "access.metrics"),
        (f"{{jwt: {{{JWT}}}}}", "access.jwt"),
        (f"{{jwt: {{{JWT}, jwks_file: a, jwks_url: 'https://b.example'}}}}", "access.jwt"),
        ("{jwt: {issuer: i, jwks_file: a}}", "access.jwt"),
        (f"{{jwt: {{{JWT}, jwks_url: 'http://login.example.org/keys'}}}}", "access.jwt.jwks_url"),
        (f"{{jwt: {{{JWT}, jwks_url: 'http://localhost.example.org/keys'}}}}", "access.jwt.jwks_url"),
        (f"{{jwt: {{{JWT}, jwks_file: a, algorithms: [none]}}}}", "access.jwt.algorithms[0]"),
        (f"{{jwt: {{{JWT}, jwks_file: a, algorithms: [HS256]}}}}", "access.jwt.algorithms[0]"),
        (f"{{jwt: {{{JWT}, jwks_file: a, algorithms: []}}}}", "access.jwt.algorithms"),
        (f"{{jwt: {{{JWT}, jwks_file: a, scopes: {{x: root}}}}}}", "access.jwt.scopes.x"),
        ("{rate: {burst: 0}}", "access.rate.burst"),
        ("{rate: {rows_burst: 0}}", "access.rate.rows_burst"),
        ("{rate: {rows_per_second: -1}}", "access.rate.rows_per_second"),
    ],
)
def test_what_is_refused(text, path):
    """Each with its place in the file."""
    assert path in [problem[0] for problem in problems_of(text)]


def test_names_and_hashes_are_unique():
    """The audit log could not tell two callers of one name apart."""
    one = f"{{name: a, hash: '{HASH}', scopes: admin}}"
    assert [path for path, _ in problems_of(f"{{tokens: [{one}, {one}]}}")] == [
        "access.tokens[1].name",
        "access.tokens[1].hash",
    ]


def test_a_token_where_its_hash_belongs_is_never_repeated():
    """A mistake must not end in logs."""
    ((path, message),) = problems_of(f"{{tokens: [{{name: a, hash: {TOKEN}, scopes: admin}}]}}")
    assert path == "access.tokens[0].hash"
    assert "this is the token itself" in message
    assert TOKEN[4:] not in message


def test_https_and_what_others_call_us_must_agree():
    """Workers could not reach one that says http and speaks https."""
    lane = "tables_lane: {http: {tls: {cert: c, key: k}, advertise: 'http://w1.example:6066'}}\n"
    assert problems_of("{}", lane)[0][0] == "tables_lane.http.advertise"


def test_check_warns_of_doors_that_are_open_to_a_network_and_of_those_nobody_can_open(tmp_path):
    """What is valid and will hardly do what was meant."""
    network = "tables_lane: {http: {host: 0.0.0.0}}\n"
    assert warnings_of(tmp_path, "") == []
    assert warnings_of(tmp_path, "access: {mode: open}\n") == []
    told = "access: {mode: open, open_to_network: true}\n"
    assert warnings_of(tmp_path, network + told)[0].startswith("lets in everybody who reaches 0.0.0.0")
    assert "lets nobody in" in warnings_of(tmp_path, network + "access: {metrics: open}\n")[0]
    assert warnings_of(tmp_path, network + "access: {tokens_file: t.yaml}\n") == []


@pytest.mark.parametrize(
    ("host", "here"),
    [
        *(("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("[::1]", True), ("localhost", True)),
        *(("0.0.0.0", False), ("::", False), ("192.0.2.7", False), ("127.example.org", False)),  # noqa: S104 - compared
        *(("localhost.example.org", False), ("", False)),
    ],
)
def test_what_is_loopback(host, here):
    """A name that only begins like it is not."""
    assert is_loopback(host) == here


def test_a_tokens_file_is_a_list_of_the_same(tmp_path):
    """Empty is a list, too: it lets nobody in."""
    assert read_tokens(b"", "t.yaml") == read_tokens(b"# none yet\n", "t.yaml") == ()
    (token,) = read_tokens(f"- {{name: a, hash: '{HASH}', scopes: usage:read}}\n".encode(), "t.yaml")
    assert token.caller.name == "a"


@pytest.mark.parametrize(
    "text", [b"{", b"a: 1", b"- 7", b"- {name: a}", b"\xff", b"- {name: a, hash: h, scopes: x}", b"\x00"]
)
def test_a_tokens_file_with_anything_wrong_is_refused_whole(text):
    """Half of it would let in some and lock out others."""
    with pytest.raises(config.ConfigError, match=r"t\.yaml"):
        read_tokens(text, "t.yaml")


@pytest.mark.parametrize(
    ("arguments", "scopes", "expires"),
    [
        (["--scope", "usage:read"], ("usage:read",), True),
        (["--client", "a b/ü\"'", "--expires", "never"], ("usage:read:client=a%20b%2F%C3%BC%22%27",), False),
        (["--api", "core", "--api", "pay *"], ("usage:read:api=core", "usage:read:api=pay%20*"), True),
        (
            ["--scope", "metrics:read", "--scope", "admin", "--expires", "9999-01-01T00:00:00Z"],
            ("admin", "metrics:read"),
            True,
        ),
    ],
)
def test_the_command_prints_a_token_and_the_line_that_lets_it_in(arguments, scopes, expires):
    """The token on stderr, once; stdout can be appended to the file."""
    done = CliRunner().invoke(cli, ["token", "true", *arguments])
    assert done.exit_code == 0
    (token,) = read_tokens(done.stdout.encode(), "t.yaml")
    (text,) = [word for word in done.stderr.split() if word.startswith("lrt_")]
    assert (token.caller.name, token.caller.scopes, token.expires_ms is not None) == ("true", scopes, expires)
    assert token.digest.hex() == hash_token(text).removeprefix("sha256:")
    assert text not in done.stdout


def test_two_tokens_are_never_the_same():
    """They are random."""
    made = {CliRunner().invoke(cli, ["token", "a", "--scope", "admin"]).stdout for _ in range(5)}
    assert len(made) == 5


@pytest.mark.parametrize(
    "arguments",
    [
        ["a"],
        ["a", "--scope", "root"],
        ["a b", "--scope", "admin"],
        ["a", "--client", ""],
        ["a", "--client", "caf\udce9"],
        ["a", "--api", ""],
        ["a", "--api", "caf\udce9"],
        ["a", "--scope", "usage:read:api=core?"],
        ["a", "--scope", "admin", "--expires", "2001-01-01T00:00:00Z"],
        ["a", "--scope", "admin", "--expires", "0d"],
        ["a", "--scope", "admin", "--expires", "soon"],
    ],
)
def test_the_command_refuses_what_would_be_of_no_use(arguments):
    """Exit code 2, and no token."""
    done = CliRunner().invoke(cli, ["token", *arguments])
    assert done.exit_code == 2
    assert "lrt_" not in done.output


def test_check_finds_that_a_worker_would_not_start_for_being_open_to_a_network(tmp_path):
    """An error of `check`; the route lane, which the section is not about, takes the file."""
    text = "version: 1\naccess: {mode: open}\ntables_lane: {http: {host: 0.0.0.0}}\n" + REST
    file = tmp_path / "topics.yaml"
    file.write_text(text)

    found = lint.check(file, {})

    assert [(problem.severity, problem.path, problem.line) for problem in found.problems] == [
        ("error", "access.mode", 2)
    ]
    assert found.problems[0].message.endswith("or say access.open_to_network: true")
    assert found.settings is None
    assert config.load(file, {}).access.mode == "open"
