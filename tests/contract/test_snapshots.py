"""A snapshot of an aggregate is the aggregate: over every one that keeps snapshots, with events made at random."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import pytest
from component.histories import IDS, event_of, random_event

from chassis.catalogue import Catalogue
from chassis.model.aggregates import Aggregate
from chassis.store.transaction import snapshot_of
from chassis.verify.commands import check_snapshots
from contracts.access import RefreshSession, SignIn
from contracts.declare import REGISTRY
from contracts.schemas import decode
from services.access.domain.sessions import Attempts, Session
from services.access.domain.users import User
from services.access.test_access import NEW, NOBODY, Office, quick_hashes  # noqa: F401 - a fixture

Catalogue.read().services()  # every service's aggregates are known


def kinds(cls: type[Aggregate] = Aggregate) -> list[type[Aggregate]]:
    return [kind for own in cls.__subclasses__() for kind in (own, *kinds(own))]


def is_salestream_s(kind: type[Aggregate]) -> bool:
    """Whether it is none that a test has made, and no base of others alone."""
    place = kind.__module__
    return bool(kind.appliers) and place.startswith(("services.", "chassis.")) and ".test_" not in place


KEPT = [kind for kind in kinds() if kind.snapshot_every and is_salestream_s(kind)]
READ_AROUND = {"User", "Attempts", "Session", "Device", "Children", "Places", "Turn"}
"""What is read from the store at each sign-in, refresh or contact, or with each record of a kind, and grows with every
one."""


def some_event(kind: type, random: Random) -> Any:
    if REGISTRY.is_public_event(kind):
        return random_event(kind, random)
    return event_of(kind, lambda part, _: random_value(part, random), lambda _: random.randint(1, 2))


def random_value(part: Any, random: Random) -> Any:
    match part.get("format", part["type"]):
        case "uuid":
            return str(random.choice(IDS))
        case "date-time":
            return "2026-03-02T01:00:00Z"
        case "date":
            return random.choice(("2026-03-02", "2026-03-03"))
        case "integer":
            return random.randint(0, 9)
        case "boolean":
            return random.random() < 0.5
    return random.choice(part.get("enum", ("a", "b")))


def test_what_every_sign_in_contact_or_record_reads_and_makes_longer_keeps_snapshots() -> None:
    assert {kind.__name__ for kind in KEPT} >= READ_AROUND


@pytest.mark.parametrize("kind", KEPT, ids=lambda kind: kind.__name__)
def test_an_aggregate_is_what_its_snapshot_says(kind: type[Aggregate]) -> None:
    random = Random(7)
    for _ in range(20):
        aggregate = kind(id=UUID(int=1))
        for fact in random.choices(list(kind.appliers), k=30):
            aggregate.apply(some_event(fact, random))
        assert decode(kind, snapshot_of(aggregate).state, aggregate.id) == aggregate


def test_verify_finds_the_snapshots_of_sign_ins_as_their_events_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in (User, Attempts, Session):
        monkeypatch.setattr(kind, "snapshot_every", 2)
    office = Office(tmp_path)
    _, login = office.user("SAL", email="li@example.com")
    for _ in range(4):
        office.refusal(SignIn(name=login, password="Wrong#2026"))
        told = office.sign_in(login, NEW)
        office.kit.do(RefreshSession(session_id=UUID(told["id"]), refresh_token=told["refresh_token"]), NOBODY)
    found = list(check_snapshots(office.kit.store))
    assert len(found) >= 6 and set(found) == {None}
