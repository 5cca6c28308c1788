"""What keeps files: a folder (`chassis.files.folder`) or a service that speaks S3 (`chassis.files.s3`)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol
from uuid import UUID

PIECE = 65_536
"""Octets that are read and sent at once."""


class NoSuchFile(Exception):
    """There is no file of this id."""


@dataclass(frozen=True)
class KeptFile:
    """A file that is kept: its id, its size in octets, and since when."""

    id: UUID
    size: int
    since: datetime


class FileContent:
    """The octets of a file, in pieces; `size` is how many.  It is to be read or closed."""

    def __init__(self, size: int, read: Callable[[int], bytes], close: Callable[[], None]) -> None:
        self.size = size
        self._read = read
        self._close = close

    def __iter__(self) -> Iterator[bytes]:
        try:
            while piece := self._read(PIECE):
                yield piece
        finally:
            self.close()

    def close(self) -> None:
        self._close()


class FileStore(Protocol):
    """Keeps files under ids.  What can't be reached raises OSError."""

    def keep(self, id: UUID, source: Path) -> None:
        """Keep what is in a local file, whole or not at all; it is durable then, and the local file may be gone."""

    def open(self, id: UUID) -> FileContent:
        """Raises NoSuchFile."""

    def delete(self, id: UUID) -> None:
        """Nothing happens where there is none."""

    def kept(self) -> Iterator[KeptFile]:
        """All files, in any order."""
