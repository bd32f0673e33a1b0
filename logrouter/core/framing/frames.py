"""How messages may lie in a stream, by the names that options have for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logrouter.core.framing.newline import frame_line
from logrouter.core.framing.octet_counting import frame_counted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FRAMES: Final[Mapping[str, Callable[[bytes], bytes]]] = {"octet-counting": frame_counted, "newline": frame_line}
"""What makes a frame of a message; the first one unless somebody says otherwise."""
