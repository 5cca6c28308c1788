"""Opening the file store that the settings name."""

from pathlib import Path

from chassis.files.folder import Folder
from chassis.files.port import FileStore
from chassis.foundation.config import Config

KEPT, INCOMING = "kept", "incoming"
"""Within `FILES_DIR`: the files of a folder, and what is being received."""


def open_files(config: Config) -> FileStore:
    """The file store: a folder of `FILES_DIR`, or the bucket `S3_BUCKET`."""
    if config.file_store == "s3":
        from chassis.files.s3 import Bucket  # noqa: PLC0415 - it takes a third of a second, and most keep a folder

        return Bucket(config)
    return Folder(Path(config.files_dir) / KEPT)


def incoming(config: Config) -> Path:
    """Where files are written while they are received."""
    return Path(config.files_dir) / INCOMING
