"""Whose log tells how far behind an inbox is: that of the saga that sends it its commands, and no other's."""

from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from chassis.catalogue import Catalogue
from chassis.foundation.config import Config
from chassis.run.api_process import of_inboxes
from chassis.store.opening import open_store
from contracts.declare import REGISTRY


def test_each_inbox_is_watched_by_the_log_of_the_saga_that_sends_to_it(tmp_path: Path) -> None:
    """An inbox is no further behind a saga that never sends to it than one that has nothing to do."""
    config, catalogue = Config(data_dir=str(tmp_path)), Catalogue.read()
    sagas = [(saga, open_store(name, config)) for name, saga in catalogue.sagas()]
    writers: Any = {name: SimpleNamespace(store=open_store(name, config)) for name in catalogue.with_role("api")}
    watched = {(name, who) for name, who, _ in of_inboxes(sagas, writers, 2)}
    for store in (*(store for _, store in sagas), *(writer.store for writer in writers.values())):
        store.close()
    sent = {
        (store.name, f"inbox {REGISTRY.command_of(command).service}")
        for saga, store in sagas
        for command in saga.sends()
    }
    assert len({name for name, _ in sent}) == len(sagas) > 1
    assert watched == sent


def test_commands_of_a_service_come_from_one_saga() -> None:
    """A repeat is told by its position in its sender's log: of two senders the younger log's commands would be none."""
    sagas = [saga for _, saga in Catalogue.read().sagas()]
    senders = Counter(
        service for saga in sagas for service in {REGISTRY.command_of(command).service for command in saga.sends()}
    )
    assert [service for service, number in senders.items() if number > 1] == []
