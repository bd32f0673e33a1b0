"""Output of commands: colours on terminals only, control characters of log lines escaped, errors in plain words.

Rich leaves colours out where the output is no terminal, and where NO_COLOR is set.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from rich.console import Console

PLAIN_WIDTH: Final = 160
"""Columns of tables where the output is no terminal."""


def console() -> Console:
    """Standard output, as wide as the terminal, else `PLAIN_WIDTH`. Text is printed as it is: no markup, no emoji."""
    from rich.console import Console

    # What the output's encoding lacks must not end a command half-way through.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    made = Console(highlight=False, markup=False, emoji=False)
    return made if made.is_terminal else Console(highlight=False, markup=False, emoji=False, width=PLAIN_WIDTH)


def fail(message: str, code: int) -> NoReturn:
    """Print *message* on stderr, without a traceback, and exit with *code*: for what the user can mend."""
    from rich.console import Console
    from rich.text import Text

    Console(stderr=True, highlight=False).print(Text("logrouter: ", "bold red") + Text(message), soft_wrap=True)
    raise SystemExit(code)


def harmless(text: str) -> str:
    """*text* with all that is not printable escaped, so that no log line can control the terminal."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def is_text(argument: str) -> bool:
    """Whether a command-line argument is valid UTF-8. Other bytes arrive as lone surrogates."""
    return not any("\ud800" <= char <= "\udfff" for char in argument)
