"""Who sees a field that a company has added to a kind of record: what one may not see is not there (CFG-01, SEC-17)."""

from collections.abc import Callable, Sequence
from functools import lru_cache

from contracts.custom_fields import CustomField
from contracts.formulas import parse, paths
from contracts.permissions import FIELD_RIGHTS

FORMULAS_KEPT = 1_000


def seen(fields: Sequence[CustomField], may: Callable[[str], bool]) -> Sequence[CustomField]:
    """Those of a kind's fields that somebody sees who holds the rights that `may` tells; the same where it is all.

    What is worked out is seen by who sees all that it is made of: else it would tell that.  A field of the kind itself
    may need a right since a later release.
    """
    unseen = {one.path for one in fields if one.view_right and not may(one.view_right)}
    unseen |= {name for name, right in FIELD_RIGHTS.items() if not may(right)}
    found = [one for one in fields if one.path not in unseen and unseen.isdisjoint(made_of(one))]
    return fields if len(found) == len(fields) else found


def rights_to_see(fields: Sequence[CustomField]) -> frozenset[str]:
    """The rights of which somebody must hold all who is to see all of these."""
    own = (one.view_right for one in fields if one.view_right)
    return frozenset((*own, *(FIELD_RIGHTS[name] for one in fields for name in made_of(one) if name in FIELD_RIGHTS)))


def made_of(field: CustomField) -> tuple[str, ...]:
    """The paths of the fields that one is worked out of; of others none."""
    return _paths(field.formula) if field.formula else ()


@lru_cache(FORMULAS_KEPT)
def _paths(formula: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(paths(parse(formula))))
