"""Files are received piece by piece, told by their content, and leave nothing behind when they are refused (COL-09)."""

import io
import os
import shutil
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import pytest

from chassis.files.media_types import HEAD, TEXT, UNKNOWN, ZIP, media_type
from chassis.files.receiving import received, sweep_incoming
from contracts.errors import Refused


def zipped(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name in names:
            file.writestr(name, "x" * 40)
    return out.getvalue()


KNOWN = {
    "image/png": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(50),
    "image/jpeg": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(50),
    "image/gif": b"GIF89a" + bytes(30),
    "application/pdf": b"%PDF-1.7\n%\xe2\xe3\n1 0 obj",
    "application/vnd.rar": b"Rar!\x1a\x07\x01\x00" + bytes(20),
    ZIP: zipped("a.txt", "word.txt"),
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": zipped(
        "[Content_Types].xml", "word/document.xml"
    ),
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": zipped("[Content_Types].xml", "xl/book.xml"),
    TEXT: "見積り 报价 quote\r\n".encode(),
    "text/html": b"<!DOCTYPE html><html><script>alert(1)</script></html>",
    UNKNOWN: b"\x00\x01\x02 nothing that is known \x00",
}


@pytest.mark.parametrize("kind", KNOWN)
def test_col_09_what_a_file_is_tells_its_content(kind: str) -> None:
    assert media_type(KNOWN[kind]) == kind


def test_col_09_a_text_may_be_cut_within_a_character() -> None:
    octets = ("文" * HEAD).encode()
    assert {media_type(octets[: HEAD - cut]) for cut in range(4)} == {TEXT}
    assert media_type(b"line\x07bell") == UNKNOWN


def test_col_09_a_file_is_counted_and_hashed_on_the_way_and_is_gone_afterwards(tmp_path: Path) -> None:
    pieces = [b"%PDF-1.7\n", os.urandom(100_000), os.urandom(3)]
    with received(pieces, tmp_path) as file:
        assert file.path.read_bytes() == b"".join(pieces)
        assert (file.size, file.sha256) == (100_012, sha256(b"".join(pieces)).hexdigest())
        assert file.media_type == "application/pdf"
        assert file.path.stat().st_mode & 0o077 == 0
    assert list(tmp_path.iterdir()) == []


def broken() -> Iterator[bytes]:
    yield b"something"
    raise Refused("requests.broken_body", field="body")


def test_col_09_what_is_refused_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusal(pieces: object, types: str = "") -> Refused:
        with pytest.raises(Refused) as refused, received(pieces, tmp_path, types):  # type: ignore[arg-type]
            raise AssertionError("it was taken")
        assert list(tmp_path.iterdir()) == []
        return refused.value

    assert refusal([]).why.reason == "files.empty"
    assert refusal(broken()).why.reason == "requests.broken_body"
    told = refusal([KNOWN["text/html"]], "image/*, text/plain")
    assert (told.code, told.why.params["given"]) == ("FILE_TYPE", "text/html")
    with received([KNOWN["image/png"]], tmp_path, "image/*, text/plain"):
        pass

    class Usage(NamedTuple):
        free: int

    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1_000))
    assert refusal([b"x"]).code == "UNAVAILABLE"


def test_col_09_what_a_killed_process_left_half_received_is_swept(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for path in (old, new):
        path.write_bytes(b"x")
    os.utime(old, (0, 0))
    assert sweep_incoming(tmp_path, 3_600) == 1
    assert list(tmp_path.iterdir()) == [new]
    assert sweep_incoming(tmp_path / "none", 3_600) == 0
