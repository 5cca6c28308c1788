"""Files on records: who may attach, take away and keep them, and what is swept (COL-09, CPL-01)."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from chassis.files.folder import Folder
from chassis.files.port import NoSuchFile
from chassis.model.principal import Principal
from chassis.persons.keys import KeyRing
from chassis.persons.stores import MemoryKeys
from chassis.testing.people import ADMIN, MANAGER, SALES, SUPERVISOR
from chassis.testing.services import InMemoryService
from contracts.collaboration import (
    AttachFile,
    AttachmentDeleted,
    DeleteAttachment,
    DeleteComment,
    FileAttached,
    RegisterFile,
    WriteComment,
)
from contracts.customers import CustomerData
from contracts.personal import use
from contracts.records import kind_of
from services.collaboration import domain
from services.collaboration.application import SERVICE
from services.collaboration.domain import WAITS
from services.collaboration.test_collaboration import OTHER, enter, person, write
from services.collaboration.upkeep import UNDER_WAY, sweep

CUSTOMER = kind_of(CustomerData)
NAME = "见积書 (最新版).pdf"


@pytest.fixture
def kit() -> InMemoryService:
    kit = InMemoryService(SERVICE)
    for one in (ADMIN, MANAGER, SALES, SUPERVISOR, OTHER):
        kit.known(one)
    return kit


@pytest.fixture
def keys() -> Iterator[KeyRing]:
    ring = KeyRing(MemoryKeys)
    before = use(ring)
    yield ring
    use(before)


def upload(kit: InMemoryService, by: Principal = SALES) -> UUID:
    file_id = uuid4()
    kit.do(RegisterFile(file_id=file_id, size=12, sha256="ab" * 32, media_type="application/pdf"), by=by)
    return file_id


def attaching(file_id: UUID, id: UUID, **more: UUID) -> AttachFile:
    return AttachFile(file_id=file_id, subject_kind="customer", subject_id=id, name=NAME, **more)


def test_col_09_a_file_is_put_on_a_record_and_taken_away(kit: InMemoryService) -> None:
    id, file_id = enter(kit), upload(kit)
    command = attaching(file_id, id)
    kit.do(command, by=SALES)
    attached = FileAttached(
        attachment_id=command.attachment_id, file_id=file_id, subject_kind="customer", subject_id=id, person_id=id,
        name=NAME, size=12, sha256="ab" * 32, media_type="application/pdf", by=person(SALES),
    )  # fmt: skip
    assert kit.stream(command.attachment_id) == [attached]
    deleting = DeleteAttachment(attachment_id=command.attachment_id)
    for by, code in ((OTHER, "NOT_FOUND"), (MANAGER, "FORBIDDEN")):
        kit.assert_refused(code, deleting, by=by, field="attachment_id")
    kit.do(deleting, by=SUPERVISOR)
    assert isinstance(kit.stream(command.attachment_id)[-1], AttachmentDeleted)
    kit.assert_refused("NOT_FOUND", deleting, by=SALES, field="attachment_id")


def test_col_09_a_file_is_its_uploaders_for_a_day_and_is_attached_once(kit: InMemoryService) -> None:
    id, file_id = enter(kit), upload(kit)
    kit.assert_refused("NOT_FOUND", attaching(file_id, id), by=SUPERVISOR, field="file_id")
    kit.assert_refused("NOT_FOUND", attaching(uuid4(), id), by=SALES, field="file_id")
    kit.assert_refused("NOT_FOUND", attaching(upload(kit, OTHER), id), by=OTHER, field="subject_id")
    kit.do(attaching(file_id, id), by=SALES)
    assert kit.assert_refused("INVALID_STATE", attaching(file_id, id), by=SALES, field="file_id").state == "ATTACHED"
    late = upload(kit)
    kit.pass_time(seconds=WAITS.total_seconds())
    assert kit.assert_refused("INVALID_STATE", attaching(late, id), by=SALES, field="file_id").state == "EXPIRED"


def test_col_09_a_comment_has_files_of_its_author_on_its_own_record(kit: InMemoryService) -> None:
    id, other = enter(kit), enter(kit)
    mine, theirs = write(kit, id), write(kit, id, SUPERVISOR)
    for comment, on, code in ((theirs, id, "FORBIDDEN"), (mine, other, "NOT_FOUND"), (uuid4(), id, "NOT_FOUND")):
        command = attaching(upload(kit), on, comment_id=comment)
        kit.assert_refused(code, command, by=SALES, field="comment_id")
    command = attaching(upload(kit), id, comment_id=mine)
    kit.do(command, by=SALES)
    assert kit.stream(command.attachment_id)[0].comment_id == mine


def test_col_09_the_files_of_a_comment_go_with_it(kit: InMemoryService) -> None:
    id = enter(kit)
    comment, other = write(kit, id), write(kit, id)
    commands = [attaching(upload(kit), id, comment_id=comment) for _ in range(2)]
    kept = attaching(upload(kit), id, comment_id=other)
    for command in (*commands, kept):
        kit.do(command, by=SALES)
    kit.do(DeleteAttachment(attachment_id=commands[0].attachment_id), by=SALES)
    kit.do(DeleteComment(comment_id=comment), by=SUPERVISOR)
    for command in commands:
        [_, gone] = kit.stream(command.attachment_id)
        assert isinstance(gone, AttachmentDeleted)
        kit.assert_refused(
            "NOT_FOUND", DeleteAttachment(attachment_id=command.attachment_id), by=SALES, field="attachment_id"
        )
    assert [type(fact) for fact in kit.stream(kept.attachment_id)] == [FileAttached]


def test_col_09_a_file_that_a_former_release_left_on_a_deleted_comment_is_not_there(kit: InMemoryService) -> None:
    gone, there = domain.Comment(uuid4(), deleted=True), domain.Comment(uuid4())
    file = domain.Attachment(uuid4(), comment_id=gone.id)
    assert file.is_on(there) and not file.is_on(gone)
    assert domain.Attachment(uuid4()).is_on(None) and not domain.Attachment(uuid4(), deleted=True).is_on(None)


def test_col_09_a_comment_has_so_many_files_at_most(kit: InMemoryService, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them are taken away with it, in one step."""
    monkeypatch.setattr(domain, "MOST_FILES", 2)
    id = enter(kit)
    comment = write(kit, id)
    for _ in range(2):
        kit.do(attaching(upload(kit), id, comment_id=comment), by=SALES)
    more = attaching(upload(kit), id, comment_id=comment)
    kit.assert_refused("TOO_LARGE", more, by=SALES, field="comment_id")
    assert not kit.stream(more.attachment_id)
    kit.do(DeleteComment(comment_id=comment), by=SALES)


