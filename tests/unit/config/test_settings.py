"""Loading topics.yaml: the shipped default, the environment, and every message for a file that is wrong."""

from __future__ import annotations

import os
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logrouter import config
from logrouter.config.secret_options import misplaced
from logrouter.config.settings import FILE_NAME, default_path, reread_config
from tests.conftest import examples

DEFAULT = Path(__file__).parents[3] / FILE_NAME

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


def test_load_takes_the_shipped_default_without_any_environment() -> None:
    """The topics.yaml at the root of the repository works as it is."""
    loaded = config.load(DEFAULT, {})

    assert loaded.kafka == {"bootstrap.servers": "localhost:9092"}
    assert loaded.outputs.dead_letter.topic == "logrouter.dead-letter"
    assert [source.name for source in loaded.table.sources] == ["rsyslog", "kubernetes"]
    assert [route.to for route in loaded.table.sources[0].routes] == ["api-gateway.request"]
    assert len(loaded.generation) == 12
    assert len(loaded.tests) == 3


def test_load_without_a_path_prefers_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """./topics.yaml goes before the one that ships."""
    monkeypatch.chdir(tmp_path)
    shipped = default_path()
    (tmp_path / FILE_NAME).write_text(SMALL)

    assert shipped.is_file()
    assert config.load(None, {}).table.sources[0].name == "logs"


