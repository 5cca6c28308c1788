"""Records of a kind with statuses go from one to another by the steps that are declared, and by no others (ADR 0047).

Asked of every such kind, so also of those that are declared later: campaigns (MKT-01) are one.
"""

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from chassis.catalogue import Catalogue
from chassis.metadata.everything import Company, metadata
from chassis.model.principal import Principal
from chassis.model.records import is_filled
from chassis.model.wording import Wording
from chassis.testing.records import enter_in, new_record
from chassis.testing.services import InMemoryService
from chassis.testing.views import documents
from contracts.declare import REGISTRY
from contracts.errors import Refused
from contracts.permissions import RIGHTS, ROLES
from contracts.records import KINDS, Kind
from contracts.schemas import load
from contracts.statuses import STATUS, STATUS_REASON, STATUS_SINCE, Statuses, Step

REGISTRY.load()
SERVICES = {service.name: service for service in Catalogue.read().services()}
VIEWS = {view.kind: view for view in Catalogue.read().views() if view.kind}
WITH_STATUSES = [kind for kind in KINDS.values() if kind.statuses]
WHY = "原因说明"


class Shop:
    """The service of a kind, and one record with every field filled."""

    def __init__(self, kind: Kind) -> None:
        assert kind.statuses is not None
        self.kind, self.statuses, self.kit = kind, kind.statuses, InMemoryService(SERVICES[kind.service])
        self.permission = REGISTRY.command_of(kind.set_status).permission
        self.id = self.enter()

    def enter(self, **more: Any) -> UUID:
        """A record with every field filled, but for those that are given."""
        id = uuid4()
        self.kit.do(
            load(self.kind.create, {**new_record(self.kind, enter_in(self.kit)), self.kind.key: str(id), **more})
        )
        return id

    def to(self, status: str, reason: str = "", id: UUID | None = None) -> Any:
        return self.kind.set_status(**{self.kind.key: id or self.id}, status=status, reason=reason)

    def walk(self, status: str, id: UUID | None = None) -> None:
        """Take the record to a status by the shortest way."""
        for step in way_to(self.statuses, status):
            self.kit.do(self.to(step.to, WHY, id))

    @property
    def status(self) -> str:
        told = [fact for fact in self.kit.stream(self.id) if hasattr(fact, STATUS)]
        return str(told[-1].status)


def way_to(statuses: Statuses, status: str) -> list[Step]:
    """The shortest way from the first status to another one."""
    ways: dict[str, list[Step]] = {statuses.first: []}
    while status not in ways:
        for step in statuses.steps:
            for before in step.after:
                if before in ways:
                    ways.setdefault(step.to, [*ways[before], step])
    return ways[status]


@pytest.fixture(params=WITH_STATUSES, ids=lambda kind: kind.what)
def shop(request: pytest.FixtureRequest) -> Shop:
    return Shop(request.param)


def pairs(statuses: Statuses) -> Iterator[tuple[str, str]]:
    """Each two statuses; from that of a pool, or of what has become something else, no step leads on."""
    names = [name for name in statuses.names if name not in (statuses.pooled, statuses.becomes)]
    return ((before, to) for before in names for to in statuses.names if before != to)


def test_there_are_such_kinds_and_no_other_has_the_command() -> None:
    assert "campaign" in {kind.what for kind in WITH_STATUSES}
    assert all(kind.set_status is kind.status_set is None for kind in KINDS.values() if kind not in WITH_STATUSES)


def test_mkt_01_a_record_begins_with_the_first_status(shop: Shop) -> None:
    [created] = shop.kit.stream(shop.id)
    assert created.status == shop.statuses.first == shop.statuses.names[0]


def test_mkt_01_every_step_that_is_declared_can_be_made_and_no_other(shop: Shop) -> None:
    for before, to in pairs(shop.statuses):
        id = shop.enter()
        shop.walk(before, id)
        if shop.statuses.step(before, to):
            shop.kit.do(shop.to(to, WHY, id))
            told = shop.kit.stream(id)[-1]
            assert (type(told), told.before, told.status, told.reason) == (shop.kind.status_set, before, to, WHY)
        else:
            refusal = shop.kit.assert_refused("INVALID_STATE", shop.to(to, WHY, id), field=STATUS)
            assert refusal.state == before
            for open in shop.statuses.after(before):
                assert open in refusal.message, "the way out is told"


def test_mkt_01_a_status_that_a_record_has_is_set_again_without_an_event(shop: Shop) -> None:
    before = shop.kit.store.last_position()
    shop.kit.do(shop.to(shop.statuses.first, WHY))
    assert shop.kit.store.last_position() == before


def test_mkt_01_a_step_says_why_where_it_must(shop: Shop) -> None:
    for step in shop.statuses.steps:
        for before in step.after:
            id = shop.enter()
            shop.walk(before, id)
            for blank in ("", "  \u3000"):
                if step.reason:
                    shop.kit.assert_refused("VALIDATION", shop.to(step.to, blank, id), field="reason")
            if not step.reason:
                shop.kit.do(shop.to(step.to, "", id))


