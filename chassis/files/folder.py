"""Files in a folder: each under its id, in one of 256 folders, for a folder of a million entries is slow to list."""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from chassis.files.port import FileContent, KeptFile, NoSuchFile
from chassis.foundation.private_files import FILE, private_folder


class Folder:
    """A file store in a folder that only we may enter."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def keep(self, id: UUID, source: Path) -> None:
        place = self._place(id)
        private_folder(place.parent)
        part = place.with_suffix(".part")  # of another file system it comes by copying, which may be broken off
        shutil.move(source, part)
        part.chmod(FILE)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.rename(place)
        _sync(place.parent)

    def open(self, id: UUID) -> FileContent:
        try:
            file = self._place(id).open("rb")
        except FileNotFoundError:
            raise NoSuchFile(str(id)) from None
        return FileContent(os.fstat(file.fileno()).st_size, file.read, file.close)

    def delete(self, id: UUID) -> None:
        self._place(id).unlink(missing_ok=True)

    def kept(self) -> Iterator[KeptFile]:
        for path in self._path.glob("*/*"):
            with suppress(ValueError, FileNotFoundError):  # what is no file of ours, or has just gone
                found = path.stat()
                yield KeptFile(UUID(path.name), found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))

    def _place(self, id: UUID) -> Path:
        return self._path / id.hex[-2:] / str(id)  # the first characters of an id tell the time


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
