"""The system parameters that Salestream obeys (SET-05): what each is for, its default and its limits.

`PUT /settings/parameters/{name}` sets one; empty, it is at its default again.  Others may be kept under other names,
for people; nothing reads them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from contracts.lists import MOST_ROWS


@dataclass(frozen=True)
class SystemParameter:
    """A whole number within limits; `text` says what it is for."""

    default: int
    lowest: int
    highest: int
    text: str

    def read(self, value: str) -> int | None:
        """The number that a text says; None for none within the limits."""
        if not (value.isascii() and value.isdecimal() and len(value) <= len(str(self.highest))):
            return None
        number = int(value)
        return number if self.lowest <= number <= self.highest else None


PARAMETERS: Mapping[str, SystemParameter] = {
    "lists.rows": SystemParameter(50, 1, MOST_ROWS, "rows of a page when the caller does not say how many"),
    "exports.rows": SystemParameter(100_000, 1, 100_000, "rows that an export may have"),
}
