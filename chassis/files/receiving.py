"""Receiving a file: piece by piece into a local file, never as a whole into memory; counted and hashed on the way."""

import errno
import fnmatch
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from chassis.files.media_types import HEAD, media_type
from chassis.foundation.private_files import private_folder
from contracts.errors import Refused

KEPT_FREE = 500_000_000
"""Octets of the disk that files never take: stores and logs need them."""
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Received:
    """A file that was received: where it is for now, its octets, their digest, and what they are."""

    path: Path
    size: int
    sha256: str
    media_type: str


@contextmanager
def received(pieces: Iterable[bytes], folder: Path, types: str = "") -> Iterator[Received]:
    """Write what comes into a file of this folder; it is gone afterwards, unless somebody has taken it away.

    `types` are patterns of the media types that are taken, by commas; empty: all.
    Raises Refused TOO_LARGE, FILE_TYPE, VALIDATION, or UNAVAILABLE for a disk that is nearly full.
    """
    private_folder(folder)
    if shutil.disk_usage(folder).free < KEPT_FREE:
        raise Refused("files.no_room", field="body")
    handle, name = tempfile.mkstemp(dir=folder)
    path = Path(name)
    try:
        with _room(), os.fdopen(handle, "wb") as file:
            digest, size, head = sha256(), 0, b""
            for piece in pieces:
                if len(head) < HEAD:
                    head += piece[: HEAD - len(head)]
                digest.update(piece)
                size += len(piece)
                file.write(piece)
        if not size:
            raise Refused("files.empty", field="body")
        found = media_type(head)
        if types and not any(fnmatch.fnmatch(found, one.strip()) for one in types.split(",")):
            raise Refused("files.type", given=found, types=types, field="body")
        yield Received(path, size, digest.hexdigest(), found)
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            raise Refused("files.no_room", field="body") from error
        raise


def sweep_incoming(folder: Path, older_than: float) -> int:
    """Delete what a process that was killed has left half received, so many seconds ago; returns how many."""
    if not folder.is_dir():
        return 0
    left = [path for path in folder.iterdir() if time.time() - path.stat().st_mtime > older_than]
    for path in left:
        path.unlink(missing_ok=True)
    return len(left)
