"""Asking the table view of a running worker over HTTP, for the commands that show its answers."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import quote, urlencode, urlsplit

import aiohttp
import orjson
import rich_click as click
from yarl import URL

from logrouter.commands.terminal import EXIT_FAILED, EXIT_UNKNOWN, EXIT_USAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DEFAULT_URL: Final = "http://127.0.0.1:6066"
TOKEN_ENV: Final = "LOGROUTER_TOKEN"  # noqa: S105 - the name of a variable
MAX_ANSWER: Final = 64 << 20
_TIMEOUT: Final = aiohttp.ClientTimeout(total=30, connect=5)

Answer = dict[str, Any]


class AskError(Exception):
    """No answer, or one that is an error. *code* is the exit code that says so; *status* is 0 where nobody answered."""

    def __init__(self, message: str, *, code: int = EXIT_FAILED, status: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


@dataclass(frozen=True, slots=True)
class View:
    """Where the table view is, and with which token it is asked."""

    url: str
    token: str | None = field(default=None, repr=False)


def view_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--url` and `--token-file`, which arrive as *url* and *token_file*."""
    for option in (
        click.option(
            "--token-file",
            type=click.Path(path_type=Path, dir_okay=False, exists=True),
            help=f"File that holds the token and nothing else. Default: the variable {TOKEN_ENV}, else no token.",
        ),
        click.option(
            "--url", default=DEFAULT_URL, show_default=True, envvar="LOGROUTER_URL", help="Any worker's table view."
        ),
    ):
        command = option(command)
    return command


def view_of(url: str, token_file: Path | None, env: Mapping[str, str] = os.environ) -> View:
    """The view that the options name; raises `AskError` with the exit code of wrong usage."""
    no_url = AskError(f"{url[:80]!r} is no URL of a table view, such as {DEFAULT_URL}", code=EXIT_USAGE)
    try:
        parts, port = urlsplit(url), URL(url).port
    except ValueError:
        raise no_url from None
    if parts.scheme not in ("http", "https") or not (parts.hostname and port) or parts.query or parts.fragment:
        raise no_url
    if parts.username or parts.password:
        raise AskError("a URL with a password in it is not used: give a token", code=EXIT_USAGE)
    token = env.get(TOKEN_ENV, "")
    if token_file is not None:
        try:
            token = token_file.read_text(encoding="ascii")
        except (OSError, UnicodeError) as exc:
            raise AskError(f"{token_file} cannot be read as a token", code=EXIT_USAGE) from exc
    token = token.strip()
    if any(not 33 <= ord(letter) <= 126 for letter in token):
        raise AskError("the token holds what no token can hold", code=EXIT_USAGE)
    return View(url.rstrip("/"), token or None)


class Asker:
    """Questions to one view. Use it as an asynchronous context manager."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        headers = {"Accept": "application/json"}
        if self._view.token:
            headers["Authorization"] = f"Bearer {self._view.token}"
        self._http = aiohttp.ClientSession(headers=headers, timeout=_TIMEOUT)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._http is not None:
            await self._http.close()

    async def get(self, *path: str, **parameters: str | int | None) -> Answer:
        """The answer at ``/v1/`` and *path*, whose parts are names as they are; raises `AskError`."""
        if self._http is None:
            raise RuntimeError("not opened")
        given = {name: value for name, value in parameters.items() if value is not None}
        search = f"?{urlencode(given)}" if given else ""
        target = f"{self._view.url}/v1/{'/'.join(map(_segment, path))}{search}"
        try:
            # Never redirected: the token is for this address alone.
            async with self._http.get(URL(target, encoded=True), allow_redirects=False) as response:
                body = await _read(response)
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError, ssl.SSLError) as exc:
            raise AskError(f"{self._view.url} does not answer: {_why(exc)}") from exc
        return _answer(status, body, self._view.url)


def _why(exc: Exception) -> str:
    """Why nobody answered, without how the library calls its parts."""
    if isinstance(exc, aiohttp.ClientConnectorCertificateError):
        found = getattr(exc.certificate_error, "verify_message", "") or "not verified"
        return f"its certificate is not trusted ({found}); SSL_CERT_FILE can name the file of who signed it"
    if isinstance(exc, aiohttp.ClientConnectorError):
        number, said = exc.os_error.errno, exc.os_error.strerror
        # The library's text repeats the address; only a name that is not found has no number of its own.
        return os.strerror(number) if number is not None and number > 0 else said or "not reachable"
    if isinstance(exc, TimeoutError):
        return "no answer in time"
    return str(exc) or type(exc).__name__


def _segment(name: str) -> str:
    # Dots alone would be taken for folders; encoded they are a name.
    return quote(name, safe="") if name.strip(".") else name.replace(".", "%2E")


async def _read(response: aiohttp.ClientResponse) -> bytes:
    parts, size = [], 0
    async for part in response.content.iter_chunked(1 << 16):
        size += len(part)
        if size > MAX_ANSWER:
            raise AskError("the answer is longer than any answer can be")
        parts.append(part)
    return b"".join(parts)


def _answer(status: int, body: bytes, url: str) -> Answer:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        answer = None
    if not isinstance(answer, dict):
        raise AskError(f"{url} is no table view: it answered {status}, and no JSON object", status=status)
    if status == 200:
        return answer
    detail = str(answer.get("detail") or answer.get("title") or f"status {status}")[:500]
    unknown = status == 404 and answer.get("type") == "urn:logrouter:problem:unknown-subject"
    code = EXIT_UNKNOWN if unknown else EXIT_USAGE if status == 400 else EXIT_FAILED
    raise AskError(detail, code=code, status=status)
