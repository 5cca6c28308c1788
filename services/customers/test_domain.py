"""The rules of CUS-01..03, CUS-21 and of ACC-17, by way of the service's commands."""

from dataclasses import replace
from functools import partial
from typing import Any, get_args
from uuid import UUID, uuid4, uuid5

import pytest

from chassis.model.unique import IndexClaimed, UniqueIndex
from chassis.persons.keys import KeyRing
from chassis.persons.stores import MemoryKeys
from chassis.store.events import recorded
from chassis.store.transaction import Transaction
from chassis.testing.people import ADMIN, SALES, SUPERVISOR, user
from chassis.testing.services import InMemoryService
from contracts.customers import (
    CUSTOMER,
    BookPoints,
    CreateCustomer,
    CustomerCreated,
    CustomerData,
    CustomerEdited,
    CustomerField,
    CustomerSettingsSet,
    EditCustomer,
    Membership,
    MembershipSet,
    PointsBooked,
    SetCustomerSettings,
    SetMembership,
)
from contracts.errors import Refused
from contracts.people import Person
from contracts.personal import use
from contracts.reasons import as_kept, params_kept
from contracts.schemas import load
from contracts.types import MAX_QUANTITY
from services.customers.application import SERVICE
from services.customers.domain import FIELDS, SETTINGS, Customer, CustomerSettings

NAMES = UUID("0d3b6f0e-3f0f-4a43-8a7e-4f6a0f2c9d55")
LI, WU = uuid5(NAMES, "li"), uuid5(NAMES, "wu")
OWNER = Person(user_id=SALES.user_id, name=SALES.name)
OTHER_SALES = user("zhou", "SAL")
mobile_value = partial(UniqueIndex.of_phone, "customer-mobile")
CREATE = CreateCustomer(
    customer_id=LI,
    name="Li Lei",
    mobile="13800000001",
    industry="retail",
    company="Lei Trading",
    contact_person="Han Mei",
    address="1 Nanjing Road",
    region="East",
    importance="high",
    customer_type="company",
    need="phones",
    category="A",
    source="fair",
    tags=("vip",),
)
DATA = CustomerData(
    name="Li Lei",
    mobile="13800000001",
    industry="retail",
    company="Lei Trading",
    contact_person="Han Mei",
    address="1 Nanjing Road",
    region="East",
    importance="high",
    customer_type="company",
    need="phones",
    category="A",
    source="fair",
    tags=("vip",),
)


@pytest.fixture
def kit() -> InMemoryService:
    """The service with the customer Li Lei, owned by the salesperson."""
    kit = InMemoryService(SERVICE)
    kit.do(CREATE, by=SALES)
    kit.new_facts()
    return kit


def public(kit: InMemoryService) -> list[Any]:
    return [fact for fact in kit.new_facts() if type(fact).__module__ == "contracts.customers"]


def test_CUS_01_ACC_17_a_customer_is_stored_with_required_and_optional_fields() -> None:
    kit = InMemoryService(SERVICE)
    answer = kit.do(CREATE, by=SALES)
    assert answer.body == {"id": str(LI), "version": 1, "name": "Li Lei"}
    assert public(kit) == [CustomerCreated(customer_id=LI, data=DATA, owner=OWNER, owner_since=kit.today, by=OWNER)]


def test_CUS_01_an_id_is_used_once(kit: InMemoryService) -> None:
    kit.assert_refused("DUPLICATE", replace(CREATE, mobile="13800000002"), by=SALES, field="customer_id")


def test_CPL_01_a_customer_has_not_the_id_of_a_user() -> None:
    """Both would be sealed with one key: who erases one would erase the other, and each could read the other."""
    kit = InMemoryService(SERVICE)
    kit.known(OTHER_SALES)
    kit.assert_refused("DUPLICATE", replace(CREATE, customer_id=OTHER_SALES.user_id), field="customer_id")


@pytest.mark.parametrize(
    "name,value", [("name", ""), ("name", " \t"), ("mobile", None), ("industry", ""), ("industry", "  ")]
)
def test_CUS_02_ACC_17_one_required_field_missing(name: str, value: Any) -> None:
    kit = InMemoryService(SERVICE)
    refusal = kit.assert_refused("VALIDATION", replace(CREATE, **{name: value}), by=SALES, field=name)
    assert set(refusal.fields) == {name}


