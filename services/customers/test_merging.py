"""Two customers that are the same are merged, and taken apart again (CUS-22, CUS-04, ADR 0066).

What lists, pages and other services make of it: tests/contract/test_merging.py and tests/component/test_merging.py.
"""

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from chassis.model.children import Children, children_id
from chassis.model.pools import Places, places_id
from chassis.model.principal import Principal
from chassis.persons.keys import KeyRing
from chassis.persons.stores import MemoryKeys
from chassis.testing.people import ADMIN, SALES, SUPERVISOR, user
from chassis.testing.services import InMemoryService
from contracts.access import UserEdited, UserState
from contracts.customers import (
    CUSTOMER,
    Contact,
    CreateCustomer,
    CustomerData,
    CustomerEdited,
    CustomerJoined,
    CustomerMerged,
    CustomerUnmerged,
    MergeCustomer,
    SetCustomerSettings,
    SetMembership,
    UnmergeCustomer,
)
from contracts.errors import Refused
from contracts.merging import MOST_MERGED
from contracts.people import Person
from contracts.personal import use
from contracts.records import kind_of
from contracts.schemas import load
from services.customers.application import SERVICE
from services.customers.domain import Customer

CONTACT = kind_of(Contact)
A, B, C, D = (UUID(f"01900000-0000-7000-8000-0000000000d{number}") for number in range(4))
HAN = UUID("01900000-0000-7000-8000-0000000000c2")
ZHOU = user("zhou", "SAL", superior=SUPERVISOR)
WU = user("wu", "SAL")
"""Whom the supervisor does not lead."""
MOBILES = {A: "13800000001", B: "13800000002", C: "13800000003", D: "13800000004"}


def create(id: UUID, **more: Any) -> Any:
    return CreateCustomer(customer_id=id, **{"name": f"Li {id}", "mobile": MOBILES[id], "industry": "IT", **more})


def merge(into: UUID, duplicate: UUID, *take: str) -> Any:
    return MergeCustomer(customer_id=into, duplicate_id=duplicate, take=take)


def unmerge(id: UUID) -> Any:
    return UnmergeCustomer(customer_id=id)


def edit(id: UUID, **given: Any) -> Any:
    return load(CUSTOMER.edit, {"customer_id": str(id), **given})


@pytest.fixture
def kit() -> InMemoryService:
    """The service with three customers: A of one salesperson, B and C of another one, both led by the supervisor."""
    kit = InMemoryService(SERVICE)
    for by in (ADMIN, SALES, ZHOU, SUPERVISOR, WU):
        kit.known(by)
    kit.do(create(A, need="phones", tags=("PROSPECT",)), by=SALES)
    kit.do(create(B, need="tablets", company="Acme", contact_person="Han", tags=("INTERESTED", "PROSPECT")), by=ZHOU)
    kit.do(create(C), by=ZHOU)
    kit.new_facts()
    return kit


def now(kit: InMemoryService, id: UUID) -> Customer:
    found = kit.store.load(Customer, id)
    assert found is not None
    return found


def data(kit: InMemoryService, id: UUID) -> CustomerData:
    found: CustomerData = now(kit, id).data
    return found


def test_cus_22_the_survivor_takes_the_fields_named_and_the_tags_of_both_and_nothing_is_written_anew(
    kit: InMemoryService,
) -> None:
    before = kit.stream(B)
    answer = kit.do(merge(A, B, "mobile", "company"), by=SUPERVISOR)
    assert (answer.body["id"], answer.body["version"]) == (str(A), 3)
    by = Person(user_id=SUPERVISOR.user_id, name=SUPERVISOR.name)
    facts: list[Any] = kit.new_facts()
    edited, joined, merged = facts[:3]
    assert [type(fact) for fact in facts[:3]] == [CustomerEdited, CustomerJoined, CustomerMerged]
    assert edited.changed == ("mobile", "company", "tags")
    told = edited.data
    assert (told.mobile, told.company, told.need, told.contact_person) == ("13800000002", "Acme", "phones", "")
    assert told.tags == ("PROSPECT", "INTERESTED")
    assert joined == CustomerJoined(customer_id=A, merged_ids=(B,), changed=edited.changed, by=by)
    assert merged == CustomerMerged(customer_id=B, merged_into=A, by=by)
    assert kit.stream(B) == [*before, merged]


