"""A console of Rich that lets nobody's text drive the terminal. Not in `terminal`, as Rich takes time to load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.segment import Segment

from logrouter.printable import escape_lines

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import ConsoleOptions, RenderableType, RenderResult


class HarmlessConsole(Console):
    """Escapes what is not printable in every text that it renders; colours and moves of the cursor are Rich's own."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of *renderable*, harmless."""
        return map(_escaped, super().render(renderable, options))


class Harmless:
    """A renderable as `HarmlessConsole` would show it, for a console that is somebody else's."""

    def __init__(self, renderable: RenderableType) -> None:
        self._renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Its segments, harmless."""
        yield from map(_escaped, console.render(self._renderable, options))


def _escaped(segment: Segment) -> Segment:
    text, style, control = segment
    return segment if control or text.isprintable() else Segment(escape_lines(text), style)