def test_cpl_01_neither_comment_nor_file_name_can_be_read_once_the_person_was_erased(
    kit: InMemoryService, keys: KeyRing
) -> None:
    id = enter(kit)
    comment, command = write(kit, id), attaching(upload(kit), id)
    kit.do(command, by=SALES)
    stored = b"".join(one.data for one in kit.store.notifications(0, 100))
    assert "明日".encode() not in stored and "見積".encode() not in stored and b"pdf" in stored
    assert keys.destroy(id)
    assert (kit.stream(comment)[0].text, kit.stream(command.attachment_id)[0].name) == ("", "")
    again = WriteComment(subject_kind="customer", subject_id=id, text="x")
    assert kit.assert_refused("INVALID_STATE", again, by=SALES).state == "ERASED"


def test_cpl_01_the_audit_log_holds_neither_comments_nor_file_names(kit: InMemoryService) -> None:
    from chassis.audit.entries import fields_of

    for command, text in ((attaching(uuid4(), uuid4()), NAME), (write_command(), "明日")):
        for refused in (False, True):
            kept = bytes(fields_of(command, refused=refused)).decode()
            assert text not in kept and str(command.subject_id) in kept


def write_command() -> WriteComment:
    return WriteComment(subject_kind="customer", subject_id=uuid4(), text="明日")


def test_col_09_what_nobody_can_reach_any_more_is_swept_and_all_else_stays(
    kit: InMemoryService, keys: KeyRing, tmp_path: Path
) -> None:
    """Of an upload whose command failed, of one that was never attached, of what was taken away and of the erased."""
    folder = Folder(tmp_path / "kept")
    id, erased = enter(kit), enter(kit)

    def keep(file_id: UUID) -> UUID:
        source = tmp_path / "source"
        source.write_bytes(b"%PDF-1.7 xyz")
        folder.keep(file_id, source)
        return file_id

    unregistered, waiting, attached, deleted, of_erased = (keep(uuid4() if n == 0 else upload(kit)) for n in range(5))
    taken_away = attaching(deleted, id)
    for command in (attaching(attached, id), taken_away, attaching(of_erased, erased)):
        kit.do(command, by=SALES)
    (since,) = {one.since.replace(microsecond=0, second=0) for one in folder.kept()}
    assert sweep(kit.store, folder, since + WAITS) == 0
    kit.do(DeleteAttachment(attachment_id=taken_away.attachment_id), by=SALES)
    keys.destroy(erased)
    assert sweep(kit.store, folder, since) == 2
    assert {one.id for one in folder.kept()} == {unregistered, waiting, attached}
    assert sweep(kit.store, folder, since + WAITS + UNDER_WAY + timedelta(minutes=2)) == 2
    assert {one.id for one in folder.kept()} == {attached}
    assert b"".join(folder.open(attached)) == b"%PDF-1.7 xyz"
    with pytest.raises(NoSuchFile):
        folder.open(deleted)


def test_col_09_rights_of_who_uploads_are_asked_again_when_it_is_attached(kit: InMemoryService) -> None:
    id, file_id = enter(kit), upload(kit)
    command = attaching(file_id, id)
    kit.learn(CUSTOMER.assigned(customer_id=id, owner=person(OTHER), before=person(SALES)))
    kit.assert_refused("NOT_FOUND", command, by=SALES, field="subject_id")
    kit.assert_refused("NOT_FOUND", replace(command, subject_id=enter(kit, owner=person(OTHER))), by=SALES)


def test_col_09_who_lets_many_files_wait_sends_no_more_until_some_are_attached_or_gone(
    kit: InMemoryService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(domain, "MOST_WAITING", 2)
    id, first = enter(kit), upload(kit)
    upload(kit)
    third = RegisterFile(file_id=uuid4(), size=12, sha256="ab" * 32, media_type="text/plain")
    told = kit.assert_refused("RATE_LIMITED", third, by=SALES)
    assert told.why.params == {"count": 2, "size": 24}
    upload(kit, OTHER)
    kit.do(attaching(first, id), by=SALES)
    kit.do(third, by=SALES)
    kit.pass_time(seconds=WAITS.total_seconds())
    upload(kit)
    monkeypatch.setattr(domain, "MOST_WAITING_BYTES", 12)
    kit.assert_refused("RATE_LIMITED", replace(third, file_id=uuid4()), by=SALES)
