"""Versions of rows: what changes make of them, whatever the clock does and however they come in batches."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from chassis.catalogue import Catalogue
from chassis.model.changes import Append, Change, EventMetadata, Latest, Set
from chassis.model.views import View
from chassis.projections.versions import FROM, NUMBER, OF, UNTIL, made
from contracts.customers import CustomerCreated, CustomerEdited
from contracts.declare import REGISTRY
from contracts.people import Person

VIEW = next(view for view in Catalogue.read().views() if view.name == "customers")
ID = "01900000-0000-7000-8000-000000000001"
AT = datetime(2026, 3, 2, tzinfo=UTC)
LI = Person(user_id=UUID(ID), name="Li")


def event(number: int, *, minutes: int, cls: type = CustomerEdited, of: str = ID) -> EventMetadata:
    at = AT + timedelta(minutes=minutes)
    return EventMetadata(f"{of}/{number}", REGISTRY.event_of(cls).name, at, "customers.events:0", number, "", by=LI)


def versions(*batches: Sequence[tuple[Change, EventMetadata]], view: View = VIEW) -> list[dict[str, Any]]:
    """All versions after some batches, by number."""
    found: dict[str, dict[str, Any]] = {}
    for batch in batches:
        latest = {one[OF]: dict(one) for one in found.values() if one[UNTIL] is None}
        found |= {one["_id"]: one for one in made(view, batch, latest)}
    return sorted(found.values(), key=lambda one: int(one[NUMBER]))


CREATED = (Set(ID, name="Hana", region="Osaka"), event(1, minutes=0, cls=CustomerCreated))
EDITED = (Set(ID, name="Hanako"), event(2, minutes=5))
AGAIN = (Set(ID, region=None), event(4, minutes=9))


def test_each_version_keeps_what_the_one_before_it_said_and_ends_it() -> None:
    for batches in ([[CREATED, EDITED, AGAIN]], [[CREATED], [EDITED], [AGAIN]], [[CREATED, EDITED], [AGAIN]]):
        first, second, third = versions(*batches)
        assert [(one["name"], one["region"]) for one in (first, second, third)] == [
            ("Hana", "Osaka"), ("Hanako", "Osaka"), ("Hanako", None),
        ]  # fmt: skip
        assert (first[UNTIL], second[UNTIL], third[UNTIL]) == (second[FROM], third[FROM], None)
        assert third["_about"]["by"] == {"user_id": ID, "name": "Li"}


def test_what_an_event_sets_in_several_changes_is_one_version() -> None:
    _, second = versions([CREATED, EDITED, (Set(ID, region="Kyoto"), EDITED[1])])
    assert (second["name"], second["region"], second[NUMBER]) == ("Hanako", "Kyoto", 2)


def test_a_clock_that_was_set_back_ends_none_before_it_begins() -> None:
    first, second, third = versions([CREATED, (EDITED[0], event(2, minutes=-60))], [AGAIN])
    assert first[FROM] == first[UNTIL] == second[FROM] == AT
    assert second[UNTIL] == third[FROM] == AT + timedelta(minutes=9)


def test_only_what_events_of_the_history_set_in_the_row_of_their_record_makes_versions() -> None:
    other = "01900000-0000-7000-8000-000000000002"
    changes: list[tuple[Change, EventMetadata]] = [
        (Set(other, name="of another record"), EDITED[1]),
        (Latest(ID, name="in any order"), event(3, minutes=6)),
        (Append(ID, "list", n=1), event(3, minutes=6)),
        (Set(ID, name="no event of it"), EventMetadata(f"{ID}/3", "salestream.x.y.v1", AT, "x.events:0", 3, "")),
    ]
    assert len(versions([CREATED, *changes])) == 1
