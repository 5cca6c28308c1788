"""A kind of record that is declared wrongly is refused when its module is imported."""

from typing import Any

import pytest

from contracts.declare import REGISTRY, ContractError
from contracts.records import KINDS, data, record
from contracts.types import Name, Text

VIEW = EDIT = "campaigns"


def declared(name: str = "Rival", /, *, doc: str = "Somebody.", view: str = VIEW, **fields: Any) -> None:
    annotations = {field: kind for field, (kind, _) in fields.items()}
    defaults = {field: default for field, (_, default) in fields.items() if default is not ...}
    made = type(name, (), {"__doc__": doc, "__module__": __name__, "__annotations__": annotations, **defaults})
    record("/rivals", view=view, edit=EDIT)(made)


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
        (lambda: declared(unit_cost=(Text, data(default="", right="payments"))), "another one elsewhere"),
    ],
)
def test_what_is_declared_wrongly_is_refused_and_leaves_nothing(wrong: Any, told: str) -> None:
    before = set(KINDS), set(REGISTRY.commands), set(REGISTRY.events)
    with pytest.raises(ContractError, match=told):
        wrong()
    assert (set(KINDS), set(REGISTRY.commands), set(REGISTRY.events)) == before
