"""How a sink speaks TLS: its PEM files, loaded."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from logrouter.config.compile.inputs import InputFileError
from logrouter.config.options.sinks import SyslogOptions
from logrouter.config.options.syslog_url import TLS, scheme_of
from logrouter.config.yaml.kinds import usable
from logrouter.config.yaml.problems import join_path

if TYPE_CHECKING:
    from logrouter.config.compile.inputs import Inputs
    from logrouter.config.options.sinks import SinkOptions, SinkTlsOptions
    from logrouter.config.yaml.problems import Problems

_OVER_TLS: Final = ("https", TLS)
_MAX_PEM_BYTES: Final = 1 << 20
_REASONS: Final = {
    "KEY_VALUES_MISMATCH": "the key is another certificate's",
    "NO_CERTIFICATE_OR_CRL_FOUND": "it holds no certificate in PEM",
}


def open_tls(options: SinkOptions, path: str, files: Inputs, problems: Problems) -> ssl.SSLContext | None:
    """How the sink speaks TLS; None if it does not, or if files of it can't be used."""
    tls = options.tls
    if not usable(tls) or not usable(options.url):
        return None
    at = join_path(path, "tls")
    scheme = scheme_of(options.url)
    if scheme not in _OVER_TLS:
        if tls.ca or tls.certificate or tls.key:
            wanted = TLS if isinstance(options, SyslogOptions) else "https"
            problems.add(at, f"is for {wanted}, and the url says {urlsplit(options.url).scheme}")
        return None
    if bool(tls.certificate) != bool(tls.key):
        problems.add(at, "`certificate` and `key` go together")
        return None
    context = _load_tls(tls, at, files, problems)
    if context is not None and scheme != TLS:
        context.set_alpn_protocols(["http/1.1"])
    return context


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
