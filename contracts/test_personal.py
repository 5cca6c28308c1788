"""Which texts are sealed: those that are declared personal, at any depth, with the key of the person they tell of."""

from typing import Any
from uuid import UUID

import msgspec
import pytest

from contracts.customers import CreateCustomer, CustomerCreated, CustomerData, EditCustomer
from contracts.declare import KEPT, REGISTRY
from contracts.people import SALESTREAM
from contracts.personal import SEALED, Damaged, opened_json, plan_of, sealed_length, texts_of
from contracts.sales import CustomerSnapshot
from contracts.schemas import decode, encode

REGISTRY.load()
CONTRACTS = [*(spec.cls for spec in REGISTRY.events.values()), *(spec.cls for spec in REGISTRY.commands.values())]
HANA, ICHIRO = (UUID(f"01900000-0000-7000-8000-00000000000{number}") for number in (1, 2))
KNOWN = CustomerData(name="佐藤花子", mobile="13912345999", address="Osaka", industry="IT", tags=("old",))
CREATED = CustomerCreated(customer_id=HANA, data=KNOWN, owner=SALESTREAM)


def written(contract: Any) -> Any:
    return msgspec.json.decode(encode(contract))


def test_what_tells_of_a_person_is_sealed_and_read_again_and_nothing_else_is() -> None:
    data = written(CREATED)["data"]
    assert {name for name, value in data.items() if str(value).startswith(SEALED)} == {"name", "mobile", "address"}
    assert (data["industry"], data["tags"], data["need"]) == ("IT", ["old"], ""), "and what is empty stays empty"
    assert decode(CustomerCreated, encode(CREATED)) == CREATED
    assert CREATED.data.name == "佐藤花子", "what is written down is a copy"


def test_a_part_that_names_its_person_is_sealed_with_that_key() -> None:
    snapshot = CustomerSnapshot(customer_id=HANA, name="Hana", phone="139")
    sealed = written(snapshot)
    moved = {**sealed, "customer_id": str(ICHIRO)}
    encode(CustomerSnapshot(customer_id=ICHIRO, name="Ichiro"))
    with pytest.raises(Damaged):
        decode(CustomerSnapshot, msgspec.json.encode(moved))
    assert decode(CustomerSnapshot, msgspec.json.encode(sealed)) == snapshot


def test_a_change_seals_what_it_names_and_keeps_apart_what_it_leaves_out() -> None:
    command = EditCustomer(customer_id=HANA, name="Hana", mobile=None)
    sealed = written(command)
    assert sealed["name"].startswith(SEALED)
    assert (sealed["mobile"], "address" in sealed) == (None, False)
    assert decode(EditCustomer, encode(command)) == command
    assert decode(EditCustomer, encode(command)).address is KEPT


def test_what_was_written_before_there_were_keys_is_read_as_it_is() -> None:
    assert decode(CustomerCreated, msgspec.json.encode(CREATED)) == CREATED


def test_json_is_opened_without_its_class_as_the_audit_log_shows_it() -> None:
    command = CreateCustomer(customer_id=HANA, name="Hana", address="Osaka", tags=("old",))
    plain = msgspec.json.decode(msgspec.json.encode(command))
    assert opened_json(CreateCustomer, written(command)) == plain
    assert opened_json(CreateCustomer, {"bytes": 3}) == {"bytes": 3}
    assert opened_json(CustomerCreated, written(CREATED))["data"]["name"] == "佐藤花子"


def test_the_texts_of_a_contract_are_those_at_any_depth() -> None:
    assert set(texts_of(CREATED)) == {"佐藤花子", "13912345999", "Osaka"}


@pytest.mark.parametrize("cls", CONTRACTS, ids=lambda cls: cls.__name__)
def test_every_part_with_personal_texts_says_of_whom(cls: type) -> None:
    """A contract whose person is not known would be kept legible."""

    def unnamed(plan: Any, person: bool) -> list[str]:
        known = person or bool(plan.person)
        own = [] if known else list(plan.texts)
        return own + [name for _, part in plan.parts for name in unnamed(part, known)]

    if plan := plan_of(cls):
        assert unnamed(plan, False) == []
        assert not plan.person or plan.person in cls.__dataclass_fields__  # type: ignore[attr-defined]


@pytest.mark.parametrize("length", [1, 2, 3, 50, 200, 1_000])
def test_a_sealed_text_is_no_longer_than_its_schema_says(length: int) -> None:
    for text in ("x" * length, "花" * length, "\U0001f600" * length):
        made = written(CustomerSnapshot(customer_id=HANA, name=text))["name"]
        assert len(made) <= sealed_length(length)
