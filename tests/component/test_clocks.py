"""How fresh an answer is follows the clock as it is, also after it was set back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chassis.catalogue import Catalogue
from chassis.foundation.config import Config
from chassis.projections.audit_collector import HEARTBEAT_SECONDS as AUDIT_HEARTBEAT_SECONDS
from chassis.projections.audit_collector import Collector
from chassis.projections.collections import STATES, connect
from chassis.projections.projector import HEARTBEAT_SECONDS, Projector
from chassis.queries.freshness import freshness_of
from chassis.store.opening import open_store
from component.support import unique

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
JUMPS = [timedelta(hours=-1), timedelta(days=-3), timedelta(hours=1)]


class Clock:
    """The one that people set, and the one that nobody sets."""

    def __init__(self) -> None:
        self.wall, self.real = NOON, 1_000.0

    def now(self) -> datetime:
        return self.wall

    def ticks(self) -> float:
        return self.real

    def passes(self, seconds: float) -> None:
        self.wall, self.real = self.wall + timedelta(seconds=seconds), self.real + seconds


@pytest.fixture
def config(mongodb_uri: str, tmp_path: Path) -> Config:
    name = unique("clocks").replace(" ", "")
    return replace(Config(), data_dir=str(tmp_path), mongodb_uri=mongodb_uri, mongodb_database=name)


@pytest.fixture
def database(config: Config) -> Iterator[Any]:
    database = connect(config)
    yield database
    database.client.drop_database(config.mongodb_database)
    database.client.close()


@pytest.mark.parametrize("jump", JUMPS, ids=str)
def test_idle_views_go_on_telling_the_time_when_the_clock_is_set(database: Any, jump: timedelta) -> None:
    clock, views = Clock(), Catalogue.read().views("projector")
    projector = Projector(database, views, clock=clock.now, ticks=clock.ticks)
    projector.offsets([f"{topic}:0" for topic in projector.topics()])
    database[STATES].update_many({}, {"$set": {"last_at": NOON}})  # an event, stamped by the clock as it was
    projector.idle()
    clock.wall += jump
    clock.passes(HEARTBEAT_SECONDS)
    projector.idle()
    for state in database[STATES].find():
        assert freshness_of(state).as_of == clock.wall, state["_id"]
    clock.passes(HEARTBEAT_SECONDS / 2)
    projector.idle()
    assert {freshness_of(state).as_of for state in database[STATES].find()} == {
        clock.wall - timedelta(seconds=HEARTBEAT_SECONDS / 2)
    }, "not at every turn"


@pytest.mark.parametrize("jump", JUMPS, ids=str)
def test_an_idle_audit_log_goes_on_telling_the_time_when_the_clock_is_set(
    config: Config, database: Any, jump: timedelta
) -> None:
    clock, store, view = Clock(), open_store("inventory", config), Catalogue.read().audit_view()
    collector = Collector(store, database, view, clock=clock.now, ticks=clock.ticks)
    collector.step()
    clock.wall += jump
    clock.passes(AUDIT_HEARTBEAT_SECONDS)
    collector.step()
    assert freshness_of(database[STATES].find_one({"_id": "audit"})).as_of == clock.wall
    store.close()
