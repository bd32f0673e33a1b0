"""Checks of `sinks` that concern more than one option, and each sink ready to be opened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from logrouter.config.compile.inputs import Inputs
from logrouter.config.compile.sink_aws import read_aws_keys
from logrouter.config.compile.sink_guard import check_guard
from logrouter.config.compile.sink_tls import open_tls
from logrouter.config.compile.webhooks import check_webhook
from logrouter.config.options.sinks import OpensearchOptions, SplunkOptions, SyslogOptions, WebhookOptions
from logrouter.config.options.syslog_url import UDP, scheme_of
from logrouter.config.yaml.kinds import usable
from logrouter.config.yaml.problems import did_you_mean, join_path

if TYPE_CHECKING:
    import ssl
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from logrouter.config.compile.sink_aws import AwsKeys
    from logrouter.config.options.sinks import SinkOptions
    from logrouter.config.yaml.problems import Problems
    from logrouter.config.yaml.secrets import Secret

GROUP_PREFIX: Final = "logrouter-sink-"
_MAX_DATAGRAM: Final = 65_507
"""Bytes in a datagram over IPv4."""


@dataclass(frozen=True, slots=True)
class ConfiguredSink:
    """One sink of the file: its *options*, its consumer *group*, and how it speaks TLS (None: not at all).

    *inputs* are the files of certificates and keys, and *digest* names what they held when *tls* and *aws_keys* were
    made of them.
    """

    name: str
    options: SinkOptions
    group: str
    tls: ssl.SSLContext | None
    inputs: tuple[Path, ...] = ()
    digest: str = ""
    aws_keys: AwsKeys | None = None


def build_sinks(
    sinks: Mapping[str, Any] | None,
    *,
    topics: Collection[str],
    dead_letter_topic: str,
    groups: Mapping[str, str],
    folder: Path,
    problems: Problems,
) -> dict[str, ConfiguredSink]:
    """The usable ones of *sinks*; problems of the others are noted.

    *topics* are those that routes write to, and *groups* the names that are taken, with the options that take them.
    """
    taken = dict(groups)
    made: dict[str, ConfiguredSink] = {}
    # A route with a mistake may be the one that writes to a topic.
    written = None if any(not each.path.startswith("sinks") for each in problems.errors) else topics
    for name, options in (sinks or {}).items():
        path = f"sinks.{name}"
        if name == "test":
            problems.add(path, "is no name for a sink: `logrouter sink test NAME` sends a test event to the sink NAME")
        if not usable(options):
            continue
        _check_topics(options, path, written, dead_letter_topic, problems)
        group = options.group if usable(options.group) and options.group else GROUP_PREFIX + name
        if group in taken:
            problems.add(
                join_path(path, "group"),
                f"{group} is the group of {taken[group]} as well: each would get half of the events",
            )
        taken[group] = path
        _check_retry(options, path, problems)
        check_guard(options, path, problems)
        match options:
            case WebhookOptions():
                check_webhook(options, path, problems)
                _check_header_value(options.authorization, join_path(path, "authorization"), problems)
                secrets = options.secret_headers if usable(options.secret_headers) else None
                for header, value in (secrets or {}).items():
                    _check_header_value(value, f"{path}.secret_headers.{header}", problems)
            case OpensearchOptions():
                _check_opensearch(options, path, problems)
                _check_header_value(options.api_key, join_path(path, "api_key"), problems)
            case SyslogOptions():
                _check_syslog(options, path, problems)
            case SplunkOptions():
                _check_header_value(options.token, join_path(path, "token"), problems)
        files = Inputs(folder)
        tls = open_tls(options, path, files, problems)
        aws = options.aws if isinstance(options, OpensearchOptions) else None
        keys = read_aws_keys(aws, join_path(path, "aws"), files, problems)
        made[name] = ConfiguredSink(name, options, group, tls, files.paths, files.generation(b""), keys)
    return made


def _check_topics(
    options: SinkOptions, path: str, written: Collection[str] | None, dead_letter_topic: str, problems: Problems
) -> None:
    """*written* are the topics that routes write to, None if nobody knows."""
    if not usable(options.topics):
        return
    for index, topic in enumerate(options.topics):
        at = f"{path}.from[{index}]"
        at = at if at in problems.values else join_path(path, "from")
        if topic == dead_letter_topic:
            problems.add(
                at,
                f"{topic} is where dead letters go, those of this sink as well: one that its target refuses would come "
                "back without end",
            )
        elif written is not None and topic not in written:
            problems.add(at, f"no route writes to {topic}{did_you_mean(topic, written)}")


def _check_retry(options: SinkOptions, path: str, problems: Problems) -> None:
    retry = options.retry
    if usable(retry) and retry.longest_pause_ms < retry.first_pause_ms:
        problems.add(f"{path}.retry.longest_pause_ms", "is shorter than first_pause_ms")


def _check_opensearch(options: OpensearchOptions, path: str, problems: Problems) -> None:
    """Combinations that can't be."""
    ways = [name for name in ("basic_auth", "api_key", "aws") if getattr(options, name) is not None]
    if len(ways) > 1:
        problems.add(path, f"{' and '.join(ways)} are ways of one thing: keep one")
    if options.index is not None and usable(options.data_stream) and options.data_stream:
        problems.add(join_path(path, "data_stream"), "takes the place of `index`: keep one")
    if usable(options.data_stream) and options.data_stream and options.document == "firehose":
        at = join_path(path, "data_stream")
        problems.add(at, "needs documents with @timestamp, which those of `document: firehose` do not have")


def _check_syslog(options: SyslogOptions, path: str, problems: Problems) -> None:
    longest = options.max_message_bytes
    if not usable(options.url) or not usable(longest) or longest is None or scheme_of(options.url) != UDP:
        return
    if longest > _MAX_DATAGRAM:
        problems.add(f"{path}.max_message_bytes", f"is more than a datagram holds: {_MAX_DATAGRAM} at most")


def _check_header_value(secret: Secret | None, at: str, problems: Problems) -> None:
    """Whether a secret can be the value of a header: a line feed at its end is the usual mistake."""
    if secret is None or not usable(secret):
        return
    text = secret.reveal()
    if not text or not (text.isascii() and text.isprintable()) or text != text.strip():
        problems.add(at, "must be printable ASCII, without spaces or ends of lines around it")
