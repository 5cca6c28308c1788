"""Leads become customers (LED-09..11, LED-13, ACC-29..31): both services and the saga between them, in memory."""

import json
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from chassis.catalogue import Catalogue, know_everything
from chassis.model.commands import CommandSent
from chassis.model.pools import Places, places_id
from chassis.model.principal import SYSTEM, Principal
from chassis.model.saga import Process
from chassis.model.views import LANGUAGE, NAMED
from chassis.persons.keys import KeyRing
from chassis.persons.stores import MemoryKeys
from chassis.testing.keys import holding
from chassis.testing.people import ADMIN, MANAGER, SALES, SUPERVISOR, WAREHOUSE, user
from chassis.testing.services import InMemoryService
from chassis.testing.views import documents
from contracts.access import Grant, MachineChanged, UserEdited, UserState
from contracts.customers import (
    CUSTOMER,
    CreateCustomer,
    CustomerCameFromLead,
    LeadTakenOver,
    SetCustomerSettings,
    TakeOverLead,
)
from contracts.declare import REGISTRY
from contracts.errors import Refused
from contracts.leads import (
    ConvertLead,
    Lead,
    LeadConversionBegun,
    LeadConversionRefused,
    LeadConverted,
    RecycleLeads,
    RecyclingRule,
)
from contracts.people import Person
from contracts.permissions import DataScope
from contracts.records import kind_of
from contracts.schemas import decode, encode, load
from contracts.statuses import Statuses, Step
from services.conversion.saga import SAGA
from services.conversion.verification import CUSTOMERS as ONE_CUSTOMER_A_LEAD
from services.leads.domain import RIGHTS

know_everything()
SERVICES = {service.name: service for service in Catalogue.read().services()}
VIEWS = {view.name: view for view in Catalogue.read().views()}
LEAD = kind_of(Lead)
ZHOU = user("zhou", "SAL", superior=SUPERVISOR)
PHONE = "13800000001"
FILLED: dict[str, Any] = {
    "name": "李雷",
    "company": "山海贸易",
    "phone": PHONE,
    "email": "li@example.com",
    "source": "WEBSITE",
    "industry": "RETAIL",
    "need": "二十台",
}


def person(by: Principal) -> Person:
    return Person(user_id=by.user_id, name=by.name)


class Firm:
    """Both services, and the saga, which hears of what they tell when it is told to."""

    def __init__(self) -> None:
        self.kits = {name: InMemoryService(SERVICES[name]) for name in ("leads", "customers")}
        self.leads, self.customers = self.kits["leads"], self.kits["customers"]
        self.processes: dict[UUID, Process] = {}
        for kit in self.kits.values():
            for by in (ADMIN, SALES, SUPERVISOR, ZHOU, MANAGER, WAREHOUSE):
                kit.known(by)

    def enter(self, by: Principal = SALES, **more: Any) -> UUID:
        id = uuid4()
        self.leads.do(load(LEAD.create, {**FILLED, "lead_id": str(id), **more}), by)
        return id

    def convert(self, id: UUID, by: Principal = SALES, **more: Any) -> None:
        self.leads.do(load(ConvertLead, {"lead_id": str(id), **more}), by)

    def converted(self, id: UUID, by: Principal = SALES, **more: Any) -> Any:
        """The end of a conversion: that the lead is a customer, or why it is none."""
        self.convert(id, by, **more)
        self.settle()
        return self.leads.stream(id)[-1]

    def settle(self, times: int = 1) -> None:
        """Until nobody has anything left to say; each message comes so often."""
        while facts := [fact for kit in self.kits.values() for fact in kit.new_facts()]:
            for fact in [fact for fact in facts if type(fact) in SAGA.facts() for _ in range(times)]:
                for command in self.sent(decode(type(fact), encode(fact))):
                    for _ in range(times):
                        self.carry_out(command)

    def sent(self, fact: Any) -> Iterator[CommandSent]:
        """What the saga sends on hearing of something."""
        process = self.processes.setdefault(fact.lead_id, Process(id=fact.lead_id))
        SAGA.react(process, fact)
        pending = [*process.pending]
        process.pending.clear()
        return (one for one in pending if isinstance(one, CommandSent))

    def carry_out(self, sent: CommandSent) -> None:
        """A repeat of what was remembered and forgotten since: no key tells it."""
        kit = self.kits[sent.service]
        kit.do(decode(REGISTRY.commands[sent.command].cls, sent.body), replace(SYSTEM, organisation=kit.directory))

    def shown(self, view: str) -> dict[str, dict[str, Any]]:
        """The rows of a view, by their ids."""
        facts = [fact for kit in self.kits.values() for fact in kit.facts() if type(fact) in VIEWS[view].handlers]
        return documents(VIEWS[view], facts)

    def rows(self, view: str) -> list[dict[str, Any]]:
        return list(self.shown(view).values())

    def lead(self, id: UUID) -> dict[str, Any]:
        return self.shown("leads")[str(id)]

    def places(self, kit: str, by: Principal) -> int:
        assert by.user_id is not None
        kind = LEAD if kit == "leads" else CUSTOMER
        found = self.kits[kit].store.load(Places, places_id(kind, by.user_id))
        return found.owned if found else 0


