"""Records of declared kinds, for tests over all of them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_origin
from uuid import UUID, uuid4

from chassis.documents.samples import sample
from chassis.model.principal import Principal
from chassis.testing.people import ADMIN
from chassis.testing.services import InMemoryService
from contracts.declare import KEPT
from contracts.dictionaries import PREPARED
from contracts.people import Person
from contracts.pools import POOL_ID
from contracts.records import OWNER, Field, Kind, kind_called
from contracts.schemas import load
from contracts.subjects import SUBJECT_ID, SUBJECT_KIND
from contracts.types import PhoneField, UserField

Enter = Callable[[Kind], str]
"""What enters a record of a kind, and tells its id."""


def new_record(kind: Kind, enter: Enter, *, belongs: bool = False) -> dict[str, Any]:
    """What a client sends to enter a record of its own, as JSON: every field is filled, unique ones as nowhere else.

    Where it must belong to others those are entered for it; where it may, only if it `belongs`.  It is about no record.
    """
    left_out = (kind.key, OWNER, POOL_ID, SUBJECT_KIND, SUBJECT_ID)
    asked = {name: value for name, value in sample(kind.create).items() if name not in left_out}
    asked |= {name: _unique(kind, name) for name, field in kind.fields.items() if field.rules.unique}
    asked |= {name: _unique(kind, name) for name in kind.together[:1]}
    asked |= people_in(kind)
    parents = {
        name: enter(kind_called(field.rules.record)) if field.required or belongs else None
        for name, field in kind.parents.items()
    }
    return asked | picked(kind) | parents


def enter_in(kit: InMemoryService, by: Principal = ADMIN) -> Enter:
    """Enter records in a service, each for whoever enters it, without what needs a right of its own.

    Of those that another service keeps it hears.
    """

    def enter(kind: Kind) -> str:
        id = uuid4()
        if kind.service == kit.writer.service.name:
            of_few = {name for name, field in kind.fields.items() if field.rules.right}
            body = {name: value for name, value in new_record(kind, enter).items() if name not in of_few}
            kit.do(load(kind.create, {**body, kind.key: str(id)}), by)
        else:
            kit.learn(heard_of(kind, id, by))
        return str(id)

    return enter


def heard_of(kind: Kind, id: UUID, owned_by: Principal = ADMIN) -> Any:
    """The event by which others hear of a new record."""
    owner = {"owner": Person(user_id=owned_by.user_id, name=owned_by.name)} if kind.owned else {}
    made: Any = load(kind.created, {**sample(kind.created), kind.key: str(id)})
    return replace(made, **owner)


def picked(kind: Kind) -> dict[str, Any]:
    """An entry of its dictionary for each field that has one with any, and the examples that the kind declares."""
    examples = {name: field.rules.example for name, field in kind.fields.items() if field.rules.example is not KEPT}
    entries = {name: _entry(field) for name, field in kind.fields.items() if PREPARED.get(field.rules.dictionary)}
    return {**entries, **examples}


def people_in(kind: Kind) -> dict[str, Any]:
    """Nobody, for each field that names people, and that says no example of its own."""
    lists = {name: field for name, field in kind.fields.items() if field.is_list and field.checked_by is UserField}
    return {name: [] for name, field in lists.items() if field.rules.example is KEPT}


def _entry(field: Field) -> Any:
    code = next(iter(PREPARED[field.rules.dictionary]))
    return [code] if get_origin(field.type) is tuple else code


def _unique(kind: Kind, name: str) -> str:
    number = uuid4().int
    return f"1{number % 10**10:010d}" if kind.fields[name].checked_by is PhoneField else f"{number:x}"
