"""What the projector has set aside or given up stands in documents of its own, so that nothing grows without bound."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal
from uuid import uuid4

import bson
import pytest
from pymongo.database import Database

from chassis.foundation.config import Config
from chassis.messaging.dead_letters import Origin
from chassis.projections.collections import SKIPPED, STATES, connect
from chassis.projections.projector import Projector
from chassis.projections.state import live_id, open_state, state_of
from chassis.testing.people import SALES
from component.facts import incoming, submitted
from services.reports.views.orders import VIEW

MANY = 200_000
SOURCE = "orders.events:0"


@pytest.fixture
def database(mongodb_uri: str) -> Iterator[Database[dict[str, Any]]]:
    made = connect(replace(Config(), mongodb_uri=mongodb_uri, mongodb_database=f"test_{uuid4().hex}"))
    yield made
    made.client.drop_database(made.name)
    made.client.close()


def record(position: int, fate: Literal["", "waits", "dropped"] = "") -> Any:
    return replace(incoming(submitted(SALES, "1.00"), position, offset=position), source=SOURCE, fate=fate)


def letter(position: int, *, drop: bool = False) -> Any:
    """The replay, or the drop, of a record that was set aside."""
    about = {
        "dlq-resolves": "0", "dlq-topic": "orders.events", "dlq-partition": "0", "dlq-place": str(position),
    }  # fmt: skip
    more = {"dlq-drop": "1"} if drop else {}
    return replace(record(position), topic="reports.dlq", source="reports.dlq:0", headers={**about, **more})


def size(database: Database[dict[str, Any]]) -> int:
    state = database[STATES].find_one({"_id": live_id(VIEW)})
    assert state is not None
    return len(bson.encode(state))


def origins(progress: Any) -> set[int]:
    return {int(origin.place) for origin in progress}


def test_very_many_records_set_aside_neither_stop_the_projector_nor_lose_their_fate(
    database: Database[dict[str, Any]],
) -> None:
    open_state(database, VIEW, live_id(VIEW))
    few = size(database)
    about = {"source": SOURCE, "key": "k", "collection": VIEW.name}
    for dropped, first in ((False, 1), (True, MANY + 1)):
        database[SKIPPED].insert_many(
            {"_id": f"{VIEW.name} {SOURCE} {place}", "place": str(place), "offset": place, "dropped": dropped, **about}
            for place in range(first, first + MANY)
        )
    projector = Projector(database, [VIEW])
    last = 2 * MANY
    projector.offsets([SOURCE])
    [progress] = projector.progress("orders.events")
    assert (len(progress.aside), len(progress.dropped)) == (MANY, MANY)
    assert progress.must_wait(replace(record(last + 1), key="k"))

    projector.process([record(last + 1, "waits"), record(last + 2), letter(1), letter(2, drop=True)])

    again = Projector(database, [VIEW])
    again.offsets([SOURCE])
    [progress] = again.progress("orders.events")
    assert origins(progress.aside) == {*range(3, MANY + 1), last + 1}
    assert origins(progress.dropped) == {2, *range(MANY + 1, last + 1)}
    assert progress.positions[SOURCE] == last + 2
    assert database[VIEW.name].count_documents({}) > 0
    assert size(database) < few + 1_000


def test_each_record_set_aside_is_written_once_and_a_batch_that_fails_leaves_none(
    database: Database[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    projector = Projector(database, [VIEW])
    for position in range(1, 31):
        projector.offsets([SOURCE])
        projector.process([record(position, "waits" if position % 3 else "")])
    assert database[SKIPPED].count_documents({"dropped": False}) == 20
    database[STATES].update_one({"_id": live_id(VIEW)}, {"$inc": {"revision": 1}})
    with pytest.raises(Exception, match="another projector"):
        projector.process([record(31, "waits")])
    assert database[SKIPPED].count_documents({}) == 20


def test_what_a_former_release_kept_in_the_state_is_moved(database: Database[dict[str, Any]]) -> None:
    open_state(database, VIEW, live_id(VIEW))
    aside = [{"source": SOURCE, "place": str(place), "key": "k", "offset": place} for place in (3, 4)]
    dropped = [{"source": SOURCE, "place": "2"}]
    database[STATES].update_one({"_id": live_id(VIEW)}, {"$set": {"aside": aside, "dropped": dropped}})
    held = database[STATES].find_one({"_id": live_id(VIEW)})
    assert held is not None
    before = state_of(database, VIEW, held).progress
    assert (origins(before.aside), origins(before.dropped)) == ({3, 4}, {2}), "read as it is"

    moved = open_state(database, VIEW, live_id(VIEW))
    assert not {"aside", "dropped"} & moved.keys()
    held = database[STATES].find_one({"_id": live_id(VIEW)})
    assert held is not None and not {"aside", "dropped"} & held.keys()
    after = state_of(database, VIEW, held).progress
    assert dict(after.aside) == dict(before.aside)
    assert dict(after.dropped) == {Origin(SOURCE, "2"): None}
