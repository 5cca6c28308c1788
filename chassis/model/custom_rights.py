"""Who sees a field that a company has added to a kind of record: what one may not see is not there (CFG-01, SEC-17)."""

from collections.abc import Callable, Sequence
from functools import lru_cache

from contracts.custom_fields import CustomField
from contracts.formulas import parse, paths

FORMULAS_KEPT = 1_000


def seen(fields: Sequence[CustomField], may: Callable[[str], bool]) -> Sequence[CustomField]:
    """Those of a kind's fields that somebody sees who holds the rights that `may` tells; the same where it is all.

    What is worked out is seen by who sees all that it is made of: else it would tell that.
    """
    unseen = {one.path for one in fields if one.view_right and not may(one.view_right)}
    if not unseen:
        return fields
    return [one for one in fields if one.path not in unseen and unseen.isdisjoint(made_of(one))]


def made_of(field: CustomField) -> tuple[str, ...]:
    """The paths of the fields that one is worked out of; of others none."""
    return _paths(field.formula) if field.formula else ()


@lru_cache(FORMULAS_KEPT)
def _paths(formula: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(paths(parse(formula))))
