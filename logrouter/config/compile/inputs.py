"""The other files of a topics.yaml: schemas, lookups, databases. A change of one changes the generation."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from logrouter.config.yaml.named_files import read_bounded, why_unreadable

if TYPE_CHECKING:
    from pathlib import Path


class InputFileError(Exception):
    """A file exists but can't be used; the text is meant to follow the file's name."""


class Inputs:
    """Reads files relative to *folder* and remembers their digests, and the names of those that do not exist."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._digests: dict[str, str] = {}

    def read(self, name: str, max_bytes: int) -> bytes | None:
        """The file's content; None if there is no such file.

        Raises:
            InputFileError: it can't be read, or has more than *max_bytes*.
        """
        file = self.folder / name
        self._digests[name] = ""
        why = why_unreadable(file)
        if why is not None:
            raise InputFileError(why)
        try:
            data = read_bounded(file, max_bytes)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise InputFileError(f"can't be read: {error.strerror}") from None
        if len(data) > max_bytes:
            raise InputFileError(f"is larger than {max_bytes} bytes")
        self._digests[name] = sha256(data).hexdigest()
        return data

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file that was asked for, whether or not it exists."""
        return tuple(self.folder / name for name in sorted(self._digests))

    def generation(self, data: bytes) -> str:
        """Twelve hex digits that name the content of *data*, the topics.yaml, and of all files read so far."""
        digest = sha256(data)
        for name, content in sorted(self._digests.items()):
            if content:
                digest.update(f"\0{name}\0{content}".encode())
        return digest.hexdigest()[:12]