@pytest.fixture
def firm() -> Firm:
    return Firm()


class LateFirm(Firm):
    """Each command that was carried out comes again after every other one, when its result was forgotten (ADR 0032)."""

    def __init__(self) -> None:
        super().__init__()
        self.carried_out: list[CommandSent] = []

    def carry_out(self, sent: CommandSent) -> None:
        super().carry_out(sent)
        self.carried_out.append(sent)
        before = [kit.store.last_position() for kit in self.kits.values()]
        for late in self.carried_out:
            super().carry_out(late)
            assert [kit.store.last_position() for kit in self.kits.values()] == before, f"{late.command} was done twice"


def test_what_comes_late_of_a_conversion_does_nothing() -> None:
    firm = LateFirm()
    assert isinstance(firm.converted(firm.enter()), LeadConverted)
    assert isinstance(firm.converted(firm.enter()), LeadConversionRefused), "the customer has its number"
    assert {REGISTRY.commands[sent.command].cls for sent in firm.carried_out} == SAGA.sends()


# -- what it becomes


@pytest.mark.parametrize("times", [1, 2])
def test_acc_29_led_09_a_lead_becomes_one_customer_with_one_contact_however_often_messages_come(
    firm: Firm, times: int
) -> None:
    id = firm.enter()
    firm.convert(id)
    firm.settle(times)
    [customer], [contact] = firm.rows("customers"), firm.rows("contacts")
    told: dict[str, Any] = {
        "name": "李雷",
        "mobile": PHONE,
        "company": "山海贸易",
        "contact_person": "李雷",
        "industry": "RETAIL",
    }
    told |= {"source": "WEBSITE", "need": "二十台", "lead_id": str(id), "created_by": SALES.name}
    told |= {"owner_id": str(SALES.user_id), "owner_name": SALES.name}
    assert {name: customer[name] for name in told} == told
    told = {"name": "李雷", "phone": PHONE, "mobile": PHONE, "email": "li@example.com", "is_main": True}
    told |= {"lead_id": str(id), "customer_id": firm.lead(id)["customer_id"], "created_by": SALES.name}
    assert {name: contact[name] for name in told} == told
    *_, status_set, converted = firm.leads.stream(id)
    assert (status_set.before, status_set.status) == ("OWNED", "CONVERTED")
    assert (type(converted), converted.by) == (LeadConverted, person(SALES))
    assert firm.processes[id].step == ""
    assert [type(fact) for fact in firm.customers.facts()].count(CustomerCameFromLead) == 1


def test_led_05_a_converted_lead_takes_no_place_and_the_customer_does(firm: Firm) -> None:
    id = firm.enter()
    assert (firm.places("leads", SALES), firm.places("customers", SALES)) == (1, 0)
    firm.converted(id)
    assert (firm.places("leads", SALES), firm.places("customers", SALES)) == (0, 1)


def test_led_09_what_is_told_at_conversion_stands_in_the_customer(firm: Firm) -> None:
    more: dict[str, Any] = {
        "mobile": "13800000002",
        "region": "华东",
        "importance": "HIGH",
        "address": "人民路 1 号",
        "need": "三十台",
    }
    firm.converted(firm.enter(), **more)
    [customer], [contact] = firm.rows("customers"), firm.rows("contacts")
    assert {name: customer[name] for name in more} == more
    assert (contact["mobile"], contact["phone"]) == ("13800000002", PHONE)


