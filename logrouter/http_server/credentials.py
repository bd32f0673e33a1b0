"""The files of access control: tokens, an issuer's keys, a certificate. Read at the start, and again when they change.

A file that can't be used changes nothing: what was in force stays, and the log and a metric say so.
"""

from __future__ import annotations

import socket
import ssl
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from logrouter.access.tokens import Tokens
from logrouter.config import ConfigError
from logrouter.config.compile.access import build_policy, why_not_open
from logrouter.config.compile.tokens import inline_tokens, merge_tokens, read_tokens
from logrouter.config.options.endpoint import is_loopback
from logrouter.config.settings import SettingsError
from logrouter.config.yaml.named_files import read_bounded, why_unreadable
from logrouter.http_server.keys import KeySet, KeySetError
from logrouter.reload.file_watch import LOOK_SECONDS, FileWatch
from logrouter.telemetry.log import Log, log
from logrouter.telemetry.metrics import ACCESS_VALID

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Collection
    from pathlib import Path

    from logrouter.access.policy import Policy
    from logrouter.access.tokens import Token
    from logrouter.config import Settings
    from logrouter.http_server.authenticator import Authenticator
    from logrouter.reload.file_watch import FileStamp

MAX_BYTES: Final = 1 << 20
_QUIET_SECONDS: Final = 0.05
"""A file is read when it has not changed for so long: who writes in place does not do it in one go."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: a certificate with its chain, its key, and the CA of the other workers (None: the system's)."""

    cert: Path
    key: Path
    ca: Path | None = None

    def server(self) -> ssl.SSLContext:
        """The TLS context to serve with.

        Raises:
            SettingsError: the files can't be used.
        """
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.load(context)
        return context

    def load(self, context: ssl.SSLContext) -> None:
        """Load the certificate as it is now into *context*; `SettingsError` if the files can't be used."""
        _refuse_special(self.cert, self.key)
        try:
            # With no pass phrase at all the library would ask for one on the terminal.
            context.load_cert_chain(self.cert, self.key, password="")
        except (OSError, ssl.SSLError) as exc:
            msg = f"the certificate {self.cert} with the key {self.key} cannot be used: {_reason(exc)}"
            raise SettingsError(msg) from None

    def client(self) -> ssl.SSLContext:
        """The TLS context to ask other workers with; `SettingsError` if the file can't be used."""
        _refuse_special(*(() if self.ca is None else (self.ca,)))
        try:
            return ssl.create_default_context(cafile=self.ca)
        except (OSError, ssl.SSLError) as exc:
            msg = f"the certificates in {self.ca} cannot be used: {_reason(exc)}"
            raise SettingsError(msg) from None


@dataclass(frozen=True, slots=True)
class AccessFiles:
    """The files with tokens and keys, and the *inline* tokens of topics.yaml itself."""

    tokens: Path | None = None
    keys: Path | None = None
    inline: tuple[Token, ...] = ()

    def read_tokens(self) -> tuple[Token, ...]:
        """All tokens as they are now; `SettingsError` if the file can't be used."""
        if self.tokens is None:
            return self.inline
        try:
            return merge_tokens(self.inline, read_tokens(_content(self.tokens), str(self.tokens)), str(self.tokens))
        except ConfigError as exc:
            raise SettingsError(str(exc)) from None

    def read_keys(self, algorithms: tuple[str, ...]) -> bytes:
        """The JWKS as it is now; `SettingsError` if it is not one, or has no key for these algorithms."""
        if self.keys is None:
            return b""
        data = _content(self.keys)
        try:
            if not len(KeySet(data, algorithms)):
                msg = f"{self.keys} has no key for {', '.join(algorithms)}"
                raise SettingsError(msg)
        except KeySetError as exc:
            msg = f"{self.keys} {exc}"
            raise SettingsError(msg) from None
        return data


def load_access(settings: Settings, folder: Path, host: str, advertise: str) -> tuple[Policy, AccessFiles]:
    """The access policy of a topics.yaml in *folder* with the content of its files, and those files.

    *host* is the address that the worker listens on, *advertise* its base URL for other workers.

    Raises:
        SettingsError: a file can't be used, or everybody on a network would be let in without a word.
    """
    access = settings.access
    why = why_not_open(access, host)
    if why is not None:
        raise SettingsError(f"access.mode: {why}")
    jwt = access.jwt
    files = AccessFiles(
        tokens=folder / access.tokens_file if access.tokens_file else None,
        keys=folder / jwt.jwks_file if jwt is not None and jwt.jwks_file else None,
        inline=inline_tokens(access),
    )
    keys = b"" if jwt is None else files.read_keys(jwt.algorithms)
    return build_policy(access, files.read_tokens(), keys, _own_names(access.hosts, host, advertise)), files