def test_cus_22_nothing_is_taken_that_is_not_named(kit: InMemoryService) -> None:
    kit.do(merge(B, A), by=SUPERVISOR)
    assert [type(fact) for fact in kit.stream(B)[1:]] == [CustomerJoined], "its tags were all there"
    assert (data(kit, B).mobile, data(kit, B).need) == ("13800000002", "tablets")


@pytest.mark.parametrize("cls", [one for one in CUSTOMER.commands if one not in (CUSTOMER.create, UnmergeCustomer)])
def test_cus_22_a_merged_customer_takes_no_command_and_each_names_the_one_to_look_at(
    cls: Any, kit: InMemoryService
) -> None:
    more: dict[type, dict[str, Any]] = {
        CUSTOMER.revert: {"version": 1},
        CUSTOMER.assign: {"owner_id": str(SALES.user_id)},
        CUSTOMER.share: {"with_id": str(SALES.user_id)},
        CUSTOMER.unshare: {"with_id": str(SALES.user_id)},
        CUSTOMER.give_back: {"reason": "x"},
        CUSTOMER.assign_in_turn: {"among": [str(SALES.user_id)]},
        CUSTOMER.merge: {"duplicate_id": str(C)},
    }
    kit.do(merge(A, B), by=ADMIN)
    command = load(cls, {"customer_id": str(B), **more.get(cls, {})})
    refused = kit.assert_refused("INVALID_STATE", command, by=ADMIN, field="customer_id")
    assert (refused.why.reason, refused.why.params["survivor"], refused.state) == ("records.merged", A, "MERGED")
    refused = kit.assert_refused("INVALID_STATE", SetMembership(customer_id=B, member=True), by=ADMIN)
    assert refused.why.params["survivor"] == A


def test_cus_22_who_has_the_right_and_may_edit_both_merges_them(kit: InMemoryService) -> None:
    kit.assert_refused("FORBIDDEN", merge(A, C), by=SALES)
    kit.do(create(D), by=WU)
    kit.assert_refused("NOT_FOUND", merge(A, D), by=SUPERVISOR, field="duplicate_id")
    kit.assert_refused("FORBIDDEN", merge(D, A), by=SUPERVISOR, field="customer_id")
    kit.do(CUSTOMER.share(customer_id=D, with_id=SUPERVISOR.user_id, access="EDIT"), by=WU)
    kit.assert_refused("FORBIDDEN", merge(A, D), by=SUPERVISOR, field="duplicate_id")
    kit.assert_refused("FORBIDDEN", merge(D, A), by=SUPERVISOR, field="customer_id")
    kit.do(merge(A, D), by=ADMIN)
    kit.do(merge(A, B), by=SUPERVISOR)


def test_cus_22_what_is_not_there_is_not_merged(kit: InMemoryService) -> None:
    kit.assert_refused("VALIDATION", merge(A, A), by=ADMIN, field="duplicate_id")
    kit.assert_refused("NOT_FOUND", merge(A, uuid4()), by=ADMIN, field="duplicate_id")
    kit.assert_refused("INVALID_STATE", unmerge(A), by=ADMIN, field="customer_id")
    kit.do(CUSTOMER.delete(customer_id=C), by=ZHOU)
    kit.assert_refused("NOT_FOUND", merge(A, C), by=ADMIN, field="duplicate_id")
    kit.assert_refused("NOT_FOUND", merge(C, A), by=ADMIN, field="customer_id")


def test_cus_02_cus_22_what_the_survivor_takes_is_held_to_the_rules_of_an_edit(kit: InMemoryService) -> None:
    kit.do(SetCustomerSettings(required=("name", "company")))
    kit.assert_refused("VALIDATION", merge(B, A, "company"), by=ADMIN, field="company")
    kit.do(merge(B, A), by=ADMIN)


def test_cus_22_of_two_who_merge_crosswise_one_wins(kit: InMemoryService) -> None:
    requests = [kit.request(merge(A, B), ADMIN), kit.request(merge(B, A), ADMIN)]
    kit.writer.execute(requests)
    assert requests[0].future.result(timeout=0)
    with pytest.raises(Refused) as refused:
        requests[1].future.result(timeout=0)
    assert refused.value.why.params["survivor"] == A
    assert (now(kit, A).merged_into, now(kit, B).merged_into) == (None, A)
    refusal = kit.assert_refused("INVALID_STATE", merge(C, B), by=ADMIN, field="duplicate_id")
    assert refusal.why.params["survivor"] == A