def test_load_names_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A missing file is a ConfigError like any other."""
    with pytest.raises(config.ConfigError, match="can't be read: No such file"):
        config.load(tmp_path / "nowhere.yaml", {})


def test_settings_are_frozen_and_can_be_overridden() -> None:
    """A command-line option replaces a part and leaves the original alone."""
    loaded = config.parse(SMALL.encode(), {})
    changed = replace(loaded, route_lane=replace(loaded.route_lane, instance="a"), kafka={"bootstrap.servers": "b:1"})

    assert (changed.route_lane.instance, changed.kafka["bootstrap.servers"]) == ("a", "b:1")
    assert changed.generation == loaded.generation
    with pytest.raises(FrozenInstanceError):
        loaded.route_lane.instance = "b"  # type: ignore[misc]


def test_generation_names_the_bytes_of_the_file() -> None:
    """The same bytes give the same generation, any other byte another, whatever the environment."""
    first = config.parse(SMALL.encode(), {"A": "1"}).generation

    assert config.parse(SMALL.encode(), {"A": "2"}).generation == first
    assert config.parse(SMALL.encode() + b"# x\n", {}).generation != first


def test_references_are_replaced_and_typed() -> None:
    """A reference stands for the number or text that it would be in the file; `$${` is a literal."""
    text = SMALL + (
        "kafka: {bootstrap.servers: '${HOSTS:-a:1}', client.id: 'x$${y}', socket.keepalive.enable: true, retries: 3}\n"
        "tables_lane: {http: {port: '${PORT}'}, data_dir: '${DIR:-/var/lib}/tables'}\n"
    )
    loaded = config.parse(text.encode(), {"PORT": "81", "DIR": ""})

    assert loaded.kafka == {
        "bootstrap.servers": "a:1",
        "client.id": "x${y}",
        "socket.keepalive.enable": "true",
        "retries": "3",
    }
    assert (loaded.tables_lane.http.port, loaded.tables_lane.data_dir) == (81, "/var/lib/tables")


def test_references_are_plain_text_in_routes_and_tests() -> None:
    """What is routed where is the same on every worker that has the file."""
    text = with_route(stream="'${STREAM}'") + "tests: [{line: '${jndi:x}', expect: {outcome: ignored}}]\n"
    loaded = config.parse(text.encode(), {"STREAM": "x"})

    assert loaded.table.sources[0].routes[0].stream == "${STREAM}"
    assert loaded.tests[0].line == "${jndi:x}"


SECRET = "hunter2-very-secret"  # noqa: S105 - it is none


@pytest.mark.parametrize(
    "key",
    [
        "sasl.password",
        "ssl.key.password",
        "ssl.key.pem",
        "ssl.keystore.password",
        "sasl.oauthbearer.client.secret",
        "sasl.oauthbearer.config",
        "sasl.oauthbearer.assertion.private.key.passphrase",
        "sasl.oauthbearer.client.credentials.client.secret",
    ],
)
def test_secrets_never_show(key: str) -> None:
    """A secret comes out of `reveal()` and of nothing else, and a literal one is refused without being repeated."""
    loaded = config.parse(f"{SMALL}kafka: {{{key}: '${{PW}}'}}\n".encode(), {"PW": SECRET})
    secret = loaded.kafka[key]
    literal = problems_of(f"{SMALL}kafka: {{{key}: {SECRET}}}\n")
    default = problems_of(f"{SMALL}kafka: {{{key}: '${{PW:-{SECRET}}}'}}\n")
    part = problems_of(f"{SMALL}kafka: {{{key}: '{SECRET}${{PW}}'}}\n", {"PW": SECRET})

    assert isinstance(secret, config.Secret)
    assert secret.reveal() == SECRET
    assert not any(
        SECRET in text for text in (repr(loaded), str(loaded), f"{secret}", f"{secret!r}", repr({1: secret}))
    )
    says = "is a secret, so it must be a reference like ${NAME}, with no default and nothing around it"
    assert literal == default == part == [f"10:{9 + len(key) + 2}: kafka.{key}: {says}"]


@pytest.mark.parametrize(
    ("section", "path"),
    [
        ("outputs: {dead_letter: {topic: 'x-${DB_PASSWORD}'}}", "outputs.dead_letter.topic"),
        ("route_lane: {group: '${DB_PASSWORD}'}", "route_lane.group"),
        ("tables_lane: {http: {advertise: 'http://${DB_PASSWORD}'}}", "tables_lane.http.advertise"),
        ("access: {jwt: {issuer: a, audience: b, jwks_url: 'https://evil/${DB_PASSWORD}'}}", "access.jwt.jwks_url"),
        ("kafka: {client.id: '${DB_PASSWORD:-x}'}", "kafka.client.id"),
        ("kafka: {bootstrap.servers: '${DB_PASSWORD}:9092'}", "kafka.bootstrap.servers"),
        ("lookups: {l: {file: '${DB_PASSWORD}.csv', key: a, fields: [b]}}", "lookups.l.file"),
    ],
)
def test_a_secret_of_the_environment_is_used_where_it_is_hidden_only(section: str, path: str) -> None:
    """A proposed file could show it: as the name of a topic, a group, or a client, or in a URL that is fetched."""
    found = "\n".join(problems_of(f"{SMALL}{section}\n", {"DB_PASSWORD": SECRET}))

    assert f"{path}: would show the environment variable DB_PASSWORD, a secret by its name" in found
    assert SECRET not in found


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        *((name, True) for name in ("LOGROUTER_PEER_SECRET", "GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "db_passwd")),
        *((name, True) for name in ("STRIPE_API_KEY", "TLS_PRIVATEKEY", "KEY_PASSPHRASE", "GOOGLE_CREDENTIALS")),
        *((name, True) for name in ("SASL_PW", "DB_PASS", "SMTP_PWD", "KAFKA_JAAS_CONFIG", "AZURE_CONNECTION_STRING")),
        *((name, False) for name in ("LOGROUTER_TOKENS_FILE", "KEYSPACE", "HOSTNAME", "PASSAGE", "SECRET_PATH", "POD")),
        *((name, False) for name in ("TOKEN_ENDPOINT", "JWT_TOKEN_ISSUER", "TOKEN_AUDIENCE", "TOKEN_URI", "PWD")),
    ],
)
def test_a_variable_is_a_secret_by_its_name(name: str, secret: bool) -> None:
    """Names of files that hold secrets are none."""
    assert (misplaced(f"a${{{name}}}", "tables_lane.data_dir") == name) is secret
    assert misplaced(f"${{{name}}}", "kafka.sasl.password") is None


def test_values_from_the_environment_are_not_repeated_in_messages() -> None:
    """An environment variable in the wrong place may be a secret too."""
    found = problems_of(SMALL + "tables_lane: {http: {port: '${PORT}'}}\n", {"PORT": SECRET})

    assert found == [
        "10:28: tables_lane.http.port: must be a whole number from 0 to 65535, not a value from the environment"
    ]


def test_hash_key_is_a_secret_reference() -> None:
    """The key of the address hash can't be written in the file."""
    route = with_route(client_ip="hash")

    says = "is a secret, so it must be a reference like ${NAME}, with no default and nothing around it"

    assert problems_of(route + f"privacy: {{hash_key: {SECRET}}}\n") == [f"5:21: privacy.hash_key: {says}"]
    assert config.parse((route + "privacy: {hash_key: '${KEY}'}\n").encode(), {"KEY": SECRET}).table


def test_error_reads_well() -> None:
    """The whole error is a heading and a line for each problem, clickable in a terminal."""
    with pytest.raises(config.ConfigError) as failed:
        config.parse(SMALL.replace("version: 1", "version: 3").encode(), {}, name="etc/topics.yaml")

    assert str(failed.value) == "etc/topics.yaml: 1 problem\n  etc/topics.yaml:1:10: version: must be `1`, not 3"


