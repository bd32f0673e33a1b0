"""Files that a configuration names: only regular files are read, so that none can hang or feed the reader for ever.

A named pipe waits for somebody who writes, a device may give bytes without end, and files of the kernel (`/proc`,
`/sys`) tell of the process rather than hold data. Symbolic links are followed: mounted secrets are such.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

NOT_REGULAR: Final = "is not a regular file: name a file that holds data"
_OF_THE_KERNEL: Final = ("/proc", "/sys")


def why_unreadable(path: Path, *, or_folder: bool = False) -> str | None:
    """Why a file may not be read, without opening it; None if it may, or if there is no such file.

    *or_folder* lets a folder pass.
    """
    try:
        mode = path.stat().st_mode
        real = os.path.realpath(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        return f"can't be read: {getattr(error, 'strerror', None) or 'no such name'}"
    if any(real == folder or real.startswith(folder + "/") for folder in _OF_THE_KERNEL):
        return NOT_REGULAR
    return None if stat.S_ISREG(mode) or (or_folder and stat.S_ISDIR(mode)) else NOT_REGULAR


def read_bounded(path: Path, max_bytes: int) -> bytes:
    """At most *max_bytes* + 1 bytes of a regular file, so that the caller sees whether it is longer.

    Raises:
        OSError: it can't be read, or is not a regular file; `strerror` says so.
    """
    why = why_unreadable(path)
    if why is not None:
        raise OSError(0, why)
    # Not waiting: the name may stand for a pipe by now.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise OSError(0, NOT_REGULAR)
        return stream.read(max_bytes + 1)
