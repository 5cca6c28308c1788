"""Rebuilds that fail, or that another release's stand beside (chassis.projections.rebuild)."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from chassis.messaging.consumer import Consumer, Fenced
from chassis.messaging.records import PoisonRecord
from chassis.model.views import View
from chassis.projections.collections import STATES
from chassis.projections.projector import Projector
from chassis.projections.rebuild import Rebuild, Stopped, rebuild_outdated
from chassis.run.topics import Topics
from component.support import until
from component.test_topics import GROUP, System, system
from services.reports.views.products import VIEW as PRODUCTS
from services.reports.views.stock_ledger import VIEW as LEDGER

__all__ = ["system"]


class Broken(Exception):
    """Something went wrong in the middle."""


def test_a_rebuild_that_fails_leaves_nothing_of_what_it_built(system: System) -> None:
    """Whoever tries it again, as a projector does until it works, would fill the database otherwise."""
    shown(system)
    live, collections = system.documents(), everything(system)

    def fails(*_: Any) -> Any:
        raise Broken

    def fails_in(phase: str) -> Callable[..., None]:
        return lambda at, *_: fails() if at == phase else None

    failing = replace(LEDGER, handlers=dict.fromkeys(LEDGER.handlers, fails))
    for rebuild in (
        partial(Rebuild, view=failing),
        partial(Rebuild, view=LEDGER, watch=fails_in("BUILDING")),
        partial(Rebuild, view=LEDGER, watch=fails_in("COMPARING")),
    ):
        with pytest.raises((Broken, PoisonRecord)):
            rebuild(system.config, system.database, out=io.StringIO()).run(force=True)
        assert (system.documents(), everything(system)) == (live, collections)


@pytest.mark.parametrize("phase", ["BUILDING", "COMPARING"])
def test_a_rebuild_never_replaces_what_another_has_switched_meanwhile(system: System, phase: str) -> None:
    """As one that a worker of the former release is at when the projector of the next one rebuilds the view."""
    shown(system)
    later = replace(LEDGER, edition=LEDGER.edition + 1)
    others: list[bool] = []

    def beside_another(at: str, *_: int) -> None:
        if at == phase and not others:
            others.append(rebuild_outdated(system.config, system.database, [later]))

    rebuild = Rebuild(system.config, system.database, LEDGER, io.StringIO(), watch=beside_another)
    with pytest.raises(Fenced):
        rebuild.run(force=True)
    assert others == [True]
    state = system.database[STATES].find_one({"_id": LEDGER.name})
    assert state is not None and (state["edition"], state["generation"]) == (later.edition, 2)
    assert [name for name in everything(system) if LEDGER.name in name] == sorted([LEDGER.name, state["collection"]])


def test_a_projector_goes_on_in_no_view_that_another_edition_has_built(system: System) -> None:
    """What it writes does not fit there; the other release's worker may be at work for a while still."""
    shown(system)
    mine = [replace(view, edition=view.edition + 1) for view in (PRODUCTS, LEDGER)]
    projector = Projector(system.database, mine, group=GROUP)
    prepare = partial(rebuild_outdated, system.config, system.database, mine)
    system.consumers[0] = Consumer(system.config, projector, system.kafka.new_producer, prepare=prepare)
    with system.at_work():
        until(lambda: editions(system) == {view.name: view.edition for view in mine})
        for view in (PRODUCTS, LEDGER):
            rebuild_outdated(system.config, system.database, [view])
        system.add_products(1)
        system.await_products(5)
        until(lambda: editions(system) == {view.name: view.edition for view in mine})
    live = system.documents()
    for view in mine:
        assert Rebuild(system.config, system.database, view, io.StringIO()).run()
    assert system.documents() == live


def test_a_projector_that_is_stopped_ends_while_it_rebuilds_and_leaves_nothing(system: System) -> None:
    """Its processes would go on until all is built, and the program waits for them."""
    shown(system)
    later, before = replace(LEDGER, edition=LEDGER.edition + 1), everything(system)
    with pytest.raises(Stopped):
        rebuild_outdated(system.config, system.database, [later], lambda: True)
    assert everything(system) == before
    assert editions(system)[LEDGER.name] == LEDGER.edition


@pytest.mark.parametrize("view", [PRODUCTS, LEDGER], ids=lambda view: view.name)
def test_a_view_of_another_edition_is_rebuilt_where_it_is_to_begin_anew(system: System, view: View) -> None:
    """Its topic was lost and published again while no projector read."""
    shown(system)
    live = system.documents()
    for topic in view.topics:
        Topics(system.config).reset(topic)
    later = replace(view, edition=view.edition + 1)
    assert rebuild_outdated(system.config, system.database, [later])
    assert system.documents() == live
    assert editions(system)[view.name] == later.edition


def shown(system: System) -> None:
    with system.at_work():
        system.add_products(4)
        system.await_products(4)


def editions(system: System) -> dict[str, int]:
    return {state["_id"]: state["edition"] for state in system.database[STATES].find()}


def everything(system: System) -> list[str]:
    """All collections, and all states of views."""
    states = [str(state["_id"]) for state in system.database[STATES].find()]
    return sorted([*system.database.list_collection_names(), *states])
