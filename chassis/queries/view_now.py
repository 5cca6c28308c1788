"""A view with the columns there are at this moment: a company may add some to kinds of records (ADR 0042)."""

from collections.abc import Sequence

from chassis.access.company import CompanySettings
from chassis.model.custom_columns import extended
from chassis.model.views import View
from contracts.custom_fields import CustomField


class ViewNow:
    """A view as it is `declared`, and what the company has added to it."""

    def __init__(self, view: View, company: CompanySettings) -> None:
        self.declared, self._company = view, company
        self._extended: tuple[Sequence[CustomField], View] = ((), view)

    @property
    def fields(self) -> Sequence[CustomField]:
        """The fields that the company has added to such records."""
        return self._company.custom_fields.of(self.declared.kind) if self.declared.kind else ()

    @property
    def view(self) -> View:
        """The view with those columns."""
        fields = self.fields
        if fields is not self._extended[0]:
            self._extended = (fields, extended(self.declared, fields))
        return self._extended[1]
