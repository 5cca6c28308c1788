"""Comments on records, and what people have viewed last (COL-09, UIX-07)."""

from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from chassis.documents.samples import sample
from chassis.model.principal import Principal
from chassis.testing.people import ADMIN, MANAGER, SALES, SUPERVISOR, WAREHOUSE, user
from chassis.testing.services import InMemoryService
from contracts.collaboration import (
    CommentDeleted,
    CommentEdited,
    CommentWritten,
    DeleteComment,
    EditComment,
    RecordViewed,
    RecordViewing,
    SubjectRef,
    WriteComment,
)
from contracts.customers import CustomerData
from contracts.errors import Refused
from contracts.orders import OrderChanged, OrderCreated, OrderSubmitted
from contracts.people import NOBODY, Person
from contracts.records import KINDS, Kind, kind_of
from contracts.schemas import load
from contracts.sharing import Share
from contracts.subjects import subjects
from services.collaboration import domain
from services.collaboration.application import SERVICE
from services.collaboration.subjects import SUBJECTS

OTHER = user("wu", "SAL", superior=SUPERVISOR)
KEEPER, COLLEAGUE = (user(name, "SUP", superior=SUPERVISOR) for name in ("zhou", "sun"))
"""Two who may have records of any kind, each their own."""
COMMENT = UUID("01900000-0000-7000-8000-00000000000c")
CUSTOMER = kind_of(CustomerData)
ALL_KINDS = [pytest.param(kind, id=kind.what) for kind in KINDS.values()]
OWNED = [pytest.param(kind, id=kind.what) for kind in KINDS.values() if kind.owned]


@pytest.fixture
def kit() -> InMemoryService:
    kit = InMemoryService(SERVICE)
    for person in (ADMIN, MANAGER, SALES, SUPERVISOR, WAREHOUSE, OTHER, KEEPER, COLLEAGUE):
        kit.known(person)
    return kit


def id_of(of: Principal) -> UUID:
    assert of.user_id is not None
    return of.user_id


def person(of: Principal) -> Person:
    return Person(user_id=of.user_id, name=of.name)


def fact(cls: type, **given: Any) -> Any:
    """An event with these values; the others are those of the published sample."""
    return replace(load(cls, sample(cls)), **given)


def enter(kit: InMemoryService, kind: Kind = CUSTOMER, owner: Person | None = None) -> UUID:
    id = uuid4()
    owned = {"owner": owner or person(SALES)} if kind.owned else {}
    kit.learn(fact(kind.created, **{kind.key: id}, **owned))
    return id


def write(kit: InMemoryService, id: UUID, by: Principal = SALES, kind: str = "customer", **more: Any) -> UUID:
    given = {"comment_id": uuid4(), "subject_kind": kind, "subject_id": id, "text": "Ring back 明日", **more}
    kit.do(WriteComment(**given), by=by)
    comment_id: UUID = given["comment_id"]
    return comment_id


def test_col_09_a_comment_is_written_changed_and_taken_away_by_its_author(kit: InMemoryService) -> None:
    id = enter(kit)
    write(kit, id, comment_id=COMMENT)
    kit.do(EditComment(comment_id=COMMENT, text="Ring back\nat ten", mentions=(id_of(SUPERVISOR),)), by=SALES)
    kit.do(EditComment(comment_id=COMMENT, text="Ring back\nat ten"), by=SALES)
    about: dict[str, Any] = {"comment_id": COMMENT, "subject_kind": "customer", "subject_id": id}
    sato = (person(SUPERVISOR),)
    written = CommentWritten(**about, person_id=id, text="Ring back 明日", mentioned=(), by=person(SALES))
    edited = CommentEdited(
        **about, person_id=id, text="Ring back\nat ten", mentioned=sato, newly_mentioned=sato, by=person(SALES)
    )
    assert kit.stream(COMMENT) == [written, edited]
    kit.do(DeleteComment(comment_id=COMMENT), by=SALES)
    assert kit.stream(COMMENT)[-1] == CommentDeleted(**about, by=person(SALES))
    kit.assert_refused("NOT_FOUND", EditComment(comment_id=COMMENT, text="x"), by=SALES, field="comment_id")
    kit.assert_refused("NOT_FOUND", DeleteComment(comment_id=COMMENT), by=SALES, field="comment_id")


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_col_09_every_kind_of_record_can_be_commented_on_by_whom_it_is_seen(kit: InMemoryService, kind: Kind) -> None:
    id = enter(kit, kind, owner=person(ADMIN))
    write(kit, id, ADMIN, kind.code)
    stranger = user("stranger", "QCI")
    refused = kit.assert_refused(
        "NOT_FOUND",
        WriteComment(subject_kind=kind.code, subject_id=id, text="x"),
        by=stranger,
        field="subject_id",
    )
    assert kind.what in refused.message
    kit.learn(kind.deleted(**{kind.key: id}))
    again = WriteComment(subject_kind=kind.code, subject_id=id, text="x")
    kit.assert_refused("NOT_FOUND", again, field="subject_id")
    kit.learn(kind.restored(**{kind.key: id}))
    write(kit, id, ADMIN, kind.code)


