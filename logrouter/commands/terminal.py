"""What a command shows: colours on a terminal only, nothing from a log line that a terminal would obey, clear errors.

Rich leaves colours out where the output is no terminal, and where NO_COLOR is set.
"""

from __future__ import annotations

import sys
from typing import Final, NoReturn

from rich.console import Console
from rich.text import Text

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_DRIFT: Final = 3
EXIT_WARNINGS: Final = 4
EXIT_UNKNOWN: Final = 5
EXIT_FENCED: Final = 75

PLAIN_WIDTH: Final = 160
"""How wide tables may be where there is no terminal to ask."""


def console() -> Console:
    """Standard output: as wide as the terminal is."""
    # What the output's encoding lacks must not end a command half-way through.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    made = Console(highlight=False, markup=False, emoji=False)
    return made if made.is_terminal else Console(highlight=False, markup=False, emoji=False, width=PLAIN_WIDTH)


def fail(message: str, code: int) -> NoReturn:
    """One clear line (or a few) on stderr, no traceback: it is the user's to mend."""
    Console(stderr=True, highlight=False).print(Text("logrouter: ", "bold red") + Text(message), soft_wrap=True)
    raise SystemExit(code)


def harmless(text: str) -> str:
    """*text* with control characters written out: a log line must not be able to drive the terminal it is shown on."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def is_text(argument: str) -> bool:
    """Whether an argument is UTF-8: bytes that are not arrive as halves of characters, which nothing can send on."""
    return not any("\ud800" <= char <= "\udfff" for char in argument)
