"""Which fields has the company added to its kinds of records?  (CFG-01, CFG-02)"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chassis.model.changes import Change, EventMetadata, Set
from chassis.model.row_fields import Code
from chassis.model.views import View
from contracts.configuration import CUSTOM_FIELD_EVENTS
from contracts.custom_fields import CustomField


@dataclass
class CustomFieldsRow:
    """The fields that the company has added to one kind of record, by key."""

    id: Code
    fields: dict[str, CustomField]
    changed_at: datetime
    changed_by: str
    version: int


def told(event: Any, metadata: EventMetadata) -> Iterable[Change]:
    yield Set(
        event.kind,
        **{f"fields.{event.field.key}": event.field},
        changed_at=metadata.at,
        changed_by=event.by.name,
        version=metadata.version,
    )


VIEW = View(
    name="custom_fields",
    route="GET /custom-fields",
    detail="kind",
    row=CustomFieldsRow,
    permission="settings.view",
    what="kind",
    handlers=dict.fromkeys(CUSTOM_FIELD_EVENTS, told),
    sorts=("changed_at",),
)