@pytest.mark.parametrize("kind", OWNED)
def test_col_09_who_may_comment_follows_the_owner_of_the_record(kit: InMemoryService, kind: Kind) -> None:
    id, command = enter(kit, kind, person(KEEPER)), partial_write(kind)
    write(kit, id, KEEPER, kind.code)
    write(kit, id, SUPERVISOR, kind.code)
    kit.assert_refused("NOT_FOUND", command(id), by=COLLEAGUE, field="subject_id")
    kit.learn(fact(kind.assigned, **{kind.key: id}, owner=person(COLLEAGUE), before=person(KEEPER)))
    write(kit, id, COLLEAGUE, kind.code)
    kit.assert_refused("NOT_FOUND", command(id), by=KEEPER, field="subject_id")
    kit.learn(fact(kind.assigned, **{kind.key: id}, owner=NOBODY, before=person(COLLEAGUE)))
    for by in (KEEPER, COLLEAGUE, SUPERVISOR):
        kit.assert_refused("NOT_FOUND", command(id), by=by, field="subject_id")
    write(kit, id, ADMIN, kind.code)


@pytest.mark.parametrize("kind", OWNED)
def test_col_07_col_09_whom_a_record_is_shared_with_comments_on_it_as_long_as_it_is(
    kit: InMemoryService, kind: Kind
) -> None:
    id, command = enter(kit, kind, person(KEEPER)), partial_write(kind)
    mention = replace(command(id), mentions=(id_of(COLLEAGUE),))
    kit.assert_refused("VALIDATION", mention, by=KEEPER, field="mentions")
    share = Share(with_id=id_of(COLLEAGUE), kind="USER", name=COLLEAGUE.name, until=kit.today)
    kit.learn(fact(kind.shared, **{kind.key: id}, shares=(share,)))
    write(kit, id, COLLEAGUE, kind.code)
    kit.do(mention, by=KEEPER)
    kit.pass_time(days=1)
    kit.assert_refused("NOT_FOUND", command(id), by=COLLEAGUE, field="subject_id")
    kit.learn(fact(kind.shared, **{kind.key: id}, shares=(replace(share, until=None),)))
    write(kit, id, COLLEAGUE, kind.code)
    kit.learn(fact(kind.assigned, **{kind.key: id}, owner=person(SUPERVISOR), before=person(KEEPER)))
    kit.assert_refused("NOT_FOUND", command(id), by=COLLEAGUE, field="subject_id")


def partial_write(kind: Kind) -> Any:
    return lambda id: WriteComment(subject_kind=kind.code, subject_id=id, text="x")


def test_col_09_orders_are_commented_on_by_seller_and_submitter_and_tell_of_their_customer(
    kit: InMemoryService,
) -> None:
    id = uuid4()
    created = fact(OrderCreated, order_id=id, owner=person(OTHER))
    kit.learn(created)
    order = WriteComment(subject_kind="order", subject_id=id, text="x", comment_id=COMMENT)
    kit.assert_refused("NOT_FOUND", order, by=SALES, field="subject_id")
    kit.learn(fact(OrderSubmitted, order_id=id, submitter=person(SALES)))
    kit.do(order, by=SALES)
    assert kit.stream(COMMENT)[0].person_id == created.customer.customer_id
    write(kit, id, OTHER, "order")


def test_col_09_an_id_names_a_record_of_its_own_kind_only(kit: InMemoryService) -> None:
    id = enter(kit)
    for kind in set(subjects()) - {"customer"}:
        kit.assert_refused("NOT_FOUND", WriteComment(subject_kind=kind, subject_id=id, text="x"), field="subject_id")
    refused = kit.assert_refused(
        "VALIDATION", WriteComment(subject_kind="comment", subject_id=id, text="x"), field="subject_kind"
    )
    assert all(kind in refused.message for kind in subjects())


def test_col_09_only_the_author_changes_a_comment_and_moderators_delete_those_whom_they_reach(
    kit: InMemoryService,
) -> None:
    id = enter(kit)
    mine, theirs = write(kit, id), write(kit, id, MANAGER)
    for by in (SUPERVISOR, ADMIN, MANAGER):
        kit.assert_refused("FORBIDDEN", EditComment(comment_id=mine, text="x"), by=by, field="comment_id")
    kit.assert_refused("FORBIDDEN", DeleteComment(comment_id=mine), by=MANAGER, field="comment_id")
    kit.assert_refused("FORBIDDEN", DeleteComment(comment_id=theirs), by=SUPERVISOR, field="comment_id")
    kit.assert_refused("NOT_FOUND", DeleteComment(comment_id=mine), by=OTHER, field="comment_id")
    kit.do(DeleteComment(comment_id=mine), by=SUPERVISOR)
    kit.do(DeleteComment(comment_id=theirs), by=ADMIN)


