"""Which records have a value of an own field that became unique later (CFG-01, ADR 0049).

Whoever is given such a value from then on holds it in the index of unique values, in the transaction of the record.
What was given before is in no index.  It is read from the service's own log when it is asked for first, once in each
process; what is found there is only where to look, for the record itself says what it has now.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from chassis.model.records import Record, own_value_once
from chassis.store.event_store import EventStore
from chassis.store.events import fact_class
from contracts.custom_fields import CustomField, read
from contracts.declare import REGISTRY
from contracts.schemas import decode

AT_ONCE = 1_000
Holders = Mapping[UUID, Sequence[UUID]]
"""The records that have had a value last, by the ids of the value's index."""


class EarlierValues:
    """Who had which values of the own fields of one service's records."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._found: dict[tuple[type[Record], str, int], Holders] = {}

    def holders(self, aggregate: type[Record], field: CustomField, ids: Sequence[UUID]) -> list[UUID]:
        """The records that may have a value, which its index names by these ids, since before the field was unique."""
        if not field.unique_since:
            return []
        place = (aggregate, field.key, field.unique_since)
        if place not in self._found:
            self._found[place] = self._read(aggregate, field)
        return list(dict.fromkeys(holder for id in ids for holder in self._found[place].get(id, ())))

    def _read(self, aggregate: type[Record], field: CustomField) -> Holders:
        kind, last = aggregate.kind, dict[UUID, str]()
        types = [REGISTRY.event_of(fact).name for fact in (kind.created, kind.edited)]
        position = 0
        while found := self._store.notifications(position, AT_ONCE, types=types):
            for one in found:
                fact: Any = decode(fact_class(one.type), one.data, one.aggregate_id)
                own = read(kind.layout.read(fact).own)
                last[one.aggregate_id] = str(own[field.key].value) if field.key in own else ""
            position = found[-1].position
        holders = defaultdict[UUID, list[UUID]](list)
        for record, value in last.items():
            for id in own_value_once(kind, field, value).ids if value else ():
                holders[id].append(record)
        return holders
