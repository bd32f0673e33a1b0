"""The sections about changing topics.yaml: `canary`, `admin`, and what the generation names."""

from __future__ import annotations

from dataclasses import astuple

import pytest

from logrouter import config
from logrouter.config.compile.inputs import InputFileError, Inputs

SMALL = """\
version: 1
sources: {logs: {topics: [logs], envelope: rsyslog}}
routes: [{name: gateway, from: logs, format: envoy, to: requests}]
"""
BOUNDS_NOTHING = "4:9: canary: bounds nothing: give max_rejected_ratio, max_unmatched_ratio or max_lag_growth_records"
BY_REFERENCE = "admin.token: is a secret, so it must be a reference like ${NAME}, with no default and nothing around it"


def parsed(more, env=None):
    """The settings of the small file with more in it."""
    return config.parse(f"{SMALL}{more}\n".encode(), env or {})


def test_canary_has_defaults_and_is_off_without_its_section():
    """One bound is enough; times come out in milliseconds."""
    assert parsed("").trial_bounds is None
    assert astuple(parsed("canary: {max_rejected_ratio: 0.1}").trial_bounds) == (60_000, 1000, 0.1, None, None)
    whole = (
        "canary: {window_seconds: 5, min_records: 1, max_rejected_ratio: 0, max_unmatched_ratio: 1, "
        "max_lag_growth_records: 7}"
    )
    assert astuple(parsed(whole).trial_bounds) == (5000, 1, 0.0, 1.0, 7)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("canary: {window_seconds: 5}", BOUNDS_NOTHING),
        ("canary: {}", BOUNDS_NOTHING),
        ("canary: {max_rejected_ratio: 2}", "4:30: canary.max_rejected_ratio: must be a number from 0 to 1, not 2"),
        ("canary: {max_rejected: 1}", "4:10: canary.max_rejected: unknown key (did you mean "),
        ("admin: {token: hunter2}", f"4:16: {BY_REFERENCE}"),
        ("admin: {token: '${TOKEN:-hunter2}'}", f"4:16: {BY_REFERENCE}"),
        ("admin: {token: '${TOKEN}'}", "4:16: admin.token: environment variable TOKEN is not set"),
    ],
)
def test_wrong_section_says_what_is_wrong(more, message):
    """With its place, and without the secret."""
    with pytest.raises(config.ConfigError) as failed:
        parsed(more)

    assert str(failed.value.problems[0]).startswith(message)
    assert "hunter2" not in str(failed.value)


def test_admin_token_is_a_secret():
    """It can be compared with and is never shown."""
    settings = parsed("admin: {token: '${TOKEN}'}", {"TOKEN": "hunter2"})

    assert settings.admin_token == config.Secret("hunter2")
    assert "hunter2" not in repr(settings)
    assert parsed("").admin_token is None


def test_generation_names_the_file_and_what_it_is_built_from(tmp_path):
    """Another schema beside the file is another generation; one that is not used is not."""
    text = SMALL.replace("to: requests", "to: requests, schema: mine.json").encode()
    found = set()
    for kind in ("object", "array"):
        (tmp_path / "mine.json").write_text(f'{{"$id": "/mine/1", "type": "{kind}"}}')
        (tmp_path / "other.json").write_text(kind)
        found.add(config.parse(text, {}, folder=tmp_path).generation)
        assert config.parse(text, {}, folder=tmp_path).inputs == (tmp_path / "mine.json",)
        assert (
            config.parse(SMALL.encode(), {}, folder=tmp_path).generation == config.parse(SMALL.encode(), {}).generation
        )

    assert len(found) == 2


def test_inputs_remember_what_was_looked_for_in_vain(tmp_path):
    """A file that is missing, too large or unreadable may be there, smaller or readable tomorrow."""
    inputs = Inputs(tmp_path)
    (tmp_path / "large").write_bytes(b"12345")

    assert inputs.read("missing", 4) is None
    with pytest.raises(InputFileError, match="is larger than 4 bytes"):
        inputs.read("large", 4)
    assert inputs.read("large", 5) == b"12345"
    assert inputs.paths == (tmp_path / "large", tmp_path / "missing")