def test_col_09_who_can_not_see_the_record_any_more_changes_nothing_there(kit: InMemoryService) -> None:
    id = enter(kit)
    comment = write(kit, id)
    kit.learn(fact(CUSTOMER.assigned, customer_id=id, owner=person(OTHER), before=person(SALES)))
    kit.assert_refused("NOT_FOUND", EditComment(comment_id=comment, text="x"), by=SALES, field="comment_id")
    kit.assert_refused("NOT_FOUND", DeleteComment(comment_id=comment), by=SALES, field="comment_id")


def test_col_09_who_is_mentioned_is_there_and_may_see_the_record(kit: InMemoryService) -> None:
    id = enter(kit)

    def mention(*ids: Any) -> WriteComment:
        return WriteComment(subject_kind="customer", subject_id=id, text="x", mentions=ids, comment_id=COMMENT)

    refused = kit.assert_refused("VALIDATION", mention(OTHER.user_id), by=SALES, field="mentions")
    assert refused.why.reason == "collaboration.cannot_see" and OTHER.name in refused.message
    kit.assert_refused("VALIDATION", mention(WAREHOUSE.user_id), by=SALES, field="mentions")
    unknown = kit.assert_refused("NOT_FOUND", mention(uuid4()), by=SALES, field="mentions")
    assert unknown.why.reason == "records.no_such_user"
    kit.do(mention(SUPERVISOR.user_id, MANAGER.user_id), by=SALES)
    assert kit.stream(COMMENT)[0].mentioned == (person(SUPERVISOR), person(MANAGER))
    kit.do(EditComment(comment_id=COMMENT, mentions=(id_of(MANAGER), id_of(SALES))), by=SALES)
    assert kit.stream(COMMENT)[1].newly_mentioned == (person(SALES),)


def test_col_09_the_number_of_people_mentioned_has_a_bound(kit: InMemoryService) -> None:
    many = [user(f"m{n}", "MGT") for n in range(domain.MOST_MENTIONED + 1)]
    for one in many:
        kit.known(one)
    id, ids = enter(kit), [one.user_id for one in many]

    def mention(ids: list[Any]) -> WriteComment:
        return WriteComment(subject_kind="customer", subject_id=id, text="x", mentions=tuple(ids))

    refused = kit.assert_refused("VALIDATION", mention(ids), by=SALES, field="mentions")
    assert refused.why.reason == "collaboration.most_mentioned"
    kit.do(mention(ids[:-1]), by=SALES)


def test_col_09_programs_and_people_without_a_role_do_not_comment() -> None:
    for by in (replace(SALES, machine=True), user("new")):
        with pytest.raises(Refused) as refused:
            by.require("colleague")
        assert refused.value.code == "FORBIDDEN"


def test_uix_07_what_was_viewed_is_listed_once_the_latest_first_and_the_list_has_a_bound(
    kit: InMemoryService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(domain, "MOST_RECENT", 2)
    first, second, third = (enter(kit) for _ in range(3))
    for id in (first, second, first, third):
        kit.do(RecordViewing(subject_kind="customer", subject_id=id), by=SALES)
    facts = [one for one in kit.facts() if isinstance(one, RecordViewed)]
    gone = SubjectRef(subject_kind="customer", subject_id=second)
    assert [one.forgotten for one in facts] == [(), (), (), (gone,)]
    assert {one.viewer_id for one in facts} == {SALES.user_id}
    kit.assert_refused("NOT_FOUND", RecordViewing(subject_kind="customer", subject_id=first), by=OTHER)


def test_uix_07_the_list_of_one_person_is_read_again_from_a_snapshot(kit: InMemoryService) -> None:
    ids = [enter(kit) for _ in range(3)]
    for number in range(2 * domain.Viewer.snapshot_every + 1):
        kit.do(RecordViewing(subject_kind="customer", subject_id=ids[number % 3]), by=SALES)
    held = kit.store.load(domain.Viewer, domain.viewer(id_of(SALES)))
    assert held is not None and [one.subject_id for one in held.recent] == ids


def test_col_09_every_kind_of_subject_is_known_here_and_has_a_list() -> None:
    from chassis.catalogue import Catalogue

    shown = {view.subject for view in Catalogue.read().views() if view.is_list}
    assert set(subjects()) <= shown
    assert {event for kind in KINDS.values() for event in (kind.created, kind.deleted, kind.restored)} <= set(
        SUBJECTS.feeds
    )


def test_cpl_01_a_comment_stays_sealed_with_the_key_of_whom_it_was_written_about(kit: InMemoryService) -> None:
    """Also where the order that it is about was given another customer since: that is somebody else."""
    order, before, after = uuid4(), uuid4(), uuid4()
    created = fact(OrderCreated, order_id=order, owner=person(SALES))
    kit.learn(replace(created, customer=replace(created.customer, customer_id=before)))
    id = write(kit, order, kind="order")
    changed = fact(OrderChanged, order_id=order)
    kit.learn(replace(changed, customer=replace(changed.customer, customer_id=after)))
    kit.do(EditComment(comment_id=id, text="Ring back at ten"), by=SALES)
    assert [told.person_id for told in kit.stream(id)] == [before, before]
    other = write(kit, order, kind="order")
    assert [told.person_id for told in kit.stream(other)] == [after], "what is said since is about the other"
