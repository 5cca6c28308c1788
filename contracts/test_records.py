"""A kind of record that is declared wrongly is refused when its module is imported."""

from typing import Any
from uuid import UUID

import pytest

from contracts.declare import REGISTRY, ContractError, value
from contracts.layouts import part
from contracts.permissions import FIELD_RIGHTS
from contracts.records import KINDS, data, record
from contracts.statuses import Statuses, Step
from contracts.types import Day, Name, Text

REGISTRY.load()
VIEW = EDIT = "campaigns"


@value
class Described:
    """A part of a record."""

    name: Name
    code: Text = ""


def declared(
    name: str = "Rival",
    /,
    *,
    doc: str = "Somebody.",
    view: str = VIEW,
    needs: tuple[str, ...] | None = None,
    together: tuple[str, ...] = (),
    **fields: Any,
) -> None:
    """A kind of record; with `needs` it has two statuses, and the step to the second needs these fields."""
    annotations = {field: kind for field, (kind, _) in fields.items()}
    defaults = {field: default for field, (_, default) in fields.items() if default is not ...}
    made = type(name, (), {"__doc__": doc, "__module__": __name__, "__annotations__": annotations, **defaults})
    statuses = None if needs is None else Statuses("NEW", Step("OPEN", after=("NEW",), needs=needs))
    record("/rivals", view=view, edit=EDIT, statuses=statuses, together=together)(made)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda: declared("rival_firm", name=(Name, ...)), "MarketSurvey"),
        (lambda: declared(doc="", name=(Name, ...)), "says nowhere"),
        (lambda: declared(view="rivals", name=(Name, ...)), "no right rivals"),
        (lambda: declared(name=(Name, ...), deleted=(Text, "")), "deleted already"),
        (lambda: declared(name=(Name, ...), rival_id=(Text, "")), "rival_id already"),
        (lambda: declared(name=(Name, data(right="products.cost"))), "neither required nor unique"),
        (lambda: declared(code=(Text, data(default="", unique=True, right="products.cost"))), "neither required"),
        (lambda: declared(code=(Text, data(default="", right="secrets"))), "no right secrets"),
        (lambda: declared(name=(Name, data(past=True))), "neither a day nor a moment"),
        (lambda: declared(above_id=(UUID | str, data(record="rival"))), "is an id, or none"),
        (lambda: declared(above_id=(tuple[UUID, ...], data(record="rival"))), "is an id, or none"),
        (lambda: Statuses("new"), "such as IN_PROGRESS"),
        (lambda: Statuses("NEW", Step("OPEN", after=("NW",))), "no step leads to the status NW"),
        (lambda: Statuses("NEW", Step("NEW", after=("NEW",))), "by two steps, or from itself"),
        (lambda: Statuses("NEW", Step("OPEN", after=("NEW",)), Step("OPEN", after=("NEW",))), "OPEN is reached"),
        (lambda: Statuses("NEW", Step("OPEN", after=())), "after no status"),
        (lambda: Statuses("NEW", Step("OPEN", after=("NEW",), right="secrets")), "no right secrets"),
        (lambda: Statuses("NEW", Step("A", after=("B",)), Step("B", after=("A",))), "no way leads from NEW to .* A, B"),
        (lambda: declared(needs=("day",), name=(Name, ...)), "a step needs day"),
        (lambda: declared(needs=("code",), code=(Text, data(default="", right="products.cost"))), "not for all"),
        (lambda: declared(needs=(), status=(Text, "")), "status already"),
        (lambda: declared(together=("name",), name=(Name, ...)), "name can't be unique together"),
        (lambda: declared(together=("name", "code"), name=(Name, ...)), "name, code can't be unique together"),
        (lambda: declared(together=("name", "day"), name=(Name, ...), day=(Day, ...)), "can't be unique together"),
        (
            lambda: declared(together=("name", "code"), name=(Name, data(unique=True)), code=(Text, "")),
            "can't be unique together",
        ),
        (lambda: declared(name=(Name, ...), code=(Text, data(default="", first="x"))), "no default besides"),
        (lambda: declared(about=(Described, part()), code=(Text, "")), "two fields are called code"),
        (lambda: declared(about=(Described, part("rival_{}")), rival_id=(Text, "")), "rival_id already"),
        (lambda: declared(unit_cost=(Text, data(default="", right="payments"))), "another one elsewhere"),
        (
            lambda: declared(name=(Name, ...), profit_rate=(Text, data(default="", unique=True))),
            "Rival.profit_rate tells records apart",
        ),
        (
            lambda: declared(together=("name", "unit_cost"), name=(Name, ...), unit_cost=(Text, "")),
            "Rival.unit_cost tells records apart",
        ),
        (
            lambda: declared(name=(Text, data(default="", right="payments"))),
            "name tells records apart",
        ),
        (
            lambda: declared(title=(Name, ...), mobile=(Text, data(default="", right="payments"))),
            "CustomerData.mobile tells records apart",
        ),
    ],
)
def test_what_is_declared_wrongly_is_refused_and_leaves_nothing(wrong: Any, told: str) -> None:
    before = set(KINDS), set(REGISTRY.commands), set(REGISTRY.events), dict(FIELD_RIGHTS)
    with pytest.raises(ContractError, match=told):
        wrong()
    assert (set(KINDS), set(REGISTRY.commands), set(REGISTRY.events), dict(FIELD_RIGHTS)) == before
