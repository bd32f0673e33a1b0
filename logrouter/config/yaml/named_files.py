"""Files that are read: none can hang or feed the reader for ever, whatever stands under its name.

Of those that a configuration names only regular files are read (`read_bounded`); one that a user names on the command
line may also be a pipe that somebody writes to, such as of `<(…)` (`read_given`).

A named pipe waits for somebody who writes, a device may give bytes without end, and files of the kernel (`/proc`,
`/sys`) tell of the process rather than hold data. Symbolic links are followed: mounted secrets are such.
"""

from __future__ import annotations

import os
import select
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


PATIENCE_SECONDS: Final = 10.0
_PIECE: Final = 64 * 1024


def read_given(path: Path, max_bytes: int, *, patience: float = PATIENCE_SECONDS) -> bytes:
    """At most *max_bytes* + 1 bytes of a file, pipe or device that a user has named.

    Raises:
        OSError: it can't be read, or nothing comes from it for *patience* seconds; `strerror` says so.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            with os.fdopen(descriptor, "rb", closefd=False) as stream:
                return stream.read(max_bytes + 1)
        return _read_pipe(descriptor, max_bytes + 1, patience)
    finally:
        os.close(descriptor)


def _read_pipe(descriptor: int, most: int, patience: float) -> bytes:
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    data = bytearray()
    is_pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
    while len(data) < most:
        try:
            piece = os.read(descriptor, min(_PIECE, most - len(data)))
        except BlockingIOError:
            piece = None
        if piece:
            data += piece
        elif piece is None or (is_pipe and not data):
            # Open and empty, or nobody has opened it to write yet.
            if not poller.poll(patience * 1000):
                raise OSError(0, f"is no file, and nothing came from it for {patience:g} s")
            is_pipe = is_pipe and piece is None  # who has come and gone without a word is the end of it
        else:
            break
    return bytes(data)


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