def test_acc_29_led_10_owner_and_customer_name_are_told_and_not_changed(firm: Firm) -> None:
    id = firm.enter()
    for field, value in (("owner_id", str(ZHOU.user_id)), ("owner_id", None), ("customer_name", "韩梅梅")):
        firm.leads.assert_refused(
            "VALIDATION", load(ConvertLead, {"lead_id": str(id), field: value}), by=SALES, field=field
        )
    end = firm.converted(id, owner_id=str(SALES.user_id), customer_name="李雷")
    assert isinstance(end, LeadConverted)


def test_acc_29_led_10_an_opportunity_needs_a_name_and_there_are_none_yet(firm: Firm) -> None:
    id = firm.enter()
    for name, code, field in (("", "VALIDATION", "opportunity_name"), (" ", "VALIDATION", "opportunity_name"),
                              ("二十台", "INVALID_STATE", "create_opportunity")):  # fmt: skip
        asked = load(ConvertLead, {"lead_id": str(id), "create_opportunity": True, "opportunity_name": name})
        firm.leads.assert_refused(code, asked, by=SALES, field=field)
    assert firm.lead(id)["status"] == "OWNED"


def test_acc_30_led_10_without_an_opportunity_its_name_is_dropped(firm: Firm) -> None:
    id = firm.enter()
    firm.converted(id, create_opportunity=False, opportunity_name="首单")
    assert "首单" not in repr([*firm.leads.facts(), *firm.customers.facts()])
    assert len(firm.rows("customers")) == len(firm.rows("contacts")) == 1


# -- what is left of it


def commands_on(id: UUID) -> Iterator[Any]:
    """Every command that there is of a lead."""
    more = {
        "owner_id": ZHOU.user_id, "with_id": ZHOU.user_id, "version": 1, "status": "INVALID", "reason": "不再需要",
        "name": "韩梅梅", "among": (ZHOU.user_id,), "pool_id": None,
    }  # fmt: skip
    for cls in (*LEAD.commands, ConvertLead):
        if cls is not LEAD.create:
            named = {one.name: more[one.name] for one in fields(cls) if one.name in more and cls is not ConvertLead}
            yield cls(lead_id=id, **named)


@pytest.mark.parametrize("command", [*commands_on(uuid4())], ids=lambda command: type(command).__name__)
def test_acc_31_led_11_a_converted_lead_takes_no_command(firm: Firm, command: Any) -> None:
    id = firm.enter()
    firm.converted(id)
    refusal = firm.leads.assert_refused("LEAD_CONVERTED", replace(command, lead_id=id), by=ADMIN, field="lead_id")
    assert (refusal.state, refusal.why.reason) == ("CONVERTED", "leads.converted")


@pytest.mark.parametrize("command", [*commands_on(uuid4())], ids=lambda command: type(command).__name__)
def test_led_09_nothing_happens_to_a_lead_that_is_being_converted(firm: Firm, command: Any) -> None:
    """Of two who convert it at once one wins, the other is told so."""
    id = firm.enter()
    firm.convert(id)
    refusal = firm.leads.assert_refused("LEAD_CONVERTED", replace(command, lead_id=id), by=ADMIN, field="lead_id")
    assert (refusal.state, firm.lead(id)["conversion"]) == ("CONVERTING", "RUNNING")
    firm.settle()
    assert firm.lead(id)["status"] == "CONVERTED"


def test_led_06_a_lead_that_is_being_converted_does_not_go_back_to_its_pool(firm: Firm) -> None:
    id, rule = firm.enter(), kind_of(RecyclingRule)
    firm.convert(id)
    data = RecyclingRule(name="三十天", target="LEADS", idle_days=30)
    firm.leads.learn(rule.created(recycling_rule_id=uuid4(), data=data), *firm.leads.stream(id)[:1])
    firm.leads.pass_time(days=60)
    assert firm.leads.do(RecycleLeads()).body["done"] == 0
    firm.settle()
    assert firm.leads.do(RecycleLeads()).body["done"] == 0
    assert firm.lead(id)["owner_id"] == str(SALES.user_id)


