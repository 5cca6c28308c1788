"""What a declaration of a kind of record is refused for, before anything is made of it."""

import pytest

from chassis.model.record_views import record_view
from contracts.declare import ContractError
from contracts.records import KINDS, kind_of, record
from contracts.types import Money, Name, Text

OF_EVERY_RECORD = (
    "id", "owner", "owner_id", "owner_name", "version", "created_at", "created_by", "changed_at", "changed_by",
    "deleted", "thing_id", "price_currency",
)  # fmt: skip


@pytest.mark.parametrize("name", OF_EVERY_RECORD)
def test_a_field_that_every_record_has_is_refused_by_name(name: str) -> None:
    told = {"__doc__": "A thing.", "__module__": __name__, "price": None}
    fields = {"subject": Name, "price": Money | None, name: Text}
    with pytest.raises(ContractError, match=rf"Thing: every record has {name} already"):
        record("/things", view="campaigns", edit="campaigns")(
            type("Thing", (), {**told, name: "", "__annotations__": fields})
        )


def test_the_fields_of_a_row_that_no_declaration_has_are_those() -> None:
    for cls in KINDS:
        own = {*kind_of(cls).fields, kind_of(cls).key}
        for name in set(record_view(cls).types) - own:
            assert name in OF_EVERY_RECORD or name.endswith("_currency")
