"""What one was told, as the list shows it (NTF-01, NTF-06)."""

from datetime import UTC, date, datetime
from uuid import uuid4

from chassis.testing.people import SALES, SUPERVISOR
from chassis.testing.views import documents
from contracts.notices import NoticeForgotten, NoticeGiven, NoticeRead
from contracts.people import Person
from services.reports.views import notices

RECORD, NOTICE = uuid4(), uuid4()
NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
assert SALES.user_id
GIVEN = NoticeGiven(
    notice_id=NOTICE,
    receiver_id=SALES.user_id,
    occasion="ORDER_ON_HOLD",
    title="Order on hold",
    text="Order SO-7 is on hold.",
    language="en",
    person_id=SALES.user_id,
    given_at=NOW,
    until=date(2026, 5, 31),
    record_kind="order",
    record_id=RECORD,
    by=Person(user_id=SUPERVISOR.user_id, name="sato"),
)


def test_ntf_06_a_notice_leads_to_its_record_and_says_whether_it_was_read() -> None:
    row = documents(notices.NOTICES, [GIVEN])[str(NOTICE)]
    assert (row["title"], row["read"], row["by"]) == ("Order on hold", False, "sato")
    assert notices.link(row) == f"/orders/{RECORD}"
    assert notices.link({**row, "record_kind": ""}) is None
    read = NoticeRead(notice_id=NOTICE, receiver_id=GIVEN.receiver_id)
    assert documents(notices.NOTICES, [GIVEN, read])[str(NOTICE)]["read"] is True


def test_ntf_06_what_is_over_is_gone() -> None:
    over = NoticeForgotten(notice_id=NOTICE, receiver_id=GIVEN.receiver_id, until=GIVEN.until)
    assert not documents(notices.NOTICES, [GIVEN, over])
