"""Uploads that are repeated, encoded, or sent under the key of another one (COL-09)."""

from pathlib import Path

import pytest

from .office import Office, quick_hashes

PDF = b"%PDF-1.7 one"


@pytest.fixture
def office(tmp_path: Path) -> Office:
    with quick_hashes():
        return Office(tmp_path)


def test_col_09_an_upload_that_is_repeated_under_its_key_makes_one_file(office: Office) -> None:
    key = {"idempotency-key": "upload-1"}
    first = office.call("POST /files", PDF, office.admin, headers=key).done()
    assert office.call("POST /files", PDF, office.admin, headers=key).done() == first
    other = office.call("POST /files", b"%PDF-1.7 two", office.admin, headers=key)
    assert (other.code, other.body["field"]) == ("KEY_REUSED", "Idempotency-Key")
    assert [str(kept.id) for kept in office.api.files.store.kept()] == [first["id"]]
    assert office.call("POST /files", PDF, office.admin).done()["id"] != first["id"]


@pytest.mark.parametrize("route, body", [("POST /files", PDF), ("POST /surveys", b"{}")])
def test_what_is_encoded_is_refused_and_not_taken_for_what_it_is_not(office: Office, route: str, body: bytes) -> None:
    told = office.call(route, body, office.admin, headers={"content-encoding": "gzip"})
    assert (told.code, told.body["field"]) == ("VALIDATION", "Content-Encoding")
    assert not list(office.api.files.store.kept())
