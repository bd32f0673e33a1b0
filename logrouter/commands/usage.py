"""`logrouter usage`: one client's usage, asked once, for people and for scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import rich_click as click

from logrouter.commands.exit_codes import EXIT_FAILED
from logrouter.commands.help_text import Command
from logrouter.commands.terminal import console, fail, harmless, is_text, print_json
from logrouter.commands.view_options import NOT_AS_DOCUMENTED, ViewError, view_address, view_options, window_option

if TYPE_CHECKING:
    from pathlib import Path


@click.command("usage", cls=Command)
@click.argument("client")
@window_option
@view_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object, as the table view has it.")
def usage_command(client: str, window: str, url: str, token_file: Path | None, as_json: bool) -> None:  # noqa: FBT001 - a click flag
    """Show what one client has used: how much, of what, with which trouble, and against the time before.

    CLIENT is the client id exactly as it is counted; `-` is everybody without one. A token is needed unless the table
    view is open to all.

    **Examples**

        logrouter usage client-7
        logrouter usage client-7 --window 7d --url https://logs.example.org:6066 --token-file ~/.logrouter-token
        logrouter usage client-7 --json | jq '.window | {count, errors}'

    **Exit codes**: 0 shown; 1 no answer, or none with this token; 2 wrong usage; 5 this client was never counted.
    """
    from logrouter.commands import usage_report
    from logrouter.commands.view_client import ask_usage
    from logrouter.process.daemon_threads import run_to_result

    try:
        if not client or not is_text(client):
            raise click.BadParameter("must be a client id: UTF-8, and not empty", param_hint="CLIENT")
        answer = run_to_result(ask_usage(view_address(url, token_file), client, window))
        if as_json:
            print_json(answer)
        else:
            usage_report.show(console(), answer, window)
    except ViewError as exc:
        fail(harmless(str(exc)), exc.code)
    except NOT_AS_DOCUMENTED:
        fail(f"{url} is no table view: its answer is not as documented", EXIT_FAILED)
