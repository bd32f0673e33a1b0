"""`logrouter drains`: lists, makes, tests and removes log drains by the drains API."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import rich_click as click

from logrouter.commands.exit_codes import EXIT_FAILED
from logrouter.commands.help_text import Command
from logrouter.commands.lazy_group import LazyGroup
from logrouter.commands.terminal import console, fail, harmless, is_text, print_json
from logrouter.commands.view_options import NOT_AS_DOCUMENTED, ViewError, drains_options, view_address

if TYPE_CHECKING:
    from collections.abc import Callable

_HERE: Final = "logrouter.commands.drains"
_FOLDERS: Final = {"app": "apps", "site": "sites", "api": "apis", "client": "clients"}
_MAX_URL: Final = 4096
_MAX_CA: Final = 64 * 1024


@click.group(
    "drains",
    cls=LazyGroup,
    lazy={
        "list": (_HERE, "List the drains of an owner, with what state they are in."),
        "add": (_HERE, "Make a drain: from now on the owner's logs go to URL as well."),
        "test": (_HERE, "Send one line by a drain, and say what became of it."),
        "rm": (_HERE, "Remove a drain: nothing goes there any more."),
    },
)
def drains_command() -> None:
    """List, make, test and remove log drains: where an app's, a site's, an API's or a client's logs also go.

    Being built: these ask the drains API, and the process that serves it is not there yet.

    OWNER is one of `app=shop/prod` (the app shop in the space prod), `site=shop.example.org`, `api=payments` and
    `client=team-7`. A token with `drains:read` or `drains:write` of the owner is needed, unless access is open and this
    is the machine itself.

    **Examples**

        logrouter drains add app=shop/prod syslog+tls://logs.example.org:6514
        logrouter drains list app=shop/prod

    **Exit codes** of all: 0 done; 1 no answer, or none with this token; 2 wrong usage.
    """


def _read_owner(_context: click.Context, _option: click.Parameter, text: str) -> tuple[str, ...]:
    """The parts of the path that mean the owner."""
    kind, _, name = text.partition("=")
    if kind not in _FOLDERS or not name or not is_text(name):
        raise click.BadParameter("must be app=APP/SPACE, site=DOMAIN, api=NAME or client=ID", param_hint="OWNER")
    if kind == "app" and "/" in name:
        app, _, space = name.partition("/")
        if not app or not space:
            raise click.BadParameter("must have an app and a space: app=shop/prod", param_hint="OWNER")
        return ("apps", app, "spaces", space)
    return (_FOLDERS[kind], name)


def _drain_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what all of these commands have: OWNER, which arrives as *owner*, `--url`, `--token-file` and `--json`."""
    command = click.option("--json", "as_json", is_flag=True, help="What the drains API answers, as it is.")(command)
    return click.argument("owner", callback=_read_owner)(drains_options(command))


@click.command("list", cls=Command)
@_drain_options
def list_command(owner: tuple[str, ...], url: str, token_file: Path | None, *, as_json: bool) -> None:
    """List the drains of an owner, with what state they are in.

    **Examples**

        logrouter drains list app=shop/prod
        logrouter drains list site=shop.example.org --json | jq -r '.[].url'

    **Exit codes**: 0 shown; 1 no answer, or none with this token; 2 wrong usage.
    """
    found = _ask(url, token_file, "GET", owner)
    _show(url, found, as_json=as_json)


@click.command("add", cls=Command)
@_drain_options
@click.argument("target", metavar="URL")
@click.option(
    "--form", type=click.Choice(["syslog", "logplex", "ndjson"]), help="What is sent. Default: by the scheme."
)
@click.option(
    "--framing", type=click.Choice(["octet-counting", "newline"]), help="How messages of a stream are told apart."
)
@click.option("--max-message-bytes", type=click.IntRange(min=1), help="Longer messages are cut, between characters.")
@click.option("--sample", type=click.FloatRange(0, 1, min_open=True), help="The share of lines that is sent.")
@click.option("--challenge", is_flag=True, help="The receiver must answer a challenge before it gets a line.")
@click.option(
    "--ca",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="PEM file: who signs the receiver's certificate, if it is private.",
)
def add_command(
    owner: tuple[str, ...],
    target: str,
    url: str,
    token_file: Path | None,
    ca: Path | None,
    *,
    as_json: bool,
    **options: Any,
) -> None:
    """Make a drain: from now on the owner's logs go to URL as well.

    URL has one of the schemes syslog, syslog+tcp, syslog+tls, syslog+udp, https and http. With `-` it is read from
    standard input, where no list of processes shows a password in it. If the owner has a drain with this URL, that one
    is shown, as it is.

    **Examples**

        logrouter drains add app=shop/prod syslog+tls://logs.example.org:6514
        logrouter drains add api=payments https://logs.example.org/in --form ndjson --sample 0.1
        printenv DRAIN_URL | logrouter drains add client=team-7 -

    **Exit codes**: 0 made, or there already; 1 no answer, or none with this token; 2 wrong usage, or none can be.
    """
    wanted = {name: value for name, value in options.items() if value not in (None, False)}
    wanted["url"] = sys.stdin.read(_MAX_URL).strip() if target == "-" else target
    if ca is not None:
        wanted["ca"] = _content(ca)
    if not all(is_text(text) for text in wanted.values() if isinstance(text, str)):
        raise click.BadParameter("must be UTF-8", param_hint="URL")
    made = _ask(url, token_file, "POST", owner, body=wanted)
    _show(url, made if as_json else [made], as_json=as_json)


