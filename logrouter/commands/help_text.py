"""Help in the terminal: the little Markdown that docstrings of commands use, without the time that a parser takes.

Known are paragraphs, blocks that are indented by four spaces, ``**bold**`` and `code` in backticks.
"""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any, Final

import rich_click as click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType
    from rich.markdown import Markdown
    from rich.text import Text

_MARKED: Final = re.compile(r"\*\*(?P<bold>.+?)\*\*|`(?P<code>[^`]+)`", re.DOTALL)
_STYLES: Final = {"bold": "bold", "code": "bold cyan"}
_BLOCK: Final = "cyan"
_INDENT: Final = "    "
_SHOWN_INDENT: Final = "  "

click.rich_click.TEXT_MARKUP = None
click.rich_click.MAX_WIDTH = 100


class HelpFormatter(click.RichHelpFormatter):
    """Shows help of options and the lines of the list of commands with bold and code, all else as it is."""

    def write(self, *objects: Any, **kwargs: Any) -> None:
        """Print *objects*; an error may name what somebody else has written, such as a file."""
        from logrouter.commands.harmless_console import Harmless

        super().write(*(Harmless(shown) for shown in objects), **kwargs)

    def rich_text(self, text: str | Text | Markdown, style: Any = "") -> Text | Markdown:
        """*text* as one paragraph."""
        return inline(inspect.cleandoc(text), style) if isinstance(text, str) else super().rich_text(text, style)


class HelpContext(click.RichContext):
    """The context of every command: it makes `HelpFormatter`."""

    formatter_class = HelpFormatter


class Command(click.RichCommand):
    """A command whose docstring is its help."""

    context_class = HelpContext

    def format_help_text(self, ctx: click.RichContext, formatter: click.RichHelpFormatter) -> None:  # type: ignore[override]  # noqa: ARG002 - click's
        """Write the docstring, between the usage line and the options."""
        write_help(self.help or "", formatter)


def write_help(text: str, formatter: click.RichHelpFormatter) -> None:
    """Write *text* as paragraphs and blocks, a column away from the edges like the usage line above."""
    from rich.padding import Padding

    for paragraph in blocks(text):
        formatter.write(Padding(paragraph, (0, 1, 1, 1)))


def blocks(text: str) -> Iterator[RenderableType]:
    """The paragraphs of *text* as Rich shows them; lines of an indented block stay as they are."""
    from rich.text import Text

    for part in re.split(r"\n{2,}", inspect.cleandoc(text)):
        if part.startswith(_INDENT):
            lines = (_SHOWN_INDENT + line.removeprefix(_INDENT) for line in part.split("\n"))
            yield Text("\n".join(lines), _BLOCK)
        else:
            yield inline(" ".join(part.split("\n")))


def inline(text: str, style: Any = "") -> Text:
    """*text* with its bold and its code set off, and without the signs that mark them."""
    from rich.text import Text

    shown, at = Text(style=style), 0
    for match in _MARKED.finditer(text):
        kind = match.lastgroup or ""
        shown.append(text[at : match.start()]).append(match[kind], _STYLES[kind])
        at = match.end()
    return shown.append(text[at:])
