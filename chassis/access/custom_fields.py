"""The fields that the company has added to its kinds of records, as this process knows them (ADR 0042).

One service says which there are (`configuration`); every service keeps a row of each, and each process holds them in
memory beside its directory: commands are checked by them, and lists tell them.
"""

from collections.abc import Sequence
from datetime import datetime

from chassis.access.known import KnownCustomField
from contracts.custom_fields import CustomField


class CustomFields:
    """The fields in force, in one process."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, KnownCustomField]] = {}
        self._ordered: dict[str, tuple[CustomField, ...]] = {}
        self._rights: frozenset[str] | None = None

    def take(self, row: KnownCustomField) -> None:
        """What was heard of, or what a service's store holds; older news change nothing."""
        of_kind = self._known.setdefault(row.kind, {})
        held = of_kind.get(row.field.key)
        if held is None or held.revision < row.revision:
            of_kind[row.field.key] = row
            fields = [one.field for one in of_kind.values()]
            self._rights = None
            self._ordered[row.kind] = tuple(sorted(fields, key=lambda one: (one.retired, one.position, one.key)))

    @property
    def rights(self) -> frozenset[str]:
        """The rights that one needs to see all of them."""
        if self._rights is None:
            fields = [one for ordered in self._ordered.values() for one in ordered]
            self._rights = frozenset(one.view_right for one in fields if one.view_right)
        return self._rights

    def known(self, kind: str, key: str) -> KnownCustomField | None:
        return self._known.get(kind, {}).get(key)

    def of(self, kind: str, at: datetime | None = None) -> Sequence[CustomField]:
        """Those of a kind of record (`Kind.code`) in their order, the retired ones last; the same until one changes.

        As of a moment they are worked out by the formulas of then.
        """
        now = self._ordered.get(kind, ())
        known = self._known.get(kind, {})
        if at is None or not any(row.earlier for row in known.values()):
            return now
        return [known[one.key].then(at) for one in now]