def test_acc_31_led_11_its_page_tells_what_it_is_now_and_its_list_has_it_no_more(firm: Firm) -> None:
    id, other = firm.enter(), firm.enter(phone="13800000003")
    firm.converted(id)
    view, row = VIEWS["leads"], firm.lead(id)
    assert view.still_open == {"status": {"$ne": "CONVERTED"}}
    with pytest.raises(Refused) as refused:
        view.require_open(row)
    assert refused.value.code == "LEAD_CONVERTED" and row["customer_id"] in refused.value.message
    view.require_open(firm.lead(other))


def test_acc_31_rpt_19_the_report_lists_it_with_the_customer_that_it_became(firm: Firm) -> None:
    id, open, pooled = firm.enter(), firm.enter(phone=None), firm.enter(phone=None, owner_id=None)
    firm.converted(id)
    rows = firm.shown("lead_report")
    assert {key: row["status"] for key, row in rows.items()} == {
        str(id): "CONVERTED", str(open): "OWNED", str(pooled): "POOL",
    }  # fmt: skip
    row = rows[str(id)]
    [customer] = firm.shown("customers")
    assert (row["customer_id"], row["converted_on"]) == (customer, str(firm.leads.today))
    assert (row["source"], row["owner_name"], row["converted_by"]) == ("WEBSITE", SALES.name, SALES.name)
    assert rows[str(open)]["customer_id"] is None


def test_led_01_a_lead_that_is_a_customer_keeps_no_pool_from_being_deleted(firm: Firm) -> None:
    pool, id = uuid4(), firm.enter()
    assert LEAD.pools is not None
    firm.leads.do(LEAD.pools.create(lead_pool_id=pool, name="fair"))
    firm.leads.do(LEAD.move(lead_id=id, pool_id=pool))
    firm.leads.assert_refused("INVALID_STATE", LEAD.pools.delete(lead_pool_id=pool), field="lead_pool_id")
    firm.converted(id)
    firm.leads.do(LEAD.pools.delete(lead_pool_id=pool))


# -- what can't become one


def test_led_09_a_number_that_another_customer_has_leaves_the_lead_as_it_was_and_tells_why(firm: Firm) -> None:
    taken = uuid4()
    firm.customers.do(CreateCustomer(customer_id=taken, name="Acme", mobile=PHONE, industry="IT"), SALES)
    id = firm.enter()
    end = firm.converted(id)
    assert (type(end), end.code, end.refused_for) == (LeadConversionRefused, "DUPLICATE", "records.taken")
    row = firm.lead(id)
    assert (row["status"], row["conversion"], row["customer_id"]) == ("OWNED", "REFUSED", None)
    refusal = VIEWS["leads"].computed["conversion_refusal"]
    seen = {**row, NAMED: {"refused_holder": {str(taken): "Acme"}}}
    assert refusal({**seen, LANGUAGE: "zh"}) == f"手机号“{PHONE}”已被其他记录使用（{taken}），请换一个。"
    assert PHONE in refusal({**seen, LANGUAGE: "en"})
    told = refusal({**row, LANGUAGE: "zh", NAMED: {"refused_holder": {}}})
    assert told == f"手机号“{PHONE}”已被其他记录使用，该记录不在您的权限范围内，请换一个。", (
        "who may not see it (SEC-18)"
    )
    assert [row["name"] for row in firm.rows("customers")] == ["Acme"] and not firm.rows("contacts")
    firm.leads.do(LEAD.edit(lead_id=id, phone="13800000009"), SALES)
    assert isinstance(firm.converted(id), LeadConverted)
    assert (firm.lead(id)["conversion"], refusal({**firm.lead(id), LANGUAGE: "zh"})) == (None, "")


def test_led_09_who_may_not_see_the_customer_that_has_the_number_is_not_told_which_it_is(firm: Firm) -> None:
    taken = uuid4()
    firm.customers.do(CreateCustomer(customer_id=taken, name="Acme", mobile=PHONE, industry="IT"), ZHOU)
    end = firm.converted(firm.enter())
    assert (end.code, end.refused_for) == ("DUPLICATE", "records.taken_unseen") and str(taken) not in end.params