def test_CUS_02_all_missing_fields_are_named() -> None:
    refusal = InMemoryService(SERVICE).assert_refused("VALIDATION", CreateCustomer(), by=SALES, field="name")
    assert set(refusal.fields) == {"name", "mobile", "industry"}


def test_CUS_02_the_administrator_sets_what_must_be_filled() -> None:
    kit = InMemoryService(SERVICE)
    answer = kit.do(SetCustomerSettings(required=("source", "name", "source")))
    assert answer.body == {"id": "customers", "version": 1, "required": ["name", "source"]}
    by = Person(user_id=ADMIN.user_id, name=ADMIN.name)
    told = CustomerSettingsSet(settings_id="customers", required=("name", "source"), by=by, revision=1)
    assert kit.new_facts() == [told]
    kit.assert_refused("VALIDATION", CreateCustomer(name="Wu"), by=SALES, field="source")
    kit.do(CreateCustomer(name="Wu", source="web"), by=SALES)
    kit.do(CreateCustomer(name="Xu", source="web"), by=SALES)  # no mobile number is no number twice


def test_CUS_02_nothing_at_all_may_be_required() -> None:
    kit = InMemoryService(SERVICE)
    kit.do(SetCustomerSettings(required=()))
    kit.new_facts()
    kit.do(CreateCustomer(), by=SALES)
    [made] = public(kit)
    assert (type(made), made.data) == (CustomerCreated, CustomerData())


def test_CUS_02_the_same_settings_again_record_nothing() -> None:
    kit = InMemoryService(SERVICE)
    kit.do(SetCustomerSettings(required=("industry", "mobile", "name")))  # the default set
    assert kit.new_facts() == []
    for _ in range(2):
        kit.do(SetCustomerSettings(required=("name",)))
    assert len(kit.new_facts()) == 1
    found = kit.store.load(CustomerSettings, SETTINGS)
    assert found is not None and found.required == ("name",)


def test_CPL_01_the_number_of_who_was_erased_is_free_for_somebody_else() -> None:
    ring = KeyRing(MemoryKeys)
    before = use(ring)
    try:
        kit = InMemoryService(SERVICE)
        kit.do(CREATE, by=SALES)
        again = replace(CREATE, customer_id=WU, name="Wu")
        kit.assert_refused("DUPLICATE", again, by=SALES, field="mobile")
        assert ring.destroy(LI)
        kit.do(again, by=SALES)
        kit.assert_refused("DUPLICATE", replace(CREATE, customer_id=uuid4()), by=SALES, field="mobile")
    finally:
        use(before)


@pytest.mark.parametrize("mobile", ["13800000001", "+8613800000001", "+86 138-0000-0001"])
def test_CUS_01_a_mobile_number_belongs_to_one_customer_however_it_is_written(
    kit: InMemoryService, mobile: str
) -> None:
    kit.assert_refused("DUPLICATE", replace(CREATE, customer_id=WU, mobile=mobile), by=SALES, field="mobile")


def test_CUS_01_foreign_numbers_are_told_apart() -> None:
    assert mobile_value("+1 380 000 0001") == mobile_value("+1-380-0000001")
    assert not {*mobile_value("+8113800000001").ids} & {*mobile_value("13800000001").ids}


def test_CUS_03_an_edit_changes_what_it_names(kit: InMemoryService) -> None:
    answer = kit.do(EditCustomer(customer_id=LI, address="2 Nanjing Road", need="", tags=()), by=SALES)
    assert answer.body["version"] == 2
    data = replace(DATA, address="2 Nanjing Road", need="", tags=())
    assert kit.new_facts() == [CustomerEdited(customer_id=LI, data=data, changed=("address", "need", "tags"), by=OWNER)]


@pytest.mark.parametrize("more", [{}, {"name": "Li Lei", "mobile": "13800000001", "tags": ("vip",)}])
def test_CUS_03_an_edit_that_changes_nothing_records_nothing(kit: InMemoryService, more: dict[str, Any]) -> None:
    assert kit.do(EditCustomer(customer_id=LI, **more), by=SALES).body["version"] == 1
    assert kit.new_facts() == []