def test_schema_is_a_file_beside_topics_yaml_or_comes_with_the_package(tmp_path: Path) -> None:
    """A file goes before a packaged schema of the same name; both spellings of a packaged one work."""
    own = tmp_path / "mine.json"
    own.write_text('{"$id": "/mine/1.0.0", "type": "object"}')
    uris = [
        config.parse(with_route(schema=name).encode(), {}, folder=tmp_path).table.sources[0].routes[0].schema_uri
        for name in ("mine.json", "api_request/1.1.0", "schemas/wikimedia/api-gateway/request/1.0.0.json")
    ]

    assert uris == ["/mine/1.0.0", "/logrouter/api_request/1.1.0", "/api-gateway/request/1.0.0"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "mine.json is not JSON: "),
        ("[]", "mine.json is not a JSON object"),
        ('{"type": "strng"}', "mine.json is not a usable schema: "),
        ('{"$ref": "https://example.org/x"}', "mine.json is not a usable schema: "),
        ('{"pattern": "(?=a)"}', "mine.json is not a usable schema: "),
    ],
)
def test_message_of_a_schema_file(tmp_path: Path, content: str, message: str) -> None:
    """A schema file that can't be used is a problem of the route that names it."""
    (tmp_path / "mine.json").write_text(content)
    with pytest.raises(config.ConfigError) as failed:
        config.parse(with_route(schema="mine.json").encode(), {}, folder=tmp_path)

    assert failed.value.problems[0].message.startswith(message)
    assert failed.value.problems[0].path == "routes[0].schema"


def outcome(data: bytes) -> config.Settings | config.ConfigError:
    """What becomes of a file: only a ConfigError is caught."""
    try:
        return config.parse(data, os.environ)
    except config.ConfigError as failed:
        return failed


def test_every_prefix_of_a_valid_file_is_settings_or_a_config_error() -> None:
    """A half-written file never raises anything else, and is never taken for the whole one."""
    data = DEFAULT.read_bytes()
    whole = config.parse(data, {}).generation
    for end in range(0, len(data) - 1, 7):
        got = outcome(data[:end])

        assert got.problems if isinstance(got, config.ConfigError) else got.generation != whole


@given(st.data())
@settings(max_examples=examples(150), deadline=None)
def test_every_mutation_of_a_valid_file_is_settings_or_a_config_error(data: st.DataObject) -> None:
    """A file with a piece replaced by anything never raises anything else."""
    start = data.draw(st.integers(0, len(SMALL)))
    end = data.draw(st.integers(start, min(len(SMALL), start + 12)))
    junk = data.draw(st.text("ab:-[]{}&*!|>'\"%#\n ~?,\\0169.^$", max_size=8))
    got = outcome((SMALL[:start] + junk + SMALL[end:]).encode())

    assert isinstance(got, config.Settings) or got.problems


def test_a_running_lane_does_not_wait_for_a_pipe_in_the_place_of_its_file(tmp_path: Path) -> None:
    """It would never read its file again. What a command is given may be one: `check <(make-config)`."""
    file = tmp_path / "topics.yaml"
    os.mkfifo(file)
    with pytest.raises(config.ConfigError, match="is not a regular file"):
        reread_config(file)
    file.unlink()
    with pytest.raises(config.ConfigError, match="can't be read"):
        reread_config(file)
    file.write_text(SMALL)
    assert reread_config(file) == SMALL.encode()


SINKS = """\
sinks:
  a: {type: webhook, from: requests, url: 'https://a/', authorization: '${TOKEN_OF_A}'}
  b: {type: webhook, from: requests, url: 'https://b/', tls: {ca: of-b.pem}}
"""


def test_a_process_needs_the_secrets_and_files_of_its_own_sink_alone() -> None:
    """Others count as if they were not there; a check reads all of them."""
    data = f"{SMALL}{SINKS}".encode()

    assert config.parse(data, {}, sinks=()).sinks == {}
    assert [*config.parse(data, {"TOKEN_OF_A": "x" * 20}, sinks=("a",)).sinks] == ["a"]
    assert config.parse(data, {}, sinks=("c",)).sinks == {}
    for names, message in ((("a",), "TOKEN_OF_A is not set"), (("b",), "of-b.pem"), (None, "TOKEN_OF_A is not set")):
        with pytest.raises(config.ConfigError, match=message):
            config.parse(data, {}, sinks=names)
    with pytest.raises(config.ConfigError, match="sinks: must be a mapping"):
        config.parse(f"{SMALL}sinks: []\n".encode(), {}, sinks=())
