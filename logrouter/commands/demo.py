"""`logrouter demo`: all lanes on a real Kafka with made-up lines."""

from __future__ import annotations

import rich_click as click

from logrouter.commands.help_text import Command

ONCE_LINES = 20_000


@click.command("demo", cls=Command)
@click.option("--once", is_flag=True, help="Feed a bounded number of lines, check every number, print a summary, end.")
@click.option("--lines", type=click.IntRange(1), help=f"How many lines --once feeds.  [default: {ONCE_LINES}]")
@click.option("--opensearch", is_flag=True, help="Deliver to an OpenSearch that is started, not to a webhook receiver.")
@click.option("--json", "as_json", is_flag=True, help="With --once: the summary as JSON.")
def demo_command(once: bool, lines: int | None, opensearch: bool, as_json: bool) -> None:  # noqa: FBT001 - click flags
    """Show the whole path live: a real Kafka, mixed made-up log lines, both lanes, a sink, the table view.

    **Examples**

        logrouter demo
        logrouter demo --opensearch
        logrouter demo --once --lines 50000 --json

    **Exit codes**: 0 all numbers right, or stopped as asked; 1 something failed or a number is wrong; 2 wrong usage.
    """
    from logrouter.demo import session

    raise SystemExit(session.run(once=once, lines=lines or ONCE_LINES, as_json=as_json, opensearch=opensearch))