def test_CUS_03_an_edit_takes_the_new_mobile_number_and_frees_the_old(kit: InMemoryService) -> None:
    kit.do(replace(CREATE, customer_id=WU, company="Wu", mobile="13800000002"), by=SALES)
    kit.assert_refused("DUPLICATE", EditCustomer(customer_id=WU, mobile="13800000001"), by=SALES, field="mobile")
    kit.do(EditCustomer(customer_id=LI, mobile="13800000003"), by=SALES)
    kit.do(EditCustomer(customer_id=WU, mobile="13800000001"), by=SALES)
    kit.assert_refused("DUPLICATE", EditCustomer(customer_id=LI, mobile="13800000001"), by=SALES, field="mobile")
    index = kit.store.load(UniqueIndex, mobile_value("13800000002").taken[0])
    assert index is not None and index.holder is None


def test_CUS_03_a_number_written_another_way_stays_the_customers_own(kit: InMemoryService) -> None:
    kit.do(EditCustomer(customer_id=LI, mobile="+86 13800000001"), by=SALES)
    assert [type(fact) for fact in kit.new_facts()] == [CustomerEdited]
    kit.assert_refused("DUPLICATE", replace(CREATE, customer_id=WU), by=SALES, field="mobile")


def test_CUS_03_a_customer_without_a_number_gets_one() -> None:
    kit = InMemoryService(SERVICE)
    kit.do(SetCustomerSettings(required=()))
    kit.do(CreateCustomer(customer_id=LI), by=SALES)
    kit.do(EditCustomer(customer_id=LI, mobile="13800000001"), by=SALES)
    kit.assert_refused("DUPLICATE", CreateCustomer(customer_id=WU, mobile="13800000001"), by=SALES, field="mobile")


# -- the same company and contact person (CUS-22)

OTHER = replace(CREATE, customer_id=WU, mobile="13800000002")


@pytest.mark.parametrize(
    ("company", "person"),
    [("Lei Trading", "Han Mei"), ("LEI  trading", "han mei"), ("Ｌｅｉ Trading", "Han\u00a0Mei")],
)
def test_CUS_22_the_same_company_and_contact_person_is_refused_with_the_id_found(
    kit: InMemoryService, company: str, person: str
) -> None:
    again = replace(OTHER, company=company, contact_person=person)
    refusal = kit.assert_refused("DUPLICATE", again, by=SALES, field="company")
    assert refusal.why.params["holder"] == LI
    assert person in str(refusal) and "Mei" not in refusal.why.without_persons("***"), "nothing of the person is kept"


@pytest.mark.parametrize(("company", "person"), [("Lei Trading", ""), ("", "Han Mei"), ("Lei Trading", "Wu Gang")])
def test_CUS_22_what_is_not_the_same_in_both_is_another_customer(
    kit: InMemoryService, company: str, person: str
) -> None:
    for number in range(2):
        of_one = {"company": company, "contact_person": person if number == 0 or not (company and person) else "Zhao"}
        kit.do(replace(OTHER, customer_id=uuid4(), mobile=f"1380000001{number}", **of_one), by=SALES)


def test_CUS_22_while_it_is_edited_too_and_it_is_no_duplicate_of_itself(kit: InMemoryService) -> None:
    kit.do(replace(OTHER, contact_person="Wu Gang"), by=SALES)
    same = EditCustomer(customer_id=WU, contact_person="Han Mei")
    assert kit.assert_refused("DUPLICATE", same, by=SALES, field="company").why.params["holder"] == LI
    kit.do(EditCustomer(customer_id=LI, contact_person="HAN MEI", region="West"), by=SALES)
    kit.do(EditCustomer(customer_id=LI, contact_person="Han Meimei"), by=SALES)
    kit.do(same, by=SALES)


def test_CUS_22_a_deleted_one_is_in_nobodys_way_and_comes_back_when_nobody_is_the_same(kit: InMemoryService) -> None:
    kit.do(CUSTOMER.delete(customer_id=LI), by=SALES)
    kit.do(OTHER, by=SALES)
    kit.assert_refused("DUPLICATE", CUSTOMER.restore(customer_id=LI), by=SALES, field="company")
    kit.do(EditCustomer(customer_id=WU, company="Wu Trading"), by=SALES)
    kit.do(CUSTOMER.restore(customer_id=LI), by=SALES)


