"""Who did what, when, from where, and what came of it?  (SEC-21)"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NotRequired, TypedDict
from uuid import UUID

from chassis.audit.entries import ACTIONS, DONE, OBJECT_KINDS, REPEATED, EntryKind
from chassis.model.views import LANGUAGE, Exact, Range, View, Words
from chassis.model.wording import Wording
from contracts.declare import REGISTRY
from contracts.errors import STATUS
from contracts.personal import opened_json


class RecordChange(TypedDict):
    """A record that changed, from which version to which; of one entry also its kind, and what differs.

    `before` is null where it is new; there is neither where its service keeps it to itself.
    """

    id: UUID
    before_version: int
    after_version: int
    kind: NotRequired[str]
    before: NotRequired[dict[str, Any] | None]
    after: NotRequired[dict[str, Any]]


@dataclass
class AuditRow:
    """One act: a command, a read of personal data or an export; entries can't be changed (SEC-21).

    People read `action_label`, `object_label` and `result_label`; programs the names beside them.
    `result` is DONE, REPEATED or the code of the refusal, `field` the field or state that one named.  `fields` is what
    was asked for, without secrets.  `changes` names the records that changed with their versions; of one entry also
    with what differs before and after.  Neither has what the reader may not see (INV-02).  `record` and `hash` are the
    entry's place in the chain of its service's log.
    """

    id: str
    at: datetime
    kind: EntryKind
    user_id: str
    user: str
    session_id: str
    machine: bool
    address: str
    service: str
    action: str
    action_label: str
    object_kind: str
    object_label: str
    object_id: str
    result: str
    result_label: str
    field: str
    detail: str
    command_id: str
    correlation_id: str
    fields: dict[str, Any]
    changes: list[RecordChange]
    record: int
    hash: str


def asked_for(document: Mapping[str, Any]) -> Any:
    """What was asked for; what tells of a person is opened, and is nothing once they were erased."""
    fields = json.loads(document["fields"])
    spec = REGISTRY.commands.get(document["action"])
    return fields if spec is None else opened_json(spec.cls, fields)


def action_label(document: Mapping[str, Any]) -> str:
    """What was done, as people call it: a list by its title, a command by what it does."""
    wording, name = Wording(document[LANGUAGE]), document["action"]
    return wording.list(name) if wording.text("lists", [name]) else wording.command(name)


SERVICES = tuple(sorted({spec.service for spec in REGISTRY.load().commands.values()}))

# What is usual is what an order leaves: five commands done, three of them by the saga (ADR 0033).
VIEW = View(
    name="audit",
    route="GET /audit",
    detail="entry_id",
    row=AuditRow,
    permission="accounts",
    what="audit entry",
    collected=True,
    personal=("user", "address"),
    handlers={},
    filters={
        "at": Range(datetime),
        "user_id": Exact(form="id", usual=""),
        "user": Exact(usual="fulfilment"),
        "session_id": Exact(form="id", usual=""),
        "address": Exact(form="address", usual=""),
        "kind": Exact(usual="COMMAND"),
        "service": Exact(among=SERVICES, usual="orders"),
        "action": Exact(known=ACTIONS),
        "object_kind": Exact(known=OBJECT_KINDS, usual="order"),
        "object_id": Exact(few=True),
        "result": Exact(among=(DONE, REPEATED, *STATUS), usual=DONE),
        "command_id": Exact(few=True),
        "correlation_id": Exact(few=True),
        "q": Words("user", "action", "object_id", "detail", "fields"),
    },
    sorts=("at",),
    default_sort="-at",
    computed={
        "fields": asked_for,
        "action_label": action_label,
        "object_label": lambda document: Wording(document[LANGUAGE]).kind(document["object_kind"]),
        "result_label": lambda document: Wording(document[LANGUAGE]).choice(("audit",), "result", document["result"]),
    },
)
