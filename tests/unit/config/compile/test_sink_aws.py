"""Keys of AWS for a sink: references, or a file that is renewed while the process runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from logrouter import config
from logrouter.config import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from logrouter.config.compile.sinks import ConfiguredSink

FILE = """\
version: 1
sources: {logs: {topics: [logs], envelope: rsyslog}}
routes: [{name: a, from: logs, format: envoy, to: out}]
sinks:
  search: {type: opensearch, from: out, url: 'https://h', aws: {region: eu-west-1, MORE}}
"""
ENVIRONMENT = {"ID": "AKIDEXAMPLE", "SECRET": "a-long-secret", "TOKEN": "a-long-token"}
KEYS = "access_key_id: '${ID}', secret_access_key: '${SECRET}'"
INI = """\
# written by a tool
[default]
aws_access_key_id = AKIDFILE
aws_secret_access_key = secret%/+of=file

[gate]
aws_access_key_id=AKIDGATE
aws_secret_access_key=secret-of-gate
aws_session_token=token-of-gate==
region=eu-west-1
"""


def sink_of(more: str, folder: Path) -> ConfiguredSink:
    """The sink of a file in *folder*."""
    return config.parse(FILE.replace("MORE", more).encode(), ENVIRONMENT, folder=folder).sinks["search"]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (KEYS, ("AKIDEXAMPLE", "a-long-secret", "")),
        (f"{KEYS}, session_token: '${{TOKEN}}'", ("AKIDEXAMPLE", "a-long-secret", "a-long-token")),
        ("credentials_file: keys", ("AKIDFILE", "secret%/+of=file", "")),
        ("credentials_file: keys, profile: gate", ("AKIDGATE", "secret-of-gate", "token-of-gate==")),
    ],
)
def test_keys_are_references_or_in_a_file(tmp_path, more, expected):
    """As AWS's own tools write it; and no text of them shows a secret."""
    (tmp_path / "keys").write_text(INI)

    keys = sink_of(more, tmp_path).aws_keys

    assert (keys.access_key_id, keys.secret_access_key, keys.session_token) == expected
    assert expected[1] not in repr(keys)


def test_a_renewed_file_makes_another_sink(tmp_path):
    """A process follows it as it follows certificates: by what the files hold."""
    file = tmp_path / "keys"
    file.write_text(INI)
    before = sink_of("credentials_file: keys", tmp_path)
    file.write_text(INI.replace("AKIDFILE", "AKIDNEXT"))
    after = sink_of("credentials_file: keys", tmp_path)

    assert before.inputs == (file,)
    assert before.digest != after.digest
    assert after.aws_keys.access_key_id == "AKIDNEXT"


@pytest.mark.parametrize(
    ("more", "content", "problem"),
    [
        ("service: es", INI, "aws: needs `access_key_id` and `secret_access_key`, or a `credentials_file`"),
        ("access_key_id: '${ID}'", INI, "aws: needs `access_key_id` and `secret_access_key`, or a `credentials_file`"),
        (f"{KEYS}, credentials_file: keys", INI, "takes the place of the keys: keep one of both"),
        ("credentials_file: other", INI, "there is no file other"),
        ("credentials_file: keys, profile: ops", INI, "keys has no section [ops]"),
        ("credentials_file: keys", "[default]\naws_access_key_id=a\n", "keys has no aws_secret_access_key in section"),
        ("credentials_file: keys", "aws_access_key_id=SECRET-KEY\n", "keys is no file of credentials"),
        ("credentials_file: keys", INI + INI, "keys is no file of credentials"),
        ("credentials_file: keys", INI.replace("AKIDFILE", "SECRET-KÄY"), "keys has a key that is not printable ASCII"),
        ("credentials_file: keys", "x" * 70_000, "keys is larger than 65536 bytes"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence_without_a_key(tmp_path, more, content, problem):
    """At the option that has to change."""
    (tmp_path / "keys").write_text(content)

    with pytest.raises(ConfigError) as caught:
        sink_of(more, tmp_path)

    [found] = caught.value.problems
    assert problem in f"{found.path}: {found.message}"
    assert "SECRET-" not in found.message