def test_CUS_22_the_id_is_told_to_who_sees_that_customer_and_to_nobody_else(kit: InMemoryService) -> None:
    """Also to who may not change it."""
    refusal = kit.assert_refused("DUPLICATE", OTHER, by=OTHER_SALES, field="company")
    assert refusal.why.reason == "records.taken_unseen" and str(LI) not in str(refusal.problem())
    assert not set(refusal.why.params) & {"called", "path", "holder"}, "there is one, and no more"
    operator = user("sun", "SEA")
    told = kit.assert_refused("DUPLICATE", OTHER, by=operator, field="company").why
    assert told.params["holder"] == LI and (told.params["path"], told.params["kind"]) == ("/customers", "customer")


def test_CUS_22_who_may_enter_customers_and_see_none_is_told_no_name(
    kit: InMemoryService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SEC-18: as a form on a web page, whose account enters customers."""
    form = replace(user("form", "SAL"), scopes={"customers.edit": frozenset({"ALL"})})
    monkeypatch.setattr(kit, "known", lambda by: by)
    why = kit.assert_refused("DUPLICATE", OTHER, by=form, field="company").why
    assert not set(why.params) & {"called", "path"}


def test_CUS_22_who_has_it_is_told_by_name_with_the_way_there(kit: InMemoryService) -> None:
    kit.do(EditCustomer(customer_id=LI, name="Zhou Wei"), by=SALES)
    called = "Zhou Wei"
    why = kit.assert_refused("DUPLICATE", OTHER, by=SALES, field="company").why
    assert (why.reason, why.params["called"]) == ("records.taken_by", called)
    assert f"客户“{called}”使用（/customers/{LI}）" in why.said("zh")
    assert called not in why.without_persons("***"), "it tells of a person, and is not kept"
    assert called not in params_kept(as_kept(why)) and as_kept(why).reason == "records.taken"


def entered_before(kit: InMemoryService) -> None:
    """LI, entered when nothing was asked of company and contact person, as the service knows of it."""
    meta = kit.request(CREATE, SALES).meta()
    created = CustomerCreated(customer_id=LI, data=DATA, owner=OWNER, by=OWNER)
    kit.store.commit(Transaction(events=[recorded(LI, 1, created, meta)]))
    kit.learn(created)


def test_CUS_22_nobody_is_the_same_as_a_customer_of_before_company_and_contact_person_were_asked() -> None:
    kit = InMemoryService(SERVICE)
    entered_before(kit)
    assert kit.assert_refused("DUPLICATE", OTHER, by=SALES, field="company").why.params["holder"] == LI
    kit.do(replace(OTHER, contact_person="Wu Gang"), by=SALES)
    same = EditCustomer(customer_id=WU, contact_person="HAN mei")
    kit.assert_refused("DUPLICATE", same, by=SALES, field="company")
    kit.do(EditCustomer(customer_id=LI, region="West"), by=SALES)
    kit.do(EditCustomer(customer_id=LI, contact_person="Han Meimei"), by=SALES)
    kit.do(same, by=SALES)


def test_CUS_22_what_was_the_same_before_it_was_asked_stays_and_the_deleted_and_erased_are_in_nobodys_way() -> None:
    kit, ring = InMemoryService(SERVICE), KeyRing(MemoryKeys)
    use(ring)
    entered_before(kit)
    twin = CustomerCreated(customer_id=WU, data=replace(DATA, mobile="13800000002"), owner=OWNER, by=OWNER)
    kit.store.commit(Transaction(events=[recorded(WU, 1, twin, kit.request(CREATE, SALES).meta())]))
    kit.learn(twin)
    kit.do(EditCustomer(customer_id=WU, region="West"), by=SALES)
    third = replace(OTHER, customer_id=uuid4(), mobile="13800000003")
    kit.do(CUSTOMER.delete(customer_id=WU), by=SALES)
    assert kit.assert_refused("DUPLICATE", third, by=SALES, field="company").why.params["holder"] == LI
    assert ring.destroy(LI)
    kit.do(third, by=SALES)


def test_CUS_02_an_edit_may_not_blank_a_required_field(kit: InMemoryService) -> None:
    refusal = kit.assert_refused(
        "VALIDATION", EditCustomer(customer_id=LI, name=" ", industry=""), by=SALES, field="name"
    )
    assert set(refusal.fields) == {"name", "industry"}


def test_CUS_02_a_field_required_later_does_not_hinder_other_edits(kit: InMemoryService) -> None:
    kit.do(EditCustomer(customer_id=LI, source=""), by=SALES)
    kit.do(SetCustomerSettings(required=("name", "source")))
    kit.do(EditCustomer(customer_id=LI, region="West"), by=SALES)
    kit.assert_refused("VALIDATION", EditCustomer(customer_id=LI, source=""), by=SALES, field="source")


@pytest.mark.parametrize(
    "command", [EditCustomer(customer_id=LI, name="x"), SetMembership(customer_id=LI, member=True, level="gold")]
)
def test_SEC_16_only_the_owner_a_supervisor_or_the_administrator_edits(kit: InMemoryService, command: Any) -> None:
    kit.assert_refused("FORBIDDEN", command, by=OTHER_SALES, field="customer_id")
    kit.assert_refused("FORBIDDEN", command, by=user("seat", "SEA"), field="customer_id")
    kit.assert_refused("NOT_FOUND", replace(command, customer_id=WU), by=SALES, field="customer_id")
    for who in (SALES, SUPERVISOR, ADMIN):
        kit.do(command, by=who)


def test_CUS_21_a_member_has_a_level_and_points(kit: InMemoryService) -> None:
    gold = SetMembership(customer_id=LI, member=True, level="gold", points=100)
    for _ in range(2):
        kit.do(gold, by=SALES)
    kit.do(replace(gold, points=150), by=SALES)
    set_to = [Membership(member=True, level="gold", points=points) for points in (100, 150)]
    assert kit.new_facts() == [MembershipSet(customer_id=LI, membership=m, by=OWNER) for m in set_to]


def test_CUS_21_who_is_no_member_has_neither_level_nor_points(kit: InMemoryService) -> None:
    kit.do(SetMembership(customer_id=LI, member=False, level="gold", points=5), by=SALES)
    assert kit.new_facts() == []
    kit.do(SetMembership(customer_id=LI, member=True, level="gold"), by=SALES)
    kit.do(SetMembership(customer_id=LI, member=False, level="gold", points=5), by=SALES)
    assert kit.new_facts()[-1] == MembershipSet(customer_id=LI, membership=Membership(), by=OWNER)


def test_CUS_21_level_and_points_that_are_left_out_stay(kit: InMemoryService) -> None:
    kit.do(SetMembership(customer_id=LI, member=True, level="gold", points=100), by=SALES)
    kit.do(SetMembership(customer_id=LI, member=True, level="platinum"), by=SALES)
    kit.do(SetMembership(customer_id=LI, member=True, points=120), by=SALES)
    kit.do(SetMembership(customer_id=LI, member=True), by=SALES)
    kit.do(load(SetMembership, {"customer_id": str(LI), "member": True, "level": ""}), by=SALES)
    levels = [("gold", 100), ("platinum", 100), ("platinum", 120), ("", 120)]
    set_to = [Membership(member=True, level=level, points=points) for level, points in levels]
    assert [fact.membership for fact in kit.new_facts()] == set_to


def test_CUS_21_points_are_given_and_taken_as_far_as_there_are(kit: InMemoryService) -> None:
    kit.do(SetMembership(customer_id=LI, member=True, level="gold", points=100), by=SALES)
    kit.new_facts()
    book = BookPoints(customer_id=LI, change=50, reason="birthday")
    for _ in range(2):
        kit.do(book, by=SALES)
    kit.do(replace(book, change=-200, reason="bag"), by=SALES)
    told = [(50, 150, "birthday"), (50, 200, "birthday"), (-200, 0, "bag")]
    assert kit.new_facts() == [
        PointsBooked(customer_id=LI, change=change, points=points, reason=reason, by=OWNER)
        for change, points, reason in told
    ]
    refused = kit.assert_refused("VALIDATION", replace(book, change=-1), by=SALES, field="change")
    assert refused.why.reason == "customers.points_below_zero"
    kit.do(SetMembership(customer_id=LI, member=True, points=MAX_QUANTITY), by=SALES)
    refused = kit.assert_refused("VALIDATION", replace(book, change=1), by=SALES, field="change")
    assert refused.why.reason == "customers.most_points"
    assert kit.new_facts() == [
        MembershipSet(customer_id=LI, membership=Membership(member=True, level="gold", points=MAX_QUANTITY), by=OWNER)
    ]


@pytest.mark.parametrize("given", [{"change": 0}, {"change": 1.5}, {"change": True}, {"change": 1, "reason": " "}])
def test_CUS_21_points_are_whole_and_booked_for_a_reason(given: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refused:
        load(BookPoints, {"customer_id": str(LI), "reason": "birthday", **given})
    assert refused.value.code == "VALIDATION" and refused.value.field in given


def test_CUS_21_who_is_no_member_has_no_points_booked(kit: InMemoryService) -> None:
    book = BookPoints(customer_id=LI, change=50, reason="birthday")
    assert kit.assert_refused("INVALID_STATE", book, by=SALES, field="customer_id").state == "NO_MEMBER"
    kit.do(SetMembership(customer_id=LI, member=True), by=SALES)
    kit.do(book, by=SALES)
    kit.do(SetMembership(customer_id=LI, member=False), by=SALES)
    kit.assert_refused("INVALID_STATE", book, by=SALES)
    kit.assert_refused("FORBIDDEN", book, by=OTHER_SALES, field="customer_id")
    kit.do(SetMembership(customer_id=LI, member=True), by=SALES)
    assert kit.new_facts()[-1].membership == Membership(member=True), "points end with the membership"


def test_2_0_a_stale_edit_is_refused(kit: InMemoryService) -> None:
    kit.do(EditCustomer(customer_id=LI, region="West"), by=SALES, version=1)
    kit.assert_refused("VERSION_CONFLICT", EditCustomer(customer_id=LI, region="East"), by=SALES, version=1)


def test_2_0_an_idempotency_key_creates_once() -> None:
    kit = InMemoryService(SERVICE)
    first, second = kit.do(CREATE, by=SALES, key="k1"), kit.do(CREATE, by=SALES, key="k1")
    assert first.body == second.body
    assert len(public(kit)) == 1


def test_2_0_what_is_stored_is_what_the_writer_holds(kit: InMemoryService) -> None:
    kit.do(EditCustomer(customer_id=LI, region="West"), by=SALES)
    kit.do(SetMembership(customer_id=LI, member=True), by=SALES)
    assert kit.store.load(Customer, LI) == kit.writer._cache.get(LI)


def test_CUS_01_of_two_customers_with_one_number_in_one_commit_one_is_saved() -> None:
    kit = InMemoryService(SERVICE)
    requests = [kit.request(replace(CREATE, customer_id=id), SALES) for id in (LI, WU)]
    kit.writer.execute(requests)
    assert requests[0].future.exception(timeout=0) is None
    assert getattr(requests[1].future.exception(timeout=0), "code", None) == "DUPLICATE"
    assert kit.store.load(Customer, WU) is None


@pytest.mark.parametrize(
    "text", ["", " ", "\u200e", "\u3164", "\u2800", "\u200d", "\ufe0f", "\u034f", "\u115f"], ids=ascii
)
@pytest.mark.parametrize("name", FIELDS)
def test_CUS_02_what_nobody_can_see_fills_in_no_required_field(name: str, text: str) -> None:
    blank: dict[str, Any] = {name: text}
    kit = InMemoryService(SERVICE)
    kit.do(SetCustomerSettings(required=get_args(CustomerField)))
    kit.do(CREATE)
    kit.assert_refused(
        "VALIDATION", replace(CREATE, **{"customer_id": WU, "mobile": "13800000002", **blank}), field=name
    )
    kit.assert_refused("VALIDATION", EditCustomer(customer_id=LI, **blank), field=name)


@pytest.mark.parametrize("form", ["+81 90-1234-5678", "+81 (0)90 1234 5678", "0081 90.1234.5678", "＋81 090‐1234‐5678"])
def test_CUS_01_the_zero_dialled_within_a_country_makes_no_other_number(kit: InMemoryService, form: str) -> None:
    first: Any = load(CreateCustomer, {"name": "Wu", "mobile": "+81 090-1234-5678"})
    kit.do(replace(CREATE, customer_id=WU, company="Wu", mobile=first.mobile), by=SALES)
    again = replace(CREATE, customer_id=uuid4(), company="Again", mobile=load(CreateCustomer, {"mobile": form}).mobile)
    kit.assert_refused("DUPLICATE", again, by=SALES, field="mobile")
    kit.do(EditCustomer(customer_id=WU, mobile="13800000009"), by=SALES)
    kit.do(again, by=SALES)


@pytest.mark.parametrize("form", ["139 0000 0041", "139-0000-0041", "(139) 0000.0041", "139\u200b0000\u00a00041"])
def test_CUS_02_a_chinese_mobile_number_is_taken_with_blanks_and_dashes(form: str) -> None:
    assert load(CreateCustomer, {"mobile": form}).mobile == "13900000041"


def test_CUS_03_a_number_is_free_whatever_form_a_former_release_claimed(kit: InMemoryService) -> None:
    """It took the number with the 0 and that without for two."""
    kit.do(replace(CREATE, customer_id=WU, company="Wu", mobile="13800000002"), by=SALES)
    claimed = UniqueIndex.id_of("customer-mobile", "+8109012345678")
    meta = kit.request(CREATE).meta()
    data = replace(DATA, company="Wu", mobile="+81 090-1234-5678")
    kit.store.commit(
        Transaction(
            events=[
                recorded(claimed, 1, IndexClaimed(holder=WU), meta),
                recorded(WU, 2, CustomerEdited(customer_id=WU, data=data, by=OWNER), meta),
            ]
        )
    )
    new = replace(CREATE, customer_id=uuid4(), company="New", mobile="+81 90-1234-5678")
    kit.assert_refused("DUPLICATE", new, by=SALES, field="mobile")
    kit.do(EditCustomer(customer_id=WU, mobile="+81 90-1234-5678", need="a lamp"), by=SALES)
    kit.assert_refused("DUPLICATE", new, by=SALES, field="mobile")
    kit.do(EditCustomer(customer_id=WU, mobile="13800000009"), by=SALES)
    kit.do(new, by=SALES)


def test_CUS_04_a_deleted_customer_frees_its_number_and_takes_it_back_if_it_is_still_free(kit: InMemoryService) -> None:
    delete, restore = CUSTOMER.delete(customer_id=LI), CUSTOMER.restore(customer_id=LI)
    kit.do(delete, by=SALES)
    for command in (delete, SetMembership(customer_id=LI, member=True), EditCustomer(customer_id=LI, name="x")):
        kit.assert_refused("NOT_FOUND", command, by=SALES, field="customer_id")
    kit.do(replace(CREATE, customer_id=WU, company="Wu"), by=SALES)
    told = kit.assert_refused("DUPLICATE", restore, by=SALES, field="mobile")
    [*_, kept] = [entry for record in kit.store.audit_after(0, 99) for entry in record.entries()]
    assert CREATE.mobile in told.message and CREATE.mobile not in kept.detail, "CPL-01: the audit log is kept for ever"
    kit.do(EditCustomer(customer_id=WU, mobile="13800000009"), by=SALES)
    assert kit.do(restore, by=SALES).body == {"id": str(LI), "version": 3, "name": "Li Lei"}
    kit.assert_refused("DUPLICATE", EditCustomer(customer_id=WU, mobile="13800000001"), by=SALES, field="mobile")


def test_CUS_04_what_was_made_required_meanwhile_does_not_keep_a_customer_deleted(kit: InMemoryService) -> None:
    kit.do(EditCustomer(customer_id=LI, source=""), by=SALES)
    kit.do(CUSTOMER.delete(customer_id=LI), by=SALES)
    kit.do(SetCustomerSettings(required=("source",)))
    kit.do(CUSTOMER.restore(customer_id=LI), by=SALES)
    refused = CUSTOMER.revert(customer_id=LI, version=2, fields=("source",))
    kit.assert_refused("VALIDATION", refused, by=SALES, field="source")
    kit.do(CUSTOMER.revert(customer_id=LI, version=1), by=SALES)
    assert kit.stream(LI)[-1].changed == ("source",)


def test_CUS_03_events_of_former_releases_tell_not_which_fields_changed() -> None:
    told = {"customer_id": str(LI), "data": {"name": "Li Lei"}, "by": {"name": "Li"}}
    edited: Any = load(CustomerEdited, told)
    assert edited.changed == ()
