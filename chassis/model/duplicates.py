"""What tells two records of a kind apart: asked before one is entered, and while it is edited (CUS-22, ADR 0063)."""

from collections.abc import Sequence
from typing import NamedTuple

from chassis.model.views import Exact, View
from contracts.declare import REGISTRY
from contracts.records import KINDS, Kind

MOST_TOLD = 10
"""So many records that are alike are told at most, by each of what they are alike in."""
BESIDES = "except"
"""The parameter for the record that is edited, which is no duplicate of itself."""


class Alike(NamedTuple):
    """Fields in which two records may be the same; `refused`: no second one that is so can be entered."""

    fields: Sequence[str]
    refused: bool


def alike_by(view: View) -> Sequence[Alike]:
    """What is asked of the records of a view: what no two of a kind have the same, and what they are called besides.

    Nothing where no two can be the same in anything.
    """
    kind = kind_of_view(view)
    if kind is None or not (kind.unique or kind.together):
        return ()
    found = [Alike((name,), True) for name in kind.unique]
    found += [Alike(tuple(kind.together), True)] if kind.together else []
    if kind.called not in kind.unique and isinstance(view.filters.get(kind.called), Exact):
        found.append(Alike((kind.called,), False))
    return found


def kind_of_view(view: View) -> Kind | None:
    """The kind of record whose list a view is; None for other views."""
    return next((kind for kind in KINDS.values() if kind.code == view.kind and view.is_list), None)


def path_of(view: View) -> str:
    """The path of the question for duplicates, "" where there can be none."""
    return f"/duplicates{view.path}" if alike_by(view) else ""


def right_of(view: View) -> str:
    """The right that the question needs: that to enter such a record."""
    kind = kind_of_view(view)
    assert kind is not None, f"{view.name} is not the list of a kind of record"
    return REGISTRY.command_of(kind.create).permission


def asked_by(view: View) -> Sequence[str]:
    """The parameters of the question, which are fields of the record."""
    return list(dict.fromkeys(name for one in alike_by(view) for name in one.fields))
