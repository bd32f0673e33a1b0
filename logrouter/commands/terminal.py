"""Output of commands: colours on terminals only, nothing that drives the terminal, errors in plain words.

All that commands print goes through `console`, `fail` or `print_json`. Whatever text reaches them, of a line, a
topics.yaml, a server or a file name, what is not printable in it comes out escaped (`logrouter.printable`).

Rich leaves colours out where the output is no terminal, and where NO_COLOR is set.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NoReturn

from logrouter.commands.exit_codes import EXIT_FAILED
from logrouter.printable import escape, escape_lines, json_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from rich.console import Console

_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
PLAIN_WIDTH: Final = 160
"""Columns of tables where the output is no terminal."""


def console(*, stderr: bool = False) -> Console:
    """Standard output, as wide as the terminal, else `PLAIN_WIDTH`. Text is printed as it is: no markup, no emoji.

    With *stderr* that stream instead.
    """
    from logrouter.commands.harmless_console import HarmlessConsole

    # What the output's encoding lacks must not end a command half-way through.
    stream = sys.stderr if stderr else sys.stdout
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")
    made = HarmlessConsole(highlight=False, markup=False, emoji=False, stderr=stderr)
    if made.is_terminal:
        return made
    return HarmlessConsole(highlight=False, markup=False, emoji=False, stderr=stderr, width=PLAIN_WIDTH)


def print_json(value: Any, *, indent: bool = False) -> None:
    """Print *value* as JSON, with a line feed."""
    import rich_click as click

    click.echo(json_text(value, indent=indent))


def fail(message: str, code: int) -> NoReturn:
    """Print *message* on stderr, without a traceback, and exit with *code*: for what the user can mend."""
    from rich.text import Text

    shown = Text("logrouter: ", "bold red") + Text(escape_lines(message))
    console(stderr=True).print(shown, soft_wrap=True)
    raise SystemExit(code)


def warn(message: str) -> None:
    """Print *message* on stderr, and go on: for what the user should know before it is done."""
    from rich.text import Text

    console(stderr=True).print(Text("logrouter: ", "bold yellow") + Text(f"warning: {escape(message)}"), soft_wrap=True)


def harmless_tracebacks() -> None:
    """Let a bug's traceback, in any thread, drive no terminal either: its message may be of a line or a server."""

    def show(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
        sys.stderr.write(escape_lines("".join(traceback.format_exception(kind, error, trace))))

    sys.excepthook = show
    threading.excepthook = lambda failed: show(failed.exc_type, failed.exc_value, failed.exc_traceback)


@contextmanager
def ending_in_words() -> Iterator[None]:
    """Exit with 1 and one line where standard output takes no more, such as on a full disk; the rest passes through.

    What is buffered is written while this is left, since the interpreter would only show a traceback for it.
    """
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except OSError as exc:
        if exc.errno not in _NO_ROOM or exc.filename is not None:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or what is left in the buffer would fail again at the end
        fail(f"cannot write the output: {exc.strerror}", EXIT_FAILED)


harmless = escape
"""*text* in one line with all that is not printable escaped: for cells of tables, whose widths then are right."""


def is_text(argument: str) -> bool:
    """Whether a command-line argument is valid UTF-8. Other bytes arrive as lone surrogates."""
    return not any("\ud800" <= char <= "\udfff" for char in argument)
