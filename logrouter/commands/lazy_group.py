"""A group of commands that imports a command's module only when that command is called."""

from __future__ import annotations

from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

import rich_click as click

from logrouter.commands.help_text import Command, HelpContext, write_help

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from click.shell_completion import CompletionItem


class LazyGroup(click.RichGroup):
    """Commands by name, each declared as the module that has it and one line of help.

    The module ``logrouter.commands.check`` has the command ``check`` as ``check_command``. Help and completion of the
    group need the declarations only; `get_command` imports. A module whose command has another name than the module
    itself is fine: the attribute is named for the command.
    """

    context_class = HelpContext

    def __init__(self, *args: Any, lazy: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = lazy
        self._summaries: dict[str, click.Command] | None = None

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands, sorted. Nothing is imported."""
        return sorted({*super().list_commands(ctx), *self.lazy})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command *cmd_name*, whose module is imported; None if there is none."""
        if self._summaries is not None:
            return self._summaries.get(cmd_name)
        if cmd_name in self.lazy and cmd_name not in self.commands:
            module, _ = self.lazy[cmd_name]
            self.add_command(getattr(import_module(module), f"{cmd_name}_command"), cmd_name)
        return super().get_command(ctx, cmd_name)

    def format_help_text(self, ctx: click.RichContext, formatter: click.RichHelpFormatter) -> None:  # type: ignore[override]  # noqa: ARG002 - click's
        """Write the group's docstring."""
        write_help(self.help or "", formatter)

    def format_options(self, ctx: click.RichContext, formatter: click.RichHelpFormatter) -> None:  # type: ignore[override]
        """Write the group's options and the list of commands."""
        with self._summaries_only():
            super().format_options(ctx, formatter)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names of commands and options that begin with *incomplete*, with their help."""
        with self._summaries_only():
            return super().shell_complete(ctx, incomplete)

    @contextmanager
    def _summaries_only(self) -> Iterator[None]:
        """Inside, `get_command` returns commands that have a name and their line of help, and nothing else."""
        self._summaries = {name: Command(name=name, help=line) for name, (_, line) in self.lazy.items()}
        try:
            yield
        finally:
            self._summaries = None
