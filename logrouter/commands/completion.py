"""`logrouter completion`: the script that makes a shell complete commands, options and names."""

from __future__ import annotations

import rich_click as click

from logrouter.commands.exit_codes import EXIT_USAGE
from logrouter.commands.help_text import Command
from logrouter.commands.terminal import fail

PROGRAM = "logrouter"


@click.command("completion", cls=Command)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion_command(context: click.Context, shell: str) -> None:
    """Print the completion script of a shell, to be read when it starts.

    **Examples**

        eval "$(logrouter completion bash)"                                  # in ~/.bashrc
        logrouter completion zsh > "${fpath[1]}/_logrouter"
        logrouter completion fish > ~/.config/fish/completions/logrouter.fish

    **Exit codes**: 0 printed; 2 wrong usage.
    """
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    if made is None:  # the shells above all come with click
        fail(f"no completion for {shell}", EXIT_USAGE)
    click.echo(made(context.find_root().command, {}, PROGRAM, f"_{PROGRAM.upper()}_COMPLETE").source())