def _own_names(given: Collection[str], host: str, advertise: str) -> frozenset[str] | None:
    """Names by which a worker is known anyway, the other workers' for it included; None if any name will do."""
    advertised = urlsplit(advertise).hostname or "localhost"
    if is_loopback(host):
        return frozenset({"localhost", advertised})
    return frozenset({"localhost", advertised, host.lower(), socket.gethostname().lower()}) if given else None


class CredentialFollower:
    """Follows the files in a thread of its own, and applies what is new in the loop that serves.

    `start` and `stop` are called once each. A file that can't be used is logged and changes nothing.
    """

    def __init__(
        self, authenticator: Authenticator, files: AccessFiles, tls: TlsFiles | None, context: ssl.SSLContext | None
    ) -> None:
        self._authenticator = authenticator
        self._files = files
        self._tls = tls
        self._context = context
        self._watch = FileWatch()
        self._thread = threading.Thread(target=self._run, name="credentials", daemon=True)
        self._stopped = False
        self._loop: AbstractEventLoop | None = None
        self._bad: set[str] = set()
        self._readers: dict[str, tuple[tuple[Path, ...], Callable[[], Callable[[], None]]]] = {}
        if files.tokens is not None:
            self._readers["tokens"] = ((files.tokens,), self._tokens)
        if files.keys is not None:
            self._readers["keys"] = ((files.keys,), self._keys)
        if tls is not None:
            self._readers["certificate"] = ((tls.cert, tls.key), self._certificate)
        self._watch.follow(path for paths, _ in self._readers.values() for path in paths)
        self._seen = self._watch.read_stamps()

    def start(self, loop: AbstractEventLoop) -> None:
        """Start the thread, if there are files; *loop* is the one that serves."""
        self._loop = loop
        ACCESS_VALID.set(1)
        if self._readers:
            self._thread.start()

    def stop(self) -> None:
        """End the thread and close the watch."""
        self._stopped = True
        self._watch.wake()
        if self._thread.is_alive():
            self._thread.join()
        self._watch.close()

    def _run(self) -> None:
        while not self._stopped:
            self._watch.wait(LOOK_SECONDS)
            found = self._watch.read_stamps()
            if found == self._seen or self._watch.being_written:
                continue
            self._watch.wait(_QUIET_SECONDS)
            if self._watch.read_stamps() == found and not self._stopped:
                self._changed(found)

    def _changed(self, found: dict[Path, FileStamp]) -> None:
        seen, self._seen = self._seen, found
        self._watch.follow(list(found))
        for what, (paths, read) in self._readers.items():
            if all(found[path.absolute()] == seen[path.absolute()] for path in paths):
                continue
            try:
                apply = read()
            except SettingsError as exc:
                self._bad.add(what)
                log(Log.ACCESS_REJECTED, what=what, error=str(exc))
            else:
                self._bad.discard(what)
                if self._loop is not None:
                    self._loop.call_soon_threadsafe(apply)
                log(Log.ACCESS_APPLIED, what=what)
        ACCESS_VALID.set(not self._bad)

    def _tokens(self) -> Callable[[], None]:
        tokens = Tokens(self._files.read_tokens())
        return lambda: self._authenticator.replace_tokens(tokens)

    def _keys(self) -> Callable[[], None]:
        policy = self._authenticator.policy.jwt
        assert policy is not None, "keys without an issuer"  # noqa: S101 - a bug of ours
        keys = KeySet(self._files.read_keys(policy.algorithms), policy.algorithms)
        return lambda: self._authenticator.replace_keys(keys)

    def _certificate(self) -> Callable[[], None]:
        tls, context = self._tls, self._context
        assert tls is not None, "a certificate without files"  # noqa: S101 - a bug of ours
        assert context is not None, "a certificate without a server"  # noqa: S101 - a bug of ours
        tls.server()  # what can't be used must not touch the context that serves
        return lambda: tls.load(context)


def _refuse_special(*paths: Path) -> None:
    """`SettingsError` for a pipe or a device, for which the library would wait."""
    for path in paths:
        why = why_unreadable(path)
        if why is not None:
            raise SettingsError(f"{path} {why}")


def _content(path: Path) -> bytes:
    try:
        data = read_bounded(path, MAX_BYTES)
    except OSError as exc:
        msg = f"{path} can't be read: {exc.strerror}"
        raise SettingsError(msg) from None
    if len(data) > MAX_BYTES:
        msg = f"{path} is larger than {MAX_BYTES} bytes"
        raise SettingsError(msg)
    return data


def _reason(exc: OSError) -> str:
    return getattr(exc, "reason", None) or exc.strerror or type(exc).__name__