@pytest.mark.parametrize("times", [1, 2])
def test_led_09_what_the_company_wants_filled_is_asked_and_can_be_given(firm: Firm, times: int) -> None:
    firm.customers.do(SetCustomerSettings(required=("name", "mobile", "region")))
    id = firm.enter(phone=None)
    firm.convert(id)
    firm.settle(times)
    end = firm.leads.stream(id)[-1]
    assert (end.code, json.loads(end.params)["fields"]) == ("VALIDATION", ["mobile", "region"])
    assert not firm.rows("customers") and firm.places("customers", SALES) == 0
    firm.convert(id, mobile=PHONE, region="华东")
    firm.settle(times)
    assert isinstance(firm.leads.stream(id)[-1], LeadConverted)
    assert len(firm.rows("customers")) == len(firm.rows("contacts")) == 1


def test_led_09_a_late_answer_of_an_earlier_round_changes_nothing(firm: Firm) -> None:
    firm.customers.do(SetCustomerSettings(required=("region",)))
    id = firm.enter()
    firm.convert(id)
    [begun] = [fact for fact in firm.leads.stream(id) if isinstance(fact, LeadConversionBegun)]
    firm.settle()
    firm.convert(id, region="华东")
    old = TakeOverLead(**{one.name: getattr(begun, one.name) for one in fields(TakeOverLead)})
    firm.customers.do(old, replace(SYSTEM, organisation=firm.customers.directory))
    assert not firm.rows("customers")
    firm.settle()
    firm.customers.do(old, replace(SYSTEM, organisation=firm.customers.directory))
    assert firm.lead(id)["status"] == "CONVERTED" and len(firm.rows("customers")) == 1


# -- who may


def test_led_09_only_whose_lead_it_is_converts_it_who_leads_them_and_who_sees_all(firm: Firm) -> None:
    for by in (SALES, SUPERVISOR, ADMIN):
        id = firm.enter(phone=None, company=f"山海 {by.name}")
        end = firm.converted(id, by, mobile=f"1380000{uuid4().int % 10000:04}")
        assert isinstance(end, LeadConverted) and end.by == person(by)
        assert firm.rows("customers")[-1]["owner_name"] == SALES.name
    id = firm.enter()
    firm.leads.assert_refused("FORBIDDEN", ConvertLead(lead_id=id), by=ZHOU, field="lead_id")
    firm.leads.do(LEAD.share(lead_id=id, with_id=ZHOU.user_id, access="EDIT"), SALES)
    firm.leads.assert_refused("FORBIDDEN", ConvertLead(lead_id=id), by=ZHOU, field="lead_id")


def test_led_09_who_may_not_enter_customers_converts_no_lead(firm: Firm) -> None:
    edits_leads: dict[str, frozenset[DataScope]] = {"leads.edit": frozenset({"OWN"}), "leads.view": frozenset({"OWN"})}
    id = firm.enter()
    by = replace(firm.leads.known(SALES), scopes=edits_leads)
    request = firm.leads.request(ConvertLead(lead_id=id), SALES)
    request = replace(request, context=by.context(firm.leads.now, firm.leads.today, "leads.edit"))
    firm.leads.writer.execute([request])
    refusal = request.future.exception(timeout=0)
    assert isinstance(refusal, Refused) and (refusal.code, refusal.state) == ("FORBIDDEN", "customers.edit")


def test_led_09_a_program_that_nobody_answers_for_is_told_so_and_begins_no_conversion(firm: Firm) -> None:
    """The customer is entered by the rights of who answers for it; before, such a conversion always came to nothing."""
    program = Principal(uuid4(), "ERP", frozenset(), machine=True, epoch=1)
    id_of_program = program.user_id
    assert id_of_program
    grants = tuple(Grant(right=right, scope="ALL") for right in ("leads.edit", "leads.view", *RIGHTS))

    def answered_for(by: UUID | None, revision: int) -> None:
        told = MachineChanged(
            machine_id=id_of_program, name="ERP", grants=grants, epoch=1, active=True, responsible_id=by,
            revision=revision,
        )  # fmt: skip
        for kit in firm.kits.values():
            kit.directory.tell([told])

    answered_for(None, 1)
    id = firm.enter()
    refusal = firm.leads.assert_refused("FORBIDDEN", ConvertLead(lead_id=id), by=program, field="lead_id")
    assert refusal.why.reason == "leads.nobody_responsible" and firm.lead(id)["conversion"] is None
    answered_for(WAREHOUSE.user_id, 2)
    refusal = firm.leads.assert_refused("FORBIDDEN", ConvertLead(lead_id=id), by=program)
    assert refusal.state == "customers.edit", "who answers for it may enter none"
    answered_for(SALES.user_id, 3)
    assert isinstance(firm.converted(id, program), LeadConverted)