def test_cus_22_a_chain_leads_to_its_end_and_is_taken_apart_in_the_middle(kit: InMemoryService) -> None:
    kit.do(merge(B, A), by=ADMIN)
    kit.do(merge(C, B), by=ADMIN)
    for id in (A, B):
        refused = kit.assert_refused("INVALID_STATE", edit(id, need="x"), by=ADMIN)
        assert refused.why.params["survivor"] == C
    kit.do(unmerge(B), by=ADMIN)
    assert kit.assert_refused("INVALID_STATE", edit(A, need="x"), by=ADMIN).why.params["survivor"] == B
    kit.do(edit(B, need="x"), by=ADMIN)
    kit.do(unmerge(A), by=ADMIN)
    kit.do(edit(A, need="y"), by=ADMIN)
    assert kit.store.load(Customer, B).joins == kit.store.load(Customer, C).joins == {}  # type: ignore[union-attr]


def test_cus_22_so_many_are_merged_at_most(kit: InMemoryService) -> None:
    for number in range(MOST_MERGED - 1):
        one = uuid4()
        kit.do(CreateCustomer(customer_id=one, name="x", mobile=f"139{number:08d}", industry="IT"), by=ADMIN)
        kit.do(merge(A, one), by=ADMIN)
    kit.assert_refused("TOO_LARGE", merge(A, B), by=ADMIN, field="duplicate_id")
    kit.assert_refused("TOO_LARGE", merge(B, A), by=ADMIN, field="duplicate_id")


# -- what no two have the same


def test_cus_22_what_a_merged_one_has_is_told_as_the_survivors(kit: InMemoryService) -> None:
    kit.do(merge(B, A), by=ADMIN)
    kit.do(merge(C, B), by=ADMIN)
    for same in ({"mobile": "+86 138-0000-0001"}, {"company": "ACME", "contact_person": "han"}):
        command = create(D, **same)
        refused = kit.assert_refused("DUPLICATE", command, by=ADMIN, field=next(iter(same)))
        assert refused.why.params["holder"] == C
        refused = kit.assert_refused("DUPLICATE", command, by=WU)
        assert refused.why.reason == "records.taken_unseen"


def test_cus_22_what_a_merged_one_has_comes_back_when_it_is_free_else_who_has_it_is_told(kit: InMemoryService) -> None:
    kit.do(merge(C, A), by=ADMIN)
    kit.do(edit(C, mobile="13800000001"), by=ADMIN)
    refused = kit.assert_refused("DUPLICATE", unmerge(A), by=ADMIN, field="mobile")
    assert refused.why.params["holder"] == C
    kit.do(edit(C, mobile="13800000009"), by=ADMIN)
    kit.do(create(D, mobile="13800000001"), by=WU)
    assert kit.assert_refused("DUPLICATE", unmerge(A), by=ADMIN, field="mobile").why.params["holder"] == D
    kit.do(edit(D, mobile="13800000008"), by=WU)
    kit.do(unmerge(A), by=ADMIN)
    refused = kit.assert_refused("DUPLICATE", edit(D, mobile="13800000001"), by=WU, field="mobile")
    assert refused.why.reason == "records.taken_unseen"


def test_cus_22_the_number_that_was_taken_over_goes_back_and_forth(kit: InMemoryService) -> None:
    kit.do(merge(A, B, "mobile"), by=ADMIN)
    kit.do(unmerge(B), by=ADMIN)
    assert (data(kit, A).mobile, data(kit, B).mobile) == ("13800000001", "13800000002")
    for mobile, holder in (("13800000001", A), ("13800000002", B)):
        assert kit.assert_refused("DUPLICATE", create(D, mobile=mobile), by=ADMIN).why.params["holder"] == holder
    kit.do(merge(A, B, "mobile"), by=ADMIN)
    kit.do(create(D, mobile="13800000001"), by=WU)
    refused = kit.assert_refused("DUPLICATE", unmerge(B), by=ADMIN, field="mobile")
    assert refused.why.params["holder"] == D, "what the survivor gave up is somebody else's now"


