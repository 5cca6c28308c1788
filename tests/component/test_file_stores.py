"""Every file store keeps to the same rules: a folder, and a service that speaks S3 (COL-09, ADR 0043)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from chassis.files.folder import Folder
from chassis.files.opening import open_files
from chassis.files.port import PIECE, FileStore, NoSuchFile
from chassis.foundation.config import Config
from component.s3 import BUCKET, client, s3_server, settings

Source = Callable[[bytes], Path]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with s3_server() as address:
        client(address).put_object(Bucket=BUCKET, Key="files/readme.txt", Body=b"no file of ours")
        yield address


def in_bucket(endpoint: str, **more: str) -> Config:
    """Settings as a process reads them."""
    return Config.from_env({**settings(endpoint), **more})


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> FileStore:
    if request.param == "s3":
        return open_files(in_bucket(request.getfixturevalue("endpoint"), S3_PREFIX=f"{uuid4()}/"))
    return open_files(replace(Config(), files_dir=str(tmp_path / "files")))


@pytest.fixture
def source(tmp_path: Path) -> Source:
    def written(content: bytes) -> Path:
        path = tmp_path / str(uuid4())
        path.write_bytes(content)
        return path

    return written


@pytest.mark.parametrize("size", [0, 1, PIECE, 3 * PIECE + 7, 20_000_000])
def test_col_09_a_file_comes_back_as_it_was_in_pieces(store: FileStore, source: Source, size: int) -> None:
    content, id = os.urandom(size), uuid4()
    store.keep(id, source(content))
    found = store.open(id)
    assert found.size == size
    pieces = list(found)
    assert b"".join(pieces) == content and all(len(piece) <= PIECE for piece in pieces)


def test_col_09_a_file_is_replaced_whole_listed_and_gone_once_deleted(store: FileStore, source: Source) -> None:
    id, other = uuid4(), uuid4()
    for content in (b"first", b"second one"):
        store.keep(id, source(content))
    store.keep(other, source(b"x"))
    kept = {one.id: one for one in store.kept()}
    assert {id: 10, other: 1} == {id: one.size for id, one in kept.items()}
    assert abs(datetime.now(UTC) - kept[id].since) < timedelta(minutes=1)
    store.open(id).close()
    store.delete(id)
    store.delete(id)
    assert [one.id for one in store.kept()] == [other]
    with pytest.raises(NoSuchFile):
        store.open(id)


def test_col_09_what_can_not_be_kept_is_an_error_of_files(endpoint: str, source: Source, tmp_path: Path) -> None:
    away, no_bucket = in_bucket("http://127.0.0.1:1"), in_bucket(endpoint, S3_BUCKET="nobody")
    blocked = tmp_path / "blocked"
    blocked.write_bytes(b"")
    for store in (open_files(away), open_files(no_bucket)):
        with pytest.raises(OSError):
            store.keep(uuid4(), source(b"x"))
        with pytest.raises(OSError):
            list(store.kept())
    with pytest.raises(OSError):
        Folder(tmp_path / "none").keep(uuid4(), tmp_path / "not there")
    assert list(Folder(tmp_path / "none").kept()) == []


def test_col_09_what_is_no_file_of_ours_is_left_alone(endpoint: str) -> None:
    assert list(open_files(in_bucket(endpoint)).kept()) == []


def test_col_09_files_of_a_folder_are_for_us_alone(tmp_path: Path, source: Source) -> None:
    store = open_files(replace(Config(), files_dir=str(tmp_path / "files")))
    store.keep(uuid4(), source(b"x"))
    wrong = [path for path in (tmp_path / "files" / "kept").rglob("*") if path.stat().st_mode & 0o077]
    assert wrong == []