def test_led_09_who_has_lost_the_right_meanwhile_enters_no_customer(firm: Firm) -> None:
    id = firm.enter()
    firm.convert(id)
    firm.customers.known(replace(SALES, roles=frozenset({"WHS"})))
    firm.settle()
    end = firm.leads.stream(id)[-1]
    assert (type(end), end.code) == (LeadConversionRefused, "FORBIDDEN")
    assert firm.lead(id)["status"] == "OWNED" and not firm.rows("customers")


def test_led_09_who_took_over_converts_what_was_left_to_them_and_has_the_customer(firm: Firm) -> None:
    id = firm.enter(by=ZHOU)
    state = UserState(login="zhou", name="zhou", status="DELETED", successor_id=SALES.user_id, revision=100)
    assert ZHOU.user_id
    for kit in firm.kits.values():
        kit.directory.tell([UserEdited(user_id=ZHOU.user_id, user=state)])
    assert type(firm.converted(id, SALES)) is LeadConverted
    [customer] = firm.rows("customers")
    assert customer["owner_id"] == str(SALES.user_id)


def test_led_09_a_lead_of_nobody_or_that_is_invalid_is_not_converted(firm: Firm) -> None:
    pooled, invalid = firm.enter(owner_id=None), firm.enter()
    refusal = firm.leads.assert_refused("INVALID_STATE", ConvertLead(lead_id=pooled), field="lead_id")
    assert (refusal.state, refusal.why.reason) == ("POOL", "leads.claim_first")
    firm.leads.do(LEAD.set_status(lead_id=invalid, status="INVALID", reason="不再需要"), SALES)
    refusal = firm.leads.assert_refused("INVALID_STATE", ConvertLead(lead_id=invalid), by=SALES, field="lead_id")
    assert (refusal.state, refusal.why.reason) == ("INVALID", "leads.take_up_first")
    deleted = firm.enter()
    firm.leads.do(LEAD.delete(lead_id=deleted), SALES)
    firm.leads.assert_refused("NOT_FOUND", ConvertLead(lead_id=deleted), by=SALES, field="lead_id")


def test_cpl_01_who_is_erased_meanwhile_becomes_no_customer(firm: Firm) -> None:
    kept = MemoryKeys()
    keys = KeyRing(lambda: kept)
    with holding(keys):
        id = firm.enter()
        firm.convert(id)
        assert keys.destroy(id)
        firm.settle()
        end = firm.leads.stream(id)[-1]
        assert (type(end), end.code, end.params) == (LeadConversionRefused, "NOT_FOUND", "")
        assert not firm.rows("customers") and firm.lead(id)["status"] == "OWNED"


# -- what is verified


def test_led_09_verify_finds_two_customers_of_one_lead_and_one_that_the_lead_does_not_know_of(firm: Firm) -> None:
    id = firm.enter()
    firm.converted(id)

    def found(*facts: Any) -> tuple[str, str]:
        rule, state = ONE_CUSTOMER_A_LEAD, ONE_CUSTOMER_A_LEAD.state()
        for fact in facts:
            if type(fact) in rule.folds and rule.key(fact) == id:
                rule.folds[type(fact)](state, fact)
        return rule.never(state), rule.at_rest(state)

    facts = [fact for kit in firm.kits.values() for fact in kit.facts()]
    assert found(*facts) == ("", "")
    assert found(*facts, CustomerCameFromLead(customer_id=uuid4(), lead_id=id))[0]
    lost = [fact for fact in facts if not isinstance(fact, LeadConverted)]
    assert found(*lost)[0] == "" and found(*lost)[1]
    assert found(*[fact for fact in facts if not isinstance(fact, LeadTakenOver)])[1]


def test_led_14_no_step_leads_to_what_a_record_becomes() -> None:
    with pytest.raises(Exception, match="no step leads to CONVERTED"):
        Statuses("OWNED", Step("CONVERTED", after=("OWNED",)), becomes="CONVERTED")
    assert Statuses("OWNED", Step("INVALID", after=("OWNED",)), becomes="CONVERTED").names[-1] == "CONVERTED"
