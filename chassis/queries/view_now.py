"""A view with the columns there are at this moment: a company may add some to kinds of records (ADR 0042)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from chassis.access.company import CompanySettings
from chassis.model.custom_columns import extended
from chassis.model.custom_rights import rights_to_see, seen
from chassis.model.principal import Principal
from chassis.model.views import View
from contracts.custom_fields import CustomField


@dataclass(frozen=True)
class SeenView:
    """What somebody sees of a view: the fields that the company has added, and the view with their columns."""

    declared: View
    fields: Sequence[CustomField]
    is_all: bool

    @cached_property
    def view(self) -> View:
        return extended(self.declared, self.fields)

    @cached_property
    def keys(self) -> frozenset[str]:
        """The keys of those fields: of a row nobody is shown others."""
        return frozenset(one.key for one in self.fields)

    @cached_property
    def texts(self) -> Sequence[str]:
        """Those of them in which words are looked for."""
        return [one.path for one in self.fields if one.type == "text"]


class ViewNow:
    """A view as it is `declared`, and what the company has added to it."""

    def __init__(self, view: View, company: CompanySettings) -> None:
        self.declared, self._company = view, company
        self._of: Sequence[CustomField] = ()
        self._rights: frozenset[str] = frozenset()
        self._seen: dict[frozenset[str], SeenView] = {}

    @property
    def fields(self) -> Sequence[CustomField]:
        """The fields that the company has added to such records."""
        return self._company.custom_fields.of(self.declared.kind) if self.declared.kind else ()

    def fields_at(self, at: datetime | None, principal: Principal) -> Sequence[CustomField]:
        """The fields as rows of a moment are worked out, or rows of now.

        A formula of then may have been made of what the caller does not see, other than that of today: it is left out.
        """
        if at is None or not self.declared.kind:
            return self.fields
        return seen(self._company.custom_fields.of(self.declared.kind, at), principal.may)

    def seen(self, principal: Principal) -> SeenView:
        """What somebody sees of it: made once for those who hold the same of the rights that its fields need."""
        fields = self.fields
        if fields is not self._of:
            self._of, self._seen = fields, {}
            self._rights = rights_to_see(fields)
        held = frozenset(filter(principal.may, self._rights))
        found = self._seen.get(held)
        if found is None:
            of_them = seen(fields, held.__contains__)
            found = self._seen[held] = SeenView(self.declared, of_them, of_them is fields)
        return found
