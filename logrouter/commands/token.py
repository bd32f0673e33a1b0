"""`logrouter token`: makes a token, shows it once, and writes the line that topics.yaml keeps of it."""

from __future__ import annotations

import re
import secrets
import time

import rich_click as click

from logrouter.access.scopes import FORMS, Via, api_scope, client_scope, is_scope, make_caller
from logrouter.commands.exit_codes import EXIT_USAGE
from logrouter.commands.help_text import Command
from logrouter.commands.terminal import fail, is_text, print_json
from logrouter.printable import json_text

_DAY_MS = 24 * 3600 * 1000
_NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}")
_FORMS = re.sub(r"<(\w+)>", lambda name: name[1].upper(), FORMS)  # help is Markdown, to which <id> would be a tag
_DAYS = re.compile(r"([1-9][0-9]{0,4})d")


@click.command("token", cls=Command)
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, metavar="SCOPE", help=f"What it allows: {_FORMS}. May be repeated.")
@click.option("--client", "clients", multiple=True, metavar="ID", help="A client that it may read. May be repeated.")
@click.option(
    "--api",
    "apis",
    multiple=True,
    metavar="NAME",
    help="An API that it may read, or with * for any characters all whose names fit. May be repeated.",
)
@click.option(
    "--expires",
    default="365d",
    show_default=True,
    metavar="WHEN",
    help="A number of days like 90d, a time like 2030-01-31T00:00:00Z, or never.",
)
@click.option("--json", "as_json", is_flag=True, help="Token and entry as one JSON object on stdout.")
def token_command(
    name: str,
    scopes: tuple[str, ...],
    clients: tuple[str, ...],
    apis: tuple[str, ...],
    expires: str,
    as_json: bool,  # noqa: FBT001 - a click flag
) -> None:
    """Make a token for the table view.

    It is good for the API of log drains as well. The token is written to stderr, this once; it is kept nowhere. Stdout
    gets the line with its hash, for `access.tokens` of topics.yaml or for the file that `access.tokens_file` names.

    **Examples**

        logrouter token reporting --scope usage:read >> tokens.yaml
        logrouter token team-7 --client client-7 --expires 90d
        logrouter token payments --api 'payments-*'
        logrouter token shop --scope drains:write:app=shop/prod
        logrouter token prometheus --scope metrics:read --expires never --json

    **Exit codes**: 0 made; 2 wrong usage.
    """
    from logrouter.access.tokens import RANDOM_BYTES, hash_token, make_token
    from logrouter.core.text.timestamps import rfc3339

    if not all(map(is_text, (*clients, *apis))):
        fail("--client and --api must be UTF-8, as every client id and every name of an API is", EXIT_USAGE)
    granted = (*scopes, *map(client_scope, clients), *map(api_scope, apis))
    if not _NAME.fullmatch(name):
        fail("a name has 1 to 64 letters, digits, . _ @ or -", EXIT_USAGE)
    for scope in granted:
        if not is_scope(scope):
            fail(f"{scope[:80]!r} is no scope: there are {FORMS}", EXIT_USAGE)
    if not granted:
        fail("a token without --scope, --client or --api would allow nothing", EXIT_USAGE)
    try:
        make_caller(name, Via.TOKEN, granted)
    except ValueError as exc:
        fail(str(exc), EXIT_USAGE)
    until = _until(expires)
    token = make_token(secrets.token_bytes(RANDOM_BYTES))
    entry = {"name": name, "hash": hash_token(token), "scopes": list(dict.fromkeys(granted))}
    entry |= {} if until is None else {"expires": rfc3339(until)}
    if as_json:
        print_json({"token": token, "entry": entry})
        return
    click.echo(f"The token of {name}, shown this once:\n\n    {token}\n", err=True)
    # Values as JSON writes them are YAML in any case, whatever they hold.
    click.echo("- {" + ", ".join(f"{key}: {json_text(value)}" for key, value in entry.items()) + "}")


def _until(text: str) -> int | None:
    """Epoch milliseconds; None is for ever."""
    from logrouter.core.text.timestamps import epoch_ms

    now_ms = int(time.time() * 1000)
    if text == "never":
        return None
    days = _DAYS.fullmatch(text)
    until = now_ms // 1000 * 1000 + int(days[1]) * _DAY_MS if days else epoch_ms(text)
    if until is None or until <= now_ms:
        fail(f"--expires {text[:80]!r} is neither a number of days like 90d, nor a time to come, nor never", EXIT_USAGE)
    return until
