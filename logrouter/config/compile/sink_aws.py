"""Keys of AWS: references in the file, or a file that AWS's own tools write and renew."""

from __future__ import annotations

from configparser import Error as BrokenIniError
from configparser import RawConfigParser
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from logrouter.config.compile.inputs import InputFileError
from logrouter.config.yaml.kinds import usable
from logrouter.config.yaml.problems import join_path

if TYPE_CHECKING:
    from logrouter.config.compile.inputs import Inputs
    from logrouter.config.options.sinks import AwsAuthOptions
    from logrouter.config.yaml.problems import Problems

_MAX_BYTES: Final = 1 << 16
_KEY_ID: Final = "aws_access_key_id"
_SECRET: Final = "aws_secret_access_key"  # noqa: S105 - the name of one
_TOKEN: Final = "aws_session_token"  # noqa: S105


@dataclass(frozen=True, slots=True)
class AwsKeys:
    """Keys as they are now; the *session_token* is empty for those that do not end."""

    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)


def read_aws_keys(aws: AwsAuthOptions | None, path: str, files: Inputs, problems: Problems) -> AwsKeys | None:
    """The keys that the options name; None if there are none, or they can't be used."""
    if aws is None or not usable(aws):
        return None
    given = (aws.access_key_id, aws.secret_access_key, aws.session_token)
    if not usable(aws.credentials_file) or not all(each is None or usable(each) for each in given):
        return None
    if aws.credentials_file:
        if any(each is not None for each in given):
            problems.add(join_path(path, "credentials_file"), "takes the place of the keys: keep one of both")
            return None
        return _read_file(aws, join_path(path, "credentials_file"), files, problems)
    key_id, secret, token = given
    if key_id is None or secret is None:
        problems.add(path, "needs `access_key_id` and `secret_access_key`, or a `credentials_file`")
        return None
    return AwsKeys(key_id.reveal(), secret.reveal(), "" if token is None else token.reveal())


def _read_file(aws: AwsAuthOptions, at: str, files: Inputs, problems: Problems) -> AwsKeys | None:
    name = aws.credentials_file
    try:
        data = files.read(name, _MAX_BYTES)
    except InputFileError as error:
        problems.add(at, f"{name} {error}")
        return None
    if data is None:
        problems.add(at, f"there is no file {name}")
        return None
    ini = RawConfigParser()
    try:
        ini.read_string(data.decode())
        section = dict(ini.items(aws.profile)) if ini.has_section(aws.profile) else None
    except (BrokenIniError, UnicodeDecodeError):  # what they say may hold a key
        problems.add(at, f"{name} is no file of credentials as AWS's tools write them: sections with `name = value`")
        return None
    if section is None:
        problems.add(at, f"{name} has no section [{aws.profile}]")
        return None
    missing = [key for key in (_KEY_ID, _SECRET) if not section.get(key)]
    if missing:
        problems.add(at, f"{name} has no {' and no '.join(missing)} in section [{aws.profile}]")
        return None
    values = (section[_KEY_ID], section[_SECRET], section.get(_TOKEN, ""))
    if not all(value.isascii() and value.isprintable() for value in values):
        problems.add(at, f"{name} has a key that is not printable ASCII in section [{aws.profile}]")
        return None
    return AwsKeys(*values)
