"""Sinks of type webhook in topics.yaml: what is refused, in which words, and that no secret is among them."""

from __future__ import annotations

from base64 import b64encode

import pytest

from logrouter import config
from logrouter.config.options.kafka import SecretReference
from logrouter.config.options.sinks import SINK_TYPES
from logrouter.config.secret_options import misplaced
from logrouter.config.yaml.kinds import ListOf, Section, declared_options

KEY = "whsec_" + b64encode(bytes(24)).decode()
ENVIRONMENT = {
    "SIGNING_KEY": KEY,
    "SHORT_KEY": "whsec_c2hvcnQ=",
    "HOOK_TOKEN": "Bearer abc of sixteen",
    "CUT_TOKEN": "Bearer abc of sixteen\n",
}
REST = """\
version: 1
sources: {logs: {topics: [logs], envelope: rsyslog}}
routes: [{name: r, from: logs, format: envoy, to: clean}]
sinks:
  hook: {type: webhook, from: clean, url: "https://hooks.test/in", MORE}
"""


def problems_of(more: str) -> list[tuple[str, str]]:
    """Path and message of every problem of a file with these further options."""
    try:
        config.parse(REST.replace("MORE", more).encode(), ENVIRONMENT)
    except config.ConfigError as error:
        return [(problem.path.removeprefix("sinks.hook."), problem.message) for problem in error.problems]
    return []


def test_everything_that_a_webhook_may_have():
    """Two keys, a secret header, further ones."""
    keys = "signing_keys: ['${SIGNING_KEY}', '${SIGNING_KEY}']"
    more = f"body: lines, {keys}, authorization: '${{HOOK_TOKEN}}', headers: {{X-Team: core}}"

    assert problems_of(more) == []
    assert problems_of("signing_keys: '${SIGNING_KEY}', headers: {}") == []


@pytest.mark.parametrize(
    ("more", "at", "message"),
    [
        ("signing_keys: ['${SIGNING_KEY}', '${SHORT_KEY}']", "signing_keys[1]", "24 to 64 random bytes in base64"),
        ("signing_keys: ['${HOOK_TOKEN}']", "signing_keys[0]", "must be whsec_ and"),
        (
            "authorization: '${CUT_TOKEN}'",
            "authorization",
            "must be printable ASCII text in one line, and what the environment has is not",
        ),
        ("headers: {authorization: x}", "headers.authorization", "use the option `authorization`"),
        ("headers: {Content-Type: text/plain}", "headers.Content-Type", "is set by the sink itself"),
        ("headers: {HOST: elsewhere}", "headers.HOST", "is set by the sink itself"),
        ("headers: {Webhook-Signature: v1}", "headers.Webhook-Signature", "is set by the sink itself"),
        ("headers: {X-A: a, x-a: b}", "headers.x-a", "is the same header as X-A"),
    ],
)
def test_what_a_webhook_may_not_have(more, at, message):
    """One sentence, at its place, without the value of a secret."""
    [(found, words)] = problems_of(more)

    assert found == at
    assert message in words
    assert not any(secret and secret in words for secret in ENVIRONMENT.values())


def secrets_of(options: type, path: str) -> list[str]:
    """The paths of all secrets below a section."""
    found = []
    for _, option in declared_options(options):
        at = f"{path}.{option.key}"
        match option.kind:
            case Section():
                found += secrets_of(option.kind.of, at)
            case ListOf(of=SecretReference()):
                found += [at, f"{at}[0]", f"{at}[1]"]
            case SecretReference():
                found.append(at)
    return found


@pytest.mark.parametrize("path", [p for kind in SINK_TYPES.values() for p in secrets_of(kind, "sinks.out-1")])
def test_secrets_of_sinks_may_come_from_variables_that_are_named_as_such(path):
    """`${HOOK_TOKEN}` shows nothing where a reference is required; beside it, it would."""
    assert misplaced("${HOOK_TOKEN}", path) is None
    assert misplaced("${HOOK_TOKEN}", "sinks.out-1.url") == "HOOK_TOKEN"
