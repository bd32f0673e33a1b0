"""Notices that files may have changed: by inotify where there is any, and in any case by looking twice a second.

Folders are watched, not files: editors write a new file and rename it, and Kubernetes swaps a link two steps away. What
counts is the stamp of what a path leads to in the end; events only say when to look.
"""

from __future__ import annotations

import contextlib
import os
import select
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from inotify_simple import INotify, flags

if TYPE_CHECKING:
    from collections.abc import Iterable

LOOK_SECONDS: Final = 0.5
"""How long a change can go unseen where inotify does not work: network file systems, too many watches."""

_CHANGES: Final = (
    flags.MODIFY
    | flags.CLOSE_WRITE
    | flags.ATTRIB
    | flags.CREATE
    | flags.DELETE
    | flags.MOVED_TO
    | flags.MOVED_FROM
    | flags.DELETE_SELF
    | flags.MOVE_SELF
)


class FileStamp(NamedTuple):
    """By what a changed file is noticed without reading it, as `os.stat` has it.

    Of a path that leads to no file only *error* is set: the errno.
    """

    device: int = 0
    inode: int = 0
    size: int = 0
    modified_ns: int = 0
    changed_ns: int = 0
    error: int = 0


def read_stamp(path: Path) -> FileStamp:
    """The stamp of what *path* leads to now."""
    try:
        found = path.stat()
    except OSError as error:
        return FileStamp(error=error.errno or -1)
    return FileStamp(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


class FileWatch:
    """Waits for changes of some files, in one thread. `wake` may be called from any thread and from signal handlers.

    Whoever makes it closes it.
    """

    def __init__(self) -> None:
        self._files: tuple[Path, ...] = ()
        self._folders: dict[Path, int] = {}
        self._written: set[Path] = set()
        self._awake, self._wake = os.pipe()
        os.set_blocking(self._awake, False)
        os.set_blocking(self._wake, False)
        self._poller = select.poll()
        self._poller.register(self._awake, select.POLLIN)
        self._inotify: INotify | None = None
        # No inotify on this system, or no instances left for this user: looking has to do.
        with contextlib.suppress(OSError, AttributeError):
            self._inotify = INotify(nonblocking=True)
            self._poller.register(self._inotify.fileno(), select.POLLIN)

    def follow(self, files: Iterable[Path]) -> None:
        """Watch these files from now on. Cheap if nothing about them has changed."""
        self._files = tuple(path.absolute() for path in files)
        folders = {path.parent.resolve() for path in self._files} | {path.resolve().parent for path in self._files}
        if self._inotify is None:
            return
        for folder in self._folders.keys() - folders:
            with contextlib.suppress(OSError):
                self._inotify.rm_watch(self._folders.pop(folder))
        for folder in folders:
            # Adding again is harmless, and needed where a folder of the same name is another one by now.
            with contextlib.suppress(OSError):
                self._folders[folder] = self._inotify.add_watch(folder, _CHANGES)

    def wait(self, seconds: float = LOOK_SECONDS) -> None:
        """Return when something may have changed, after *seconds* at the latest."""
        self._poller.poll(seconds * 1000)
        with contextlib.suppress(BlockingIOError):
            while os.read(self._awake, 4096):
                pass
        self._take_events()

    def wake(self) -> None:
        """End the `wait` that runs, or the next one."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake, b"\0")

    def close(self) -> None:
        """Close file descriptors; nothing may be called after that."""
        if self._inotify is not None:
            self._inotify.close()
        os.close(self._awake)
        os.close(self._wake)

    @property
    def being_written(self) -> bool:
        """Whether somebody has written to one of the files and not closed it yet."""
        return bool(self._written)

    def read_stamps(self) -> dict[Path, FileStamp]:
        """The stamps of all files that are followed."""
        return {path: read_stamp(path) for path in self._files}

    def _take_events(self) -> None:
        if self._inotify is None:
            return
        names = {number: folder for folder, number in self._folders.items()}
        real = {path.resolve() for path in self._files}
        for event in self._inotify.read(timeout=0):
            if event.mask & flags.Q_OVERFLOW:
                self._written.clear()
            path = names.get(event.wd, Path()) / event.name
            if path not in real:
                continue
            if event.mask & flags.MODIFY:
                self._written.add(path)
            elif event.mask & ~flags.ATTRIB:
                self._written.discard(path)
        self._written &= real