def test_mkt_01_a_step_waits_for_the_fields_it_needs_and_they_stay_filled(shop: Shop) -> None:
    for step in shop.statuses.steps:
        for name in step.needs:
            for before in step.after:
                if any(name in earlier.needs for earlier in way_to(shop.statuses, before)):
                    continue
                id = shop.enter(**{name: None})
                shop.walk(before, id)
                refusal = shop.kit.assert_refused("INVALID_STATE", shop.to(step.to, WHY, id), field=STATUS)
                assert refusal.why.params["fields"] == [name]
    for status in shop.statuses.names:
        if status in (shop.statuses.pooled, shop.statuses.becomes):
            continue
        id = shop.enter()
        shop.walk(status, id)
        for name in shop.statuses.needed_in(status):
            emptied: Any = load(shop.kind.edit, {shop.kind.key: str(id), name: None})
            assert shop.kit.assert_refused("INVALID_STATE", emptied, field=name).state == status
            assert is_filled(getattr(shop.kit.stream(id)[0].data, name))


def test_mkt_01_a_step_with_a_right_of_its_own_is_for_who_holds_it(shop: Shop) -> None:
    for step in (step for step in shop.statuses.steps if step.right):
        holders = RIGHTS[shop.permission] - RIGHTS[step.right]
        without = next(role for role in ROLES if role in holders)
        by = Principal(uuid4(), "Wang", frozenset({without}))
        for before in step.after:
            id = shop.enter()
            shop.walk(before, id)
            if shop.kind.owned:
                shop.kit.known(by)
                shop.kit.do(shop.kind.assign(**{shop.kind.key: id}, owner_id=by.user_id))
            refusal = shop.kit.assert_refused("FORBIDDEN", shop.to(step.to, WHY, id), by=by, field=STATUS)
            assert refusal.why.reason == "rights.field"


def test_mkt_01_what_is_deleted_takes_no_step_and_comes_back_with_its_status(shop: Shop) -> None:
    status = shop.statuses.after(shop.statuses.first)[0]
    shop.walk(status)
    shop.kit.do(shop.kind.delete(**{shop.kind.key: shop.id}))
    shop.kit.assert_refused("NOT_FOUND", shop.to(shop.statuses.first, WHY), field=shop.kind.key)
    shop.kit.do(shop.kind.restore(**{shop.kind.key: shop.id}))
    assert shop.status == status
    shop.kit.do(shop.kind.revert(**{shop.kind.key: shop.id}, version=1))
    assert shop.status == status, "what is put back is what was known, and not how far it had come"


def test_mkt_01_its_list_shows_selects_and_sorts_by_status_and_keeps_its_history(shop: Shop) -> None:
    view, status = VIEWS[shop.kind.code], shop.statuses.after(shop.statuses.first)[0]
    shop.walk(status)
    [row] = documents(view, shop.kit.stream(shop.id)).values()
    assert (row[STATUS], row[STATUS_REASON], row[STATUS_SINCE]) == (status, WHY, row["changed_at"])
    assert STATUS in view.filters and STATUS in view.sorts and shop.kind.status_set in view.history
    assert view.types[STATUS].choices == tuple(shop.statuses.names)
    assert (STATUS_REASON in view.personal) is shop.kind.has_personal


@pytest.mark.parametrize("language", ["zh", "ja", "en"])
def test_mkt_01_statuses_are_told_in_words_and_in_their_order(shop: Shop, language: Any) -> None:
    found = metadata(Wording(language), lambda _: True, Company())
    command = next(one for one in found.commands if one.name == shop.kind.set_status.__name__)
    [field] = [one for one in command.fields if one.name == STATUS]
    assert [one.value for one in field.choices or ()] == list(shop.statuses.names)
    view = next(one for one in found.views if one.name == VIEWS[shop.kind.code].name)
    [column] = [one for one in view.columns if one.name == STATUS]
    assert column.choices == field.choices
    assert command.bulk and column.groupable


@pytest.mark.parametrize("language", ["zh", "ja"])
def test_mkt_01_a_refusal_calls_statuses_as_lists_do(shop: Shop, language: Any) -> None:
    found = metadata(Wording(language), lambda _: True, Company())
    view = next(one for one in found.views if one.name == VIEWS[shop.kind.code].name)
    [column] = [one for one in view.columns if one.name == STATUS]
    labels = {one.value: one.label for one in column.choices or ()}
    for before, to in pairs(shop.statuses):
        if not shop.statuses.step(before, to):
            id = shop.enter()
            shop.walk(before, id)
            refusal, open = shop.kit.assert_refused("INVALID_STATE", shop.to(to, WHY, id)), shop.statuses.after(before)
            if refusal.why.reason == "pools.claim_first":  # which names what to do, and no status
                continue
            told = refusal.why.said(language)
            assert all(labels[one] in told for one in [before, *([to, *open] if open else [])])


def test_mkt_01_a_refusal_says_where_the_record_can_go_in_the_words_of_the_reader() -> None:
    refusal = Refused(
        "records.no_such_step", to="ENDED", states=["RUNNING", "CANCELLED"], field=STATUS, state="PLANNED"
    )
    assert refusal.why.said("zh") == "状态为“计划中”时不能改为“已结束”，可以改为：进行中、已取消。"
    assert str(refusal) == "No step leads from PLANNED to ENDED; from here there are: RUNNING, CANCELLED."
