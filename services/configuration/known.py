"""What every service knows of what the company has configured: the fields that it added to kinds of records."""

from collections.abc import Sequence
from typing import Any

from chassis.access.known import Known, KnownCustomField
from chassis.model.service import Replica
from contracts.configuration import CUSTOM_FIELD_EVENTS


def field_told(row: KnownCustomField | None, fact: Any) -> KnownCustomField:
    """Older news change nothing."""
    if row is not None and row.revision > fact.revision:
        return row
    return KnownCustomField(fact.kind, fact.field, fact.revision)


def _keys(fact: Any) -> Sequence[str]:
    return [f"{fact.kind}.{fact.field.key}"]


CUSTOM_FIELDS = Replica(
    "configuration-custom-fields", KnownCustomField, feeds=dict.fromkeys(CUSTOM_FIELD_EVENTS, field_told), keys=_keys
)

KNOWN = Known((CUSTOM_FIELDS,))
