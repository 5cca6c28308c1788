"""Contacts of customers (CUS-18) in groups (CUS-19).  Who reaches them: tests/contract/test_reached_through.py."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from chassis.model.children import Children, children_id
from chassis.persons.keys import KeyRing
from chassis.persons.stores import MemoryKeys
from chassis.testing.people import SALES
from chassis.testing.services import InMemoryService
from contracts.customers import CUSTOMER, Contact, CreateCustomer
from contracts.personal import use
from contracts.records import kind_of
from contracts.schemas import load
from services.customers.application import SERVICE

CONTACT = kind_of(Contact)
LI, HAN = (UUID(f"01900000-0000-7000-8000-0000000000c{number}") for number in (1, 2))


@pytest.fixture
def kit() -> InMemoryService:
    """The service with the customer Li Lei, owned by the salesperson."""
    kit = InMemoryService(SERVICE)
    kit.do(CreateCustomer(customer_id=LI, name="Li Lei", mobile="13800000001", industry="retail"), by=SALES)
    return kit


def create(id: UUID = HAN, **given: Any) -> Any:
    return load(CONTACT.create, {"contact_id": str(id), "customer_id": str(LI), "name": "韩梅梅", **given})


def edit(**given: Any) -> Any:
    return load(CONTACT.edit, {"contact_id": str(HAN), **given})


def test_cus_18_a_contact_is_entered_changed_deleted_and_restored(kit: InMemoryService) -> None:
    about: dict[str, Any] = {
        "title": "采购经理",
        "phone": "+81 3-1234-5678",
        "mobile": "１３８ ００００ ０００２",
        "email": "han@example.com",
    }
    answer = kit.do(create(**about, birthday="１９９０－０５－１７", is_main=True), by=SALES)
    assert (answer.body["id"], answer.body["version"]) == (str(HAN), 1)
    wanted = Contact(
        customer_id=LI, name="韩梅梅", title="采购经理", phone="+81 3-1234-5678", mobile="13800000002",
        email="han@example.com", birthday="1990-05-17", is_main=True,
    )  # fmt: skip
    assert kit.stream(HAN)[0].data == wanted
    kit.do(edit(title="", mobile=None, birthday="05-17"), by=SALES)
    edited = kit.stream(HAN)[-1]
    assert edited.changed == ("title", "mobile", "birthday")
    assert (edited.data.title, edited.data.mobile, edited.data.birthday) == ("", None, "05-17")
    kit.do(CONTACT.delete(contact_id=HAN), by=SALES)
    kit.assert_refused("NOT_FOUND", edit(title="x"), by=SALES, field="contact_id")
    kit.do(CONTACT.restore(contact_id=HAN), by=SALES)
    assert len(kit.stream(HAN)) == 4


def test_cus_18_two_contacts_may_have_one_number_and_a_customer_several_to_turn_to(kit: InMemoryService) -> None:
    ids = (HAN, uuid4())
    for id in ids:
        kit.do(create(id, mobile="13800000001", is_main=True), by=SALES)
    assert [len(kit.stream(id)) for id in ids] == [1, 1]


def test_cus_04_how_many_contacts_a_customer_has_is_not_counted_from_the_first_one_on(kit: InMemoryService) -> None:
    every = Children.snapshot_every
    for _ in range(every + 1):
        kit.do(create(uuid4()), by=SALES)
    snapshot = next((one for one in kit.store.snapshots_after(None, 10) if one.aggregate_id == children_id(LI)), None)
    assert snapshot and snapshot.version == every
    children = kit.store.load(Children, children_id(LI))
    assert children and (children.version, children.counts) == (every + 1, {"contact": every + 1})


@pytest.mark.parametrize(
    "birthday", ["1990-02-30", "1990-02-29", "90-05-17", "17.5.1990", "2026-13-01", "1899-01-01", "x"]
)
def test_cus_18_what_is_no_birthday_is_refused(birthday: str, kit: InMemoryService) -> None:
    with pytest.raises(Exception, match="birthday") as refused:
        create(birthday=birthday)
    assert getattr(refused.value, "field", None) == "birthday"


def test_cus_18_nobody_is_born_tomorrow(kit: InMemoryService) -> None:
    assert kit.today.isoformat() == "2026-03-02"
    kit.assert_refused("VALIDATION", create(birthday="2026-03-03"), by=SALES, field="birthday")
    kit.do(create(birthday="2026-03-02"), by=SALES)
    kit.assert_refused("VALIDATION", edit(birthday="2027-01-01"), by=SALES, field="birthday")
    kit.do(edit(birthday="12-31"), by=SALES)  # of no year: each year has one
    kit.do(edit(birthday="2000-02-29"), by=SALES)


def test_cus_19_a_contact_is_in_several_groups_of_the_companys(kit: InMemoryService) -> None:
    kit.do(create(tags=["DECISION_MAKER", "FINANCE"]), by=SALES)
    kit.do(CONTACT.tag(contact_id=HAN, add=("USER",), remove=("FINANCE",)), by=SALES)
    assert kit.stream(HAN)[-1].data.tags == ("DECISION_MAKER", "USER")
    kit.assert_refused("VALIDATION", edit(tags=["Golf"]), by=SALES, field="tags")


def test_cus_18_cus_04_a_customer_is_deleted_after_its_contacts(kit: InMemoryService) -> None:
    kit.do(create(), by=SALES)
    refused = kit.assert_refused("INVALID_STATE", CUSTOMER.delete(customer_id=LI), by=SALES, field="customer_id")
    assert (refused.why.params["child"], refused.why.params["count"]) == ("contact", 1)
    kit.do(CONTACT.delete(contact_id=HAN), by=SALES)
    kit.do(CUSTOMER.delete(customer_id=LI), by=SALES)
    kit.assert_refused("NOT_FOUND", CONTACT.restore(contact_id=HAN), by=SALES, field="customer_id")


def test_cpl_01_what_was_known_of_a_contact_who_was_erased_reads_as_nothing_and_the_customer_stays() -> None:
    ring = KeyRing(MemoryKeys)
    before = use(ring)
    try:
        kit = InMemoryService(SERVICE)
        kit.do(CreateCustomer(customer_id=LI, name="Li Lei", mobile="13800000001", industry="retail"), by=SALES)
        kit.do(create(title="经理", mobile="13800000002", birthday="1990-05-17", tags=["USER"]), by=SALES)
        assert ring.destroy(HAN)
        told = kit.stream(HAN)[0].data
        assert told == Contact(customer_id=LI, name="", mobile="", birthday="", tags=("USER",))
        assert kit.stream(LI)[0].data.name == "Li Lei"
    finally:
        use(before)