def test_cus_04_cus_22_who_deletes_the_survivor_frees_what_both_had(kit: InMemoryService) -> None:
    kit.do(merge(A, B), by=ADMIN)
    kit.do(CUSTOMER.delete(customer_id=A), by=ADMIN)
    refused = kit.assert_refused("INVALID_STATE", unmerge(B), by=ADMIN, field="customer_id")
    assert refused.why.reason == "records.survivor_deleted"
    kit.do(create(D, mobile="13800000002"), by=WU)
    kit.do(CUSTOMER.restore(customer_id=A), by=ADMIN)
    assert kit.assert_refused("DUPLICATE", unmerge(B), by=ADMIN, field="mobile").why.params["holder"] == D


# -- taking apart


def test_cus_22_taken_apart_the_survivor_gives_up_what_it_took_and_keeps_what_came_after(kit: InMemoryService) -> None:
    kit.do(merge(A, B, "need", "company", "contact_person"), by=ADMIN)
    kit.do(edit(A, company="Acme Ltd", region="EAST"), by=SALES)
    kit.do(CUSTOMER.tag(customer_id=A, add=("CLOSED_DEAL",)), by=SALES)
    kit.do(unmerge(B), by=SUPERVISOR)
    told = data(kit, A)
    assert (told.need, told.company, told.contact_person, told.region) == ("phones", "Acme Ltd", "", "EAST")
    assert told.tags == ("PROSPECT", "CLOSED_DEAL")
    edited, joined = kit.stream(A)[-2:]
    unmerged = kit.stream(B)[-1]
    assert edited.changed == ("contact_person", "need", "tags") and joined.merged_ids == ()
    assert isinstance(unmerged, CustomerUnmerged) and unmerged.was_in == A
    assert (data(kit, B).need, data(kit, B).tags) == ("tablets", ("INTERESTED", "PROSPECT"))
    kit.do(edit(B, need="none"), by=ZHOU)


def test_cus_22_merged_again_it_is_as_the_first_time(kit: InMemoryService) -> None:
    for _ in range(2):
        kit.do(merge(A, B, "need"), by=ADMIN)
        assert data(kit, A).need == "tablets"
        kit.do(unmerge(B), by=ADMIN)
        assert data(kit, A).need == "phones"


def test_cus_22_taken_apart_in_whatever_order_the_survivor_is_what_it_was(kit: InMemoryService) -> None:
    kit.do(create(D, need="cases"), by=ADMIN)
    for first, second in ((B, D), (D, B)):
        kit.do(merge(A, B, "need"), by=ADMIN)
        kit.do(merge(A, D, "need"), by=ADMIN)
        assert data(kit, A).need == "cases"
        kit.do(unmerge(first), by=ADMIN)
        assert data(kit, A).need == ("cases" if first == B else "tablets")
        kit.do(unmerge(second), by=ADMIN)
        assert (data(kit, A).need, data(kit, A).tags) == ("phones", ("PROSPECT",))


def test_cus_22_what_belonged_to_who_has_left_meanwhile_comes_back_to_who_has_taken_over(kit: InMemoryService) -> None:
    kit.do(merge(A, B), by=ADMIN)
    assert ZHOU.user_id
    state = UserState(login="zhou", name="zhou", status="DELETED", successor_id=WU.user_id, revision=100)
    kit.directory.tell([UserEdited(user_id=ZHOU.user_id, user=state)])
    kit.do(unmerge(B), by=ADMIN)
    assert now(kit, B).owner.user_id == WU.user_id
    assert (places(kit, ZHOU), places(kit, WU)) == (1, 1)


def test_sec_18_whoever_reaches_the_survivor_reaches_what_belonged_to_the_other(kit: InMemoryService) -> None:
    kit.do(load(CONTACT.create, {"contact_id": str(HAN), "customer_id": str(B), "name": "Han"}), by=ZHOU)
    contact: Any = load(CONTACT.edit, {"contact_id": str(HAN), "title": "CEO"})
    kit.assert_refused("FORBIDDEN", contact, by=SALES)
    kit.do(merge(A, B), by=ADMIN)
    kit.do(contact, by=SALES)
    kit.assert_refused("FORBIDDEN", load(CONTACT.edit, {"contact_id": str(HAN), "title": "x"}), by=ZHOU)
    kit.do(unmerge(B), by=ADMIN)
    kit.do(load(CONTACT.edit, {"contact_id": str(HAN), "title": "x"}), by=ZHOU)


