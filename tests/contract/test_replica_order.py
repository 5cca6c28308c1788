"""No replica depends on the order in which partitions come: over every one there is, with events made at random."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from component.histories import history, interleaved

from chassis.catalogue import Catalogue
from chassis.messaging.records import Incoming
from chassis.model.service import Replica

REPLICAS = {
    f"{service.name} {replica.name}": replica for service in Catalogue.read().services() for replica in service.replicas
}


def rows(replica: Replica[Any], batches: list[list[Incoming]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for record in [record for batch in batches for record in batch]:
        for key in replica.keys_of(record.fact):
            row = replica.feeds[type(record.fact)](found.pop(key, None), record.fact)
            if row is not None:
                found[key] = row
    return found


@pytest.mark.parametrize("replica", REPLICAS.values(), ids=list(REPLICAS))
def test_partitions_in_any_order_give_the_same_rows(replica: Replica[Any]) -> None:
    for seed in range(4):
        sources = history(replica.feeds, 200, Random(seed))
        first = rows(replica, interleaved(sources, Random(1_000 + seed)))
        for other in range(4):
            assert rows(replica, interleaved(sources, Random(2_000 + other))) == first, f"seed {seed}, {other}"
