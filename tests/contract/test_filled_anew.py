"""What is stored in the shape of a former release: replicas and snapshots, over every one there is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass, make_dataclass
from random import Random
from typing import Any, get_args, get_type_hints

import msgspec
import pytest
from component.histories import history, interleaved

from chassis.access.directory import Directory
from chassis.catalogue import Catalogue, known_everywhere
from chassis.model.aggregates import Aggregate
from chassis.model.service import Replica
from chassis.model.shapes import shape
from contracts.schemas import encode

SERVICES = Catalogue.read().services()


def kinds(cls: type[Aggregate]) -> list[type[Aggregate]]:
    return [kind for own in cls.__subclasses__() for kind in (own, *kinds(own))]


EVERYWHERE = {replica.name: replica for known in known_everywhere().values() for replica in known.replicas}
ROWS: dict[str, type] = {f"{service.name} {one.name}": one.row for service in SERVICES for one in service.replicas}
STORED = ROWS | {kind.__name__: kind for kind in kinds(Aggregate) if kind.snapshot_every}
IDENTITY = {"id", "role", "revision", "epoch"}


def records_in(kind: Any) -> Iterator[tuple[type, list[str]]]:
    """Every record in a type, with the names of its fields."""
    if is_dataclass(kind) or (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        types = get_type_hints(kind)
        names = [item.name for item in fields(kind)] if is_dataclass(kind) else list(kind.__struct_fields__)
        yield kind, names  # type: ignore[misc]
        for name in names:
            yield from records_in(types[name])
    for part in get_args(kind):
        yield from records_in(part)


@pytest.mark.parametrize("kind", STORED.values(), ids=list(STORED))
def test_a_shape_tells_the_fields_of_every_record_in_it(kind: type) -> None:
    told = shape(kind)
    for inner, names in records_in(kind):
        own = f"{inner.__name__}({names[0]}:"
        assert own in told and all(f"{name}:" in told[told.index(own) :] for name in names)


def test_a_field_more_anywhere_within_makes_another_shape() -> None:
    def holder(*more: str) -> type:
        inner = make_dataclass("Inner", [("name", str), *((name, int, field(default=0)) for name in more)])
        return make_dataclass("Outer", [("kept", dict[str, tuple[inner, ...]])])  # type: ignore[valid-type]

    assert shape(holder()) == shape(holder()) != shape(holder("number"))


def test_a_record_that_holds_its_own_kind_has_a_shape() -> None:
    assert shape(Tree).startswith("Tree(")


@dataclass
class Tree:
    """A record within itself."""

    below: tuple[Tree, ...] = ()


@pytest.mark.parametrize("replica", EVERYWHERE.values(), ids=list(EVERYWHERE))
def test_rows_with_more_in_them_replace_those_of_the_same_revision_in_the_directory(replica: Replica[Any]) -> None:
    """A replica that is filled anew tells of no news, only more of what was told."""
    held: dict[str, Any] = {}
    for record in (one for batch in interleaved(history(replica.feeds, 200, Random(1)), Random(2)) for one in batch):
        for key in replica.keys_of(record.fact):
            held[key] = replica.feeds[type(record.fact)](held.get(key), record.fact)
    after = list(held.values())
    assert after
    before = [_with_less(row, after[number - 1]) for number, row in enumerate(after)]
    known = Directory(known_everywhere())
    known.load(Held(replica, before))
    known.load(Held(replica, after))
    afresh = Directory(known_everywhere())
    afresh.load(Held(replica, after))
    for row in after:
        assert _all_it_knows(known) == _all_it_knows(afresh), row


def _with_less(row: Any, other: Any) -> Any:
    """The row as a release stored it that did not have all of its fields, or had something else in them."""
    if not IDENTITY & set(row.__struct_fields__) - {"id", "role"}:
        return row
    return msgspec.structs.replace(row, **{n: getattr(other, n) for n in row.__struct_fields__ if n not in IDENTITY})


def _all_it_knows(directory: Directory) -> dict[str, Any]:
    names = ("_users", "_roles", "_machines", "_departments", "_devices", "_revoked")
    return {name: vars(directory)[name] for name in names} | {"company": directory.company.known}


class Held:
    """A store with the rows of one replica."""

    def __init__(self, replica: Replica[Any], held: list[Any]) -> None:
        self._name, self._rows = replica.name, [encode(row) for row in held]

    def rows(self, replica: str) -> list[bytes]:
        return self._rows if replica == self._name else []
