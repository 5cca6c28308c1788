"""Files and folders that are for our own user alone, whatever the umask says: stores, keys, messages with codes.

A store that was made readable by others is tightened when it is opened.  A key that others can read or change is
refused: somebody may have it already, so an operator must decide (docs/runbooks/signing-key.md).
"""

import os
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from chassis.foundation.config import ConfigError

FOLDER = 0o700
FILE = 0o600
FOREIGN = stat.S_IRWXO | stat.S_IWGRP
"""What nobody but the owner may do with a key; a group may read it: secrets are mounted like that."""


def private_folder(path: Path) -> Path:
    """Make a folder that only we may enter; one that is there is tightened.  Raises ConfigError."""
    with _Explained(path):
        path.mkdir(parents=True, exist_ok=True, mode=FOLDER)
        _tighten(path, FOLDER)
    return path


def private_file(path: Path) -> Path:
    """Make an empty file that only we may read, or tighten the one that is there.  Raises ConfigError.

    One that is there is not opened: with the closing all locks would end that SQLite holds on it in this process, and
    the next other process to close it would take the write-ahead log away.
    """
    with _Explained(path):
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE))
        _tighten(path, FILE)
    return path


def tighten(path: Path) -> None:
    """Take a file from everybody but us, if it is there.  Raises ConfigError."""
    with suppress(FileNotFoundError), _Explained(path):
        _tighten(path, FILE)


def make_key(path: Path, make: Callable[[], bytes]) -> None:
    """Make a key file, whole or not at all, unless there is one.  Raises ConfigError."""
    if path.exists():
        return
    private_folder(path.parent)
    with _Explained(path):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(make())
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileExistsError):  # another process was first: its key is the one
                os.link(name, path)
        finally:
            os.unlink(name)


def read_key(path: Path, *, shortest: int) -> bytes:
    """A key of at least so many bytes.  Raises ConfigError for one that is missing, too short, or open to others."""
    with _Explained(path):
        try:
            mode, key = path.stat().st_mode, path.read_bytes()
        except FileNotFoundError:
            raise ConfigError(
                f"{path} is missing: put the key there, from a backup or the host that made it."
            ) from None
    if mode & FOREIGN:
        raise ConfigError(
            f"{path} can be read or changed by others (mode {stat.S_IMODE(mode):04o}): somebody may have the key. "
            f"Make a new one (docs/runbooks/signing-key.md), or, if nobody else was on this machine, chmod 600 it."
        )
    if len(key) < shortest:
        raise ConfigError(
            f"{path} holds {len(key)} bytes, a key has at least {shortest}: restore it from a backup "
            f"(docs/runbooks/signing-key.md)."
        )
    return key


def _tighten(path: Path, mode: int) -> None:
    if stat.S_IMODE(path.stat().st_mode) & ~mode:
        path.chmod(mode)


class _Explained:
    """Tells of a file that can't be made or tightened as of a setting that is wrong."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
            text = f"{self._path} can't be made or kept private: {error.strerror}. Let it belong to the user we run as."
            raise ConfigError(text) from error
