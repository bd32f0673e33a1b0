"""Checks of `sinks` that concern more than one option, and each sink ready to be opened."""

from __future__ import annotations

import ssl
from base64 import b64decode
from dataclasses import dataclass
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from logrouter.config.compile.inputs import InputFileError, Inputs
from logrouter.config.options.sinks import EventgateOptions, OpensearchOptions, SplunkOptions, WebhookOptions
from logrouter.config.yaml.kinds import usable
from logrouter.config.yaml.problems import did_you_mean, join_path

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path
    from urllib.parse import SplitResult

    from logrouter.config.options.sinks import SinkOptions, SinkTlsOptions
    from logrouter.config.yaml.problems import Problems
    from logrouter.config.yaml.secrets import Secret

GROUP_PREFIX: Final = "logrouter-sink-"
KEY_PREFIX: Final = "whsec_"
_MAX_PEM_BYTES: Final = 1 << 20
_REASONS: Final = {
    "KEY_VALUES_MISMATCH": "the key is another certificate's",
    "NO_CERTIFICATE_OR_CRL_FOUND": "it holds no certificate in PEM",
}
_KEY_BYTES: Final = range(24, 65)
_OWN_HEADERS: Final = frozenset(
    {"accept-encoding", "connection", "content-encoding", "content-length", "content-type", "expect", "host"}
    | {"keep-alive", "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)
"""Headers that say what is sent, or how the connection goes on."""


@dataclass(frozen=True, slots=True)
class ConfiguredSink:
    """One sink of the file: its *options*, its consumer *group*, and how it speaks TLS (None: not at all).

    *inputs* are the files of certificates and keys, and *digest* names what they held when *tls* was made of them.
    """

    name: str
    options: SinkOptions
    group: str
    tls: ssl.SSLContext | None
    inputs: tuple[Path, ...] = ()
    digest: str = ""


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
    for name, options in (sinks or {}).items():
        path = f"sinks.{name}"
        if not usable(options):
            continue
        _check_topics(options, path, topics, dead_letter_topic, problems)
        group = options.group if usable(options.group) and options.group else GROUP_PREFIX + name
        if group in taken:
            problems.add(
                join_path(path, "group"),
                f"{group} is the group of {taken[group]} as well: each would get half of the events",
            )
        taken[group] = path
        _check_target(options, path, problems)
        _check_guard(options, path, problems)
        files = Inputs(folder)
        tls = _open_tls(options, path, files, problems)
        made[name] = ConfiguredSink(name, options, group, tls, files.paths, files.generation(b""))
    return made


def _check_topics(
    options: SinkOptions, path: str, topics: Collection[str], dead_letter_topic: str, problems: Problems
) -> None:
    if not usable(options.topics):
        return
    for topic in options.topics:
        at = join_path(path, "from")
        if topic == dead_letter_topic:
            problems.add(
                at,
                f"{topic} is where dead letters go, those of this sink as well: one that its target refuses would come "
                "back without end",
            )
        elif topic not in topics and not problems.errors:  # a route with a mistake may be the one that writes to it
            problems.add(at, f"no route writes to {topic}{did_you_mean(topic, topics)}")


def _check_target(options: SinkOptions, path: str, problems: Problems) -> None:
    """Combinations that the options of one kind of target can't have."""
    if isinstance(options, WebhookOptions):
        _check_webhook(options, path, problems)
    if isinstance(options, OpensearchOptions):
        ways = [name for name in ("basic_auth", "api_key", "aws") if getattr(options, name) is not None]
        if len(ways) > 1:
            problems.add(path, f"{' and '.join(ways)} are ways of one thing: keep one")
        if options.index is not None and options.data_stream:
            problems.add(join_path(path, "data_stream"), "takes the place of `index`: keep one")
        if options.data_stream and options.document == "firehose":
            at = join_path(path, "data_stream")
            problems.add(at, "needs documents with @timestamp, which those of `document: firehose` do not have")
    retry = options.retry
    if usable(retry) and usable(options.timeout_seconds):
        give_up = retry.give_up_after_seconds
        if give_up is not None and give_up < options.timeout_seconds:
            problems.warn(
                f"{path}.retry.give_up_after_seconds",
                f"is shorter than timeout_seconds ({options.timeout_seconds:g}): one request without an answer, and "
                "all of its events are dead letters",
            )
        if retry.longest_pause_ms < retry.first_pause_ms:
            problems.add(f"{path}.retry.longest_pause_ms", "is shorter than first_pause_ms")


def _check_webhook(options: WebhookOptions, path: str, problems: Problems) -> None:
    for index, key in enumerate(options.signing_keys if usable(options.signing_keys) else ()):
        if not _is_signing_key(key):
            at = f"{path}.signing_keys[{index}]"
            problems.add(at, f"must be {KEY_PREFIX} and 24 to 64 random bytes in base64")
    if usable(options.authorization) and options.authorization is not None:
        _check_header_value(options.authorization, join_path(path, "authorization"), problems)
    seen: dict[str, str] = {}
    for name in options.headers if usable(options.headers) and options.headers is not None else ():
        lower = name.lower()
        at = f"{path}.headers.{name}"
        if lower == "authorization":
            problems.add(at, "holds a secret: use the option `authorization`, with a reference")
        elif lower in _OWN_HEADERS or lower.startswith("webhook-"):
            problems.add(at, "is set by the sink itself")
        elif lower in seen:
            problems.add(at, f"is the same header as {seen[lower]}")
        seen[lower] = name


def _check_header_value(secret: Secret, at: str, problems: Problems) -> None:
    """Whether a secret can be the value of a header: a line feed at its end is the usual mistake."""
    text = secret.reveal()
    if not text or not (text.isascii() and text.isprintable()) or text != text.strip():
        problems.add(at, "must be printable ASCII, without spaces or ends of lines around it")


def _is_signing_key(key: Secret) -> bool:
    text = key.reveal()
    try:
        return text.startswith(KEY_PREFIX) and len(b64decode(text[len(KEY_PREFIX) :], validate=True)) in _KEY_BYTES
    except ValueError:
        return False


def _check_guard(options: SinkOptions, path: str, problems: Problems) -> None:
    guard = options.guard
    if guard is None or not usable(guard):
        return
    if usable(options.url) and usable(guard.schemes) and usable(guard.ports):
        url = urlsplit(options.url)
        port = _read_port(url)
        if url.scheme not in guard.schemes:
            problems.add(f"{path}.guard.schemes", f"does not allow {url.scheme}, which the url needs")
        elif port not in guard.ports and port is not None:
            problems.add(f"{path}.guard.ports", f"does not allow {port}, which the url needs")
    if not usable(guard.networks):
        return
    for index, text in enumerate(guard.networks):
        try:
            ip_network(text)
        except ValueError as error:
            problems.add(f"{path}.guard.networks[{index}]", f"is no network: {error}")


def _read_port(url: SplitResult) -> int | None:
    """The port that is connected to; None if it is none."""
    try:
        return url.port or {"http": 80, "https": 443}[url.scheme]
    except ValueError:
        return None


def _open_tls(options: SinkOptions, path: str, files: Inputs, problems: Problems) -> ssl.SSLContext | None:
    """How the sink speaks TLS; None if it does not, or if files of it can't be used."""
    tls = options.tls
    if not usable(tls) or not usable(options.url):
        return None
    if not options.url.startswith("https:"):
        if tls.ca or tls.certificate or tls.key:
            problems.add(join_path(path, "tls"), "is for https, and the url says http")
        elif _sends_secret(options):
            problems.warn(join_path(path, "url"), "sends secrets without encryption: use https")
        return None
    if bool(tls.certificate) != bool(tls.key):
        problems.add(join_path(path, "tls"), "`certificate` and `key` go together")
        return None
    return _load_tls(tls, join_path(path, "tls"), files, problems)


def _load_tls(tls: SinkTlsOptions, path: str, files: Inputs, problems: Problems) -> ssl.SSLContext | None:
    for key, name in (("ca", tls.ca), ("certificate", tls.certificate), ("key", tls.key)):
        try:
            if name and files.read(name, _MAX_PEM_BYTES) is None:
                problems.add(join_path(path, key), f"there is no file {name}")
                return None
        except InputFileError as error:
            problems.add(join_path(path, key), f"{name} {error}")
            return None
    key = "ca"
    try:
        context = ssl.create_default_context(cafile=str(files.folder / tls.ca) if tls.ca else None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2  # whatever this machine's OpenSSL is set up to accept
        context.set_alpn_protocols(["http/1.1"])
        if tls.certificate:
            key = "certificate"
            # With no pass phrase at all the library would ask for one on the terminal.
            context.load_cert_chain(files.folder / tls.certificate, files.folder / tls.key, password="")
    except (ssl.SSLError, OSError, ValueError) as error:
        what = "with its key" if key == "certificate" else ""
        problems.add(join_path(path, key), f"can't be used{' ' if what else ''}{what}: {_reason(error)}")
        return None
    return context


def _reason(error: Exception) -> str:
    """Why OpenSSL does not take a file, without anything that is in it."""
    if not isinstance(error, ssl.SSLError):
        return getattr(error, "strerror", None) or type(error).__name__
    if not error.reason:  # it has found no PEM where it looked for some, or would ask for a pass phrase
        return "a file holds no PEM, or a key with a pass phrase"
    return _REASONS.get(error.reason, error.reason.replace("_", " ").lower())


def _sends_secret(options: SinkOptions) -> bool:
    match options:
        case OpensearchOptions():
            return options.basic_auth is not None or options.api_key is not None
        case WebhookOptions():
            return options.authorization is not None
        case SplunkOptions():
            return True
        case EventgateOptions():
            return False
    return False
