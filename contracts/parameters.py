"""The system parameters that Salestream obeys (SET-05): what each is for, its default and its limits.

`PUT /settings/parameters/{name}` sets one; empty, it is at its default again.  Others may be kept under other names,
for people; nothing reads them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

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


PoolLimit = Literal["most_owned", "most_claims_a_day", "cool_down_days"]
"""What limits those who claim from a pool (LED-05)."""
POOLED = ("leads", "customers")
"""The lists of the kinds of records that have a pool (`contracts.pools`)."""


def limit_of(path: str, limit: PoolLimit) -> str:
    """The name of the parameter with a limit of a pool, by the path of the list of its records."""
    return f"{path.strip('/')}.{limit}"


_LIMITS: Mapping[PoolLimit, SystemParameter] = {
    "most_owned": SystemParameter(0, 0, 1_000_000, "records somebody may have at once and still claim; 0: any number"),
    "most_claims_a_day": SystemParameter(0, 0, 1_000_000, "records somebody may claim in a day; 0: any number"),
    "cool_down_days": SystemParameter(0, 0, 3_650, "days after which who had a record may claim it again; 0: none"),
}

PARAMETERS: Mapping[str, SystemParameter] = {
    "lists.rows": SystemParameter(50, 1, MOST_ROWS, "rows of a page when the caller does not say how many"),
    "exports.rows": SystemParameter(100_000, 1, 100_000, "rows that an export may have"),
    "communications.late_days": SystemParameter(
        0, 0, 3_650, "days after contact on which it may still be written down; 0: the same day"
    ),
    "communications.edit_hours": SystemParameter(
        24, 0, 87_600, "hours for which what was written of contact may be changed by its author"
    ),
    **{limit_of(path, limit): one for path in POOLED for limit, one in _LIMITS.items()},
}