def test_cus_18_a_new_contact_of_a_merged_customer_is_refused_and_the_survivor_named(kit: InMemoryService) -> None:
    kit.do(merge(A, B), by=ADMIN)
    new = {"contact_id": str(HAN), "name": "Han"}
    for by in (ADMIN, SALES):
        refused = kit.assert_refused(
            "INVALID_STATE", load(CONTACT.create, {**new, "customer_id": str(B)}), by=by, field="customer_id"
        )
        assert refused.why.params["survivor"] == A
    kit.do(load(CONTACT.create, {**new, "customer_id": str(A)}), by=SALES)
    moved: Any = load(CONTACT.edit, {"contact_id": str(HAN), "customer_id": str(B)})
    kit.assert_refused("INVALID_STATE", moved, by=SALES, field="customer_id")


def test_cus_04_a_customer_is_deleted_after_the_contacts_of_all_that_went_into_it(kit: InMemoryService) -> None:
    kit.do(load(CONTACT.create, {"contact_id": str(HAN), "customer_id": str(B), "name": "Han"}), by=ZHOU)
    kit.do(merge(A, B), by=ADMIN)
    refused = kit.assert_refused("INVALID_STATE", CUSTOMER.delete(customer_id=A), by=SALES, field="customer_id")
    assert (refused.why.params["child"], refused.why.params["count"]) == ("contact", 1)
    kit.do(CONTACT.delete(contact_id=HAN), by=SALES)
    kit.do(CUSTOMER.delete(customer_id=A), by=SALES)
    children = kit.store.load(Children, children_id(B))
    assert children and children.counts == {"contact": 0}


# -- pools, and persons


def places(kit: InMemoryService, by: Principal) -> int:
    assert by.user_id
    found = kit.store.load(Places, places_id(CUSTOMER, by.user_id))
    return found.owned if found else 0


def test_led_05_a_merged_customer_takes_no_place_until_it_is_taken_apart(kit: InMemoryService) -> None:
    assert (places(kit, SALES), places(kit, ZHOU)) == (1, 2)
    kit.do(merge(A, B), by=ADMIN)
    assert (places(kit, SALES), places(kit, ZHOU)) == (1, 1)
    kit.do(unmerge(B), by=ADMIN)
    assert (places(kit, SALES), places(kit, ZHOU)) == (1, 2)


@pytest.fixture
def ring() -> Iterator[KeyRing]:
    ring = KeyRing(MemoryKeys)
    before = use(ring)
    yield ring
    use(before)


def test_cpl_01_each_of_two_merged_keeps_a_key_of_its_own(ring: KeyRing, kit: InMemoryService) -> None:
    kit = InMemoryService(SERVICE)
    for id in (A, B, C):
        kit.do(create(id), by=ADMIN)
    kit.do(merge(A, B), by=ADMIN)
    kit.do(merge(C, A, "mobile"), by=ADMIN)
    assert ring.destroy(A)
    kit.do(edit(C, need="phones"), by=ADMIN)
    assert data(kit, C).name == f"Li {C}" and data(kit, B).name == f"Li {B}"
    kit.do(unmerge(A), by=ADMIN)
    kit.do(unmerge(B), by=ADMIN)
    assert data(kit, B).mobile == "13800000002"
    kit.do(merge(B, C, "mobile"), by=ADMIN)
    assert ring.destroy(B)
    kit.do(unmerge(C), by=ADMIN)
    assert data(kit, C).name == f"Li {C}"


def test_2_0_what_is_stored_is_what_the_writer_holds_of_merged_customers(kit: InMemoryService) -> None:
    kit.do(merge(A, B, "mobile"), by=ADMIN)
    kit.do(merge(C, A), by=ADMIN)
    kit.do(unmerge(A), by=ADMIN)
    for id in (A, B, C):
        stored, held = kit.store.load(Customer, id), kit.writer._cache.get(id)
        assert stored == held
