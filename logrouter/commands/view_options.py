"""The options of commands that ask a table view: its URL and the token; and the error if there is no answer.

`logrouter.commands.view_client` asks: the library that it needs takes longer to load than most commands run.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import rich_click as click

from logrouter.commands.exit_codes import EXIT_FAILED, EXIT_USAGE
from logrouter.commands.terminal import warn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DEFAULT_URL: Final = "http://127.0.0.1:6066"
DRAINS_URL: Final = "http://127.0.0.1:5000"
_WINDOW: Final = re.compile(r"life|[1-9]\d{0,5}[mhd]")
_MAX_TOKEN_FILE: Final = 64 * 1024
TOKEN_ENV: Final = "LOGROUTER_TOKEN"  # noqa: S105 - the name of a variable

Answer = dict[str, Any]
"""A JSON object, as docs/table-view.md describes them."""


NOT_AS_DOCUMENTED: Final = (KeyError, IndexError, TypeError, ValueError, AttributeError, ArithmeticError)
"""What reading an answer raises that is JSON, and not what docs/table-view.md says."""


class ViewError(Exception):
    """The table view did not answer, or with an error. Its text is for the user.

    *code* is the exit code to end with, *status* that of HTTP, or 0 without an answer.
    """

    def __init__(self, message: str, *, code: int = EXIT_FAILED, status: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


@dataclass(frozen=True, slots=True)
class ViewAddress:
    """A table view: its URL without a slash at the end, and the bearer token, or None for requests without one."""

    url: str
    token: str | None = field(default=None, repr=False)


def address_options(default: str, whose: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """What adds `--url` and `--token-file`, which arrive as *url* and *token_file*. *whose* says what is asked."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in (
            click.option(
                "--token-file",
                type=click.Path(path_type=Path, dir_okay=False, exists=True),
                help=f"File that holds the token and nothing else. Default: the variable {TOKEN_ENV}, else no token.",
            ),
            click.option("--url", default=default, show_default=True, envvar="LOGROUTER_URL", help=whose),
        ):
            command = option(command)
        return command

    return decorate


view_options: Final = address_options(DEFAULT_URL, "Any worker's table view.")
"""Add `--url` and `--token-file` of a table view."""
drains_options: Final = address_options(DRAINS_URL, "A process that has the drains API, or any worker's table view.")
"""Add `--url` and `--token-file` of the drains API."""


def _check_window(_context: click.Context, _option: click.Parameter, window: str) -> str:
    if not _WINDOW.fullmatch(window):
        raise click.BadParameter("must be life or a length such as 15m, 1h, 24h or 7d", param_hint="--window")
    return window


window_option: Final = click.option(
    "--window",
    default="24h",
    show_default=True,
    metavar="WINDOW",
    callback=_check_window,
    help="15m, 1h, 24h, 7d, ... or life.",
)
"""Add `--window`, which arrives as *window*: a time range that ends now."""


def view_address(url: str, token_file: Path | None, env: Mapping[str, str] = os.environ) -> ViewAddress:
    """Check what the options say, and warn of a token that would travel without encryption.

    The token is that of *token_file*, else of the variable `LOGROUTER_TOKEN`.

    Raises:
        ViewError: with the exit code of wrong usage: no URL of http(s), a password in it, or no token in the file.
    """
    from yarl import URL

    from logrouter.config.options.endpoint import is_loopback
    from logrouter.config.yaml.named_files import read_given

    no_url = ViewError(f"{url[:80]!r} is no URL of a table view, such as {DEFAULT_URL}", code=EXIT_USAGE)
    try:
        parts, port = urlsplit(url), URL(url).port
    except ValueError:
        raise no_url from None
    if parts.scheme not in ("http", "https") or not (parts.hostname and port) or parts.query or parts.fragment:
        raise no_url
    if parts.username or parts.password:
        raise ViewError("a URL with a password in it is not used: give a token", code=EXIT_USAGE)
    token = env.get(TOKEN_ENV, "")
    if token_file is not None:
        try:
            token = read_given(token_file, _MAX_TOKEN_FILE).decode("ascii")
        except (OSError, UnicodeError) as exc:
            raise ViewError(f"{token_file} cannot be read as a token", code=EXIT_USAGE) from exc
    token = token.strip()
    if any(not 33 <= ord(letter) <= 126 for letter in token):
        raise ViewError("the token holds what no token can hold", code=EXIT_USAGE)
    if token and parts.scheme == "http" and not is_loopback(parts.hostname):
        warn(f"the token goes to {parts.hostname} without encryption: whoever is on the way can use it; ask by https")
    return ViewAddress(url.rstrip("/"), token or None)