@click.command("test", cls=Command)
@_drain_options
@click.argument("drain_id", metavar="ID")
def test_command(owner: tuple[str, ...], drain_id: str, url: str, token_file: Path | None, *, as_json: bool) -> None:
    """Send one line by a drain, and say what became of it.

    **Examples**

        logrouter drains test app=shop/prod 5d7a3a3c-6f0f-4b6b-9a39-6a3a3d0b1c55

    **Exit codes**: 0 the receiver has the line; 1 it has not, or no answer; 2 wrong usage, or no such drain.
    """
    report = _ask(url, token_file, "POST", owner, drain_id, "test")
    try:
        delivered, detail = report["delivered"] is True, str(report.get("detail") or "")
    except NOT_AS_DOCUMENTED:
        fail(f"{url} has no drains API: its answer is not as documented", EXIT_FAILED)
    if as_json:
        print_json(report)
    else:
        words = "the receiver has the line" if delivered else "the receiver has not got the line"
        console().print(harmless(f"{words}: {detail}" if detail else words))
    if not delivered:
        raise SystemExit(EXIT_FAILED)


@click.command("rm", cls=Command)
@_drain_options
@click.argument("drain_id", metavar="ID")
def rm_command(owner: tuple[str, ...], drain_id: str, url: str, token_file: Path | None, *, as_json: bool) -> None:
    """Remove a drain: nothing goes there any more.

    **Examples**

        logrouter drains rm app=shop/prod 5d7a3a3c-6f0f-4b6b-9a39-6a3a3d0b1c55

    **Exit codes**: 0 removed; 1 no answer, or none with this token; 2 wrong usage, or no such drain.
    """
    removed = _ask(url, token_file, "DELETE", owner, drain_id)
    _show(url, removed if as_json else [removed], as_json=as_json)


def _ask(
    url: str,
    token_file: Path | None,
    method: str,
    owner: tuple[str, ...],
    *below: str,
    body: dict[str, Any] | None = None,
) -> Any:
    from logrouter.commands.drains_client import ask_drains
    from logrouter.process.daemon_threads import run_to_result

    if not all(part and is_text(part) for part in below):
        raise click.BadParameter("must be the id of a drain, as `logrouter drains list` shows it", param_hint="ID")
    try:
        return run_to_result(ask_drains(view_address(url, token_file), method, owner, *below, body=body))
    except ViewError as exc:
        fail(harmless(str(exc)), exc.code)


def _content(file: Path) -> str:
    from logrouter.config.yaml.named_files import read_given

    try:
        return read_given(file, _MAX_CA).decode("ascii")
    except (OSError, UnicodeError):
        raise click.BadParameter(f"{file} cannot be read as PEM", param_hint="--ca") from None


def _show(url: str, found: Any, *, as_json: bool) -> None:
    """Print drains: as JSON what came, for people a table."""
    from rich.table import Table

    if as_json:
        print_json(found)
        return
    table = Table("id", "url", "form", "state", box=None, pad_edge=False, header_style="dim")
    try:
        for drain in found:
            state = f"{drain['state']}: {drain['reason']}" if drain.get("reason") else str(drain["state"])
            table.add_row(*(harmless(str(text)) for text in (drain["id"], drain["url"], drain["form"], state)))
    except NOT_AS_DOCUMENTED:
        fail(f"{url} has no drains API: its answer is not as documented", EXIT_FAILED)
    console().print(table if found else "no drains")
