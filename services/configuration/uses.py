"""Which records have an entry of a dictionary: learned from the events of every kind with such a field, and of contact.

Nobody lists those kinds: a field that is declared so is heard of, and one that is declared so later makes another
replica, which is filled from event one (`chassis.messaging.replicas`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from chassis.model.dictionaries import place_of, values_in
from chassis.model.identity import record_id
from chassis.model.known_records import place_of as place_of_record
from chassis.model.service import Replica, Work
from contracts.collaboration import CommunicationData, CommunicationDeleted, CommunicationEdited, CommunicationLogged
from contracts.configuration import DeleteDictionaryEntry
from contracts.declare import REGISTRY
from contracts.errors import Refused
from contracts.records import KINDS, Field, Kind, fields_of
from services.configuration.dictionaries import Dictionary


@dataclass(frozen=True)
class Use:
    """What a record has from dictionaries: `dictionary/value`, for each.  A deleted one can be restored with it."""

    values: tuple[str, ...]


def _told(kind: Kind, fields: Sequence[Field], _: Use | None, fact: Any) -> Use | None:
    return _use(kind.layout.read(fact), fields)


def _contact(_: Use | None, fact: CommunicationLogged | CommunicationEdited) -> Use | None:
    return _use(fact.data, [field for field in fields_of(CommunicationData).values() if field.rules.dictionary])


def _gone(_: Use | None, fact: CommunicationDeleted) -> None:
    """What was taken away does not come back."""


def _use(data: Any, fields: Sequence[Field]) -> Use | None:
    found = tuple(place_of(field.rules.dictionary, value) for field in fields for value in values_in(field, data))
    return Use(found) if found else None


def _feeds() -> dict[type, Callable[[Use | None, Any], Use | None]]:
    REGISTRY.load()
    found: dict[type, Callable[[Use | None, Any], Use | None]] = {}
    for kind in KINDS.values():
        if fields := [field for field in kind.fields.values() if field.rules.dictionary]:
            found |= dict.fromkeys((kind.created, kind.edited), partial(_told, kind, fields))
    return found | {CommunicationLogged: _contact, CommunicationEdited: _contact, CommunicationDeleted: _gone}


def _key_of(fact: Any) -> str:
    """Records of two kinds may have one id."""
    key = REGISTRY.event_of(type(fact)).key
    return place_of_record(key.removesuffix("_id"), getattr(fact, key))


USES = Replica("uses-of-entries", Use, feeds=_feeds(), key=_key_of)


def delete_entry(command: DeleteDictionaryEntry, work: Work) -> Dictionary:
    """Raises Refused INVALID_STATE, telling how many records have the entry."""
    dictionary = work.find_or_new(Dictionary, record_id("dictionary", command.dictionary))
    tree = dictionary.tree(command.dictionary)
    entry = tree.find(command.entry)
    prefix = place_of(command.dictionary, "")
    values = (
        {tree.meant(value.removeprefix(prefix)) for value in use.values if value.startswith(prefix)}
        for use in work.rows(USES)
    )
    if entry and (count := sum(entry in meant for meant in values)):
        raise Refused("configuration.entry_in_use", count=count, field="entry", state="IN_USE")
    dictionary.delete(command, work.context)
    return dictionary
