"""Which fields has the company added to its kinds of records?  (CFG-01, CFG-02)"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chassis.model.changes import Change, EventMetadata, Put
from chassis.model.row_fields import Code
from chassis.model.views import Exact, View
from contracts.configuration import CUSTOM_FIELD_EVENTS
from contracts.custom_fields import CustomType


@dataclass
class CustomFieldRow:
    """One field that the company has added to a kind of record."""

    id: str
    kind: Code
    key: Code
    type: CustomType
    label: dict[str, Any]
    help: dict[str, Any]
    required: bool
    default: list[str]
    choices: list[dict[str, Any]]
    formula: str
    position: int
    retired: bool
    changed_at: datetime
    changed_by: str
    version: int


def told(event: Any, metadata: EventMetadata) -> Iterable[Change]:
    field = event.field
    yield Put(
        f"{event.kind}.{field.key}",
        {
            "kind": event.kind,
            **{name: getattr(field, name) for name in field.__dataclass_fields__},
            "changed_at": metadata.at,
            "changed_by": event.by.name,
            "version": metadata.version,
        },
    )


VIEW = View(
    name="custom_fields",
    route="GET /custom-fields",
    row=CustomFieldRow,
    permission="settings.view",
    what="custom field",
    handlers=dict.fromkeys(CUSTOM_FIELD_EVENTS, told),
    filters={"kind": Exact(), "type": Exact(), "retired": Exact()},
    sorts=("position", "changed_at"),
    default_sort="position",
)
