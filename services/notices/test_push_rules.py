"""Who is told what by rules that a company makes itself (NTF-02)."""

import json
from collections import Counter
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from chassis.foundation.limits import MAX_RECORDED_AFTER_BYTES
from chassis.model.principal import Principal
from chassis.persons.keys import KeyRing
from chassis.persons.stores import MemoryKeys
from chassis.testing.custom_fields import FIELDS, known
from chassis.testing.keys import holding
from chassis.testing.people import ADMIN, FINANCE, MANAGER, SALES, SUPERVISOR, WAREHOUSE, user
from chassis.testing.records import heard_of
from chassis.testing.services import InMemoryService
from contracts.custom_fields import Held, written
from contracts.customers import Contact, CustomerData
from contracts.errors import Refused
from contracts.inventory import PRODUCT, StockFellLow
from contracts.leads import Lead
from contracts.marketing import Campaign
from contracts.notices import (
    DeliveryPlanned,
    NoticeGiven,
    NoticeTemplate,
    PushRule,
    PushRuleFollowed,
    RuleEvent,
    RuleKind,
)
from contracts.occasions import GROUPS, WAYS
from contracts.people import NOBODY, Preferences
from contracts.records import KINDS, Kind, kind_of
from contracts.types import NoteField
from services.notices import conditions, rules
from services.notices.application import SERVICE
from services.notices.domain.push_rules import MOST_AN_HOUR, Pace, facts_of
from services.notices.rules import RULES_THERE
from services.notices.test_notices import PEOPLE, person, user_told

RULE, TEMPLATE, LEAD, CAMPAIGN = kind_of(PushRule), kind_of(NoticeTemplate), kind_of(Lead), kind_of(Campaign)
CUSTOMER, CONTACT = kind_of(CustomerData), kind_of(Contact)


class Firm:
    """The service with everybody there, its rules, and leads of li of which it hears."""

    def __init__(self) -> None:
        self.kit = InMemoryService(SERVICE)
        for one in PEOPLE:
            self.kit.directory.introduce(one)

    def do(self, command: Any) -> None:
        self.kit.new_facts()
        self.kit.do(command)
        self.kit.learn(*self.kit.new_facts())

    def rule(self, **said: Any) -> UUID:
        """A rule of new leads for sato, but for what is said."""
        id = uuid4()
        about = {"name": "hot leads", "record_kind": "lead", "event": "CREATED", "to_users": (SUPERVISOR.user_id,)}
        self.do(RULE.create(push_rule_id=id, **{**about, **said}))
        return id

    def hear(self, fact: Any, **more: Any) -> dict[str, str]:
        """Whom, by name, and what, once that has happened."""
        self.kit.new_facts()
        self.kit.hear(fact, **more)
        self.facts = self.kit.new_facts()
        names = {one.user_id: one.name for one in PEOPLE}
        return {names[one.receiver_id]: one.text for one in self.facts if isinstance(one, NoticeGiven)}

    @property
    def run(self) -> PushRuleFollowed:
        """What came of the one rule."""
        [found] = [one for one in self.facts if isinstance(one, PushRuleFollowed)]
        return found


def new(kind: Kind, owner: Principal = SALES, **data: Any) -> Any:
    """The event by which others hear of a new record with these values."""
    made = heard_of(kind, uuid4(), owner)
    return replace(made, **kind.layout.told(replace(kind.layout.read(made), **data)))


@pytest.fixture
def firm() -> Firm:
    return Firm()


def asks(field: str, how: str, value: Any = None) -> str:
    return json.dumps({"field": field, "is": how} | ({} if value is None else {"value": value}))


TEXT = "线索“Wu”符合推送规则“hot leads”。"


def test_ntf_02_acc_74_when_its_condition_holds_the_named_receivers_get_the_message(firm: Firm) -> None:
    firm.rule(condition=asks("company", "contains", "acme"))
    fact = new(LEAD, name="Wu", company="ACME Ltd")
    assert firm.hear(fact) == {"sato": TEXT}
    [notice] = [one for one in firm.facts if isinstance(one, NoticeGiven)]
    assert (notice.occasion, notice.title, notice.record_kind) == ("PUSH_RULE", "hot leads", "lead")
    assert (notice.record_id, notice.person_id) == (fact.lead_id, fact.lead_id)
    assert (firm.run.outcome, firm.run.count, firm.run.rule) == ("TOLD", 1, "hot leads")


def test_ntf_02_when_it_does_not_hold_nobody_is_told_and_the_log_says_so(firm: Firm) -> None:
    firm.rule(condition=asks("company", "contains", "acme"))
    assert firm.hear(new(LEAD, company="Pan")) == {}
    assert (firm.run.outcome, firm.run.count) == ("NOT_MET", 0)


def test_ntf_02_an_event_is_told_once_a_rule_and_receiver(firm: Firm) -> None:
    """However often it comes, and by however many ways somebody is named."""
    firm.rule(to_roles=("SUP",), to_superior=True)
    firm.rule(name="all leads")
    fact = new(LEAD)
    firm.hear(fact, id="lead/1")
    assert len([one for one in firm.facts if isinstance(one, NoticeGiven)]) == 2
    assert firm.hear(fact, id="lead/1") == {} and firm.facts == []


@pytest.mark.parametrize(
    ("receivers", "names"),
    [
        ({"to_owner": True}, {"li"}),
        ({"to_superior": True}, {"sato"}),
        ({"to_roles": ("ADM",)}, {"admin"}),
        ({"to_users": (SALES.user_id, ADMIN.user_id)}, {"li", "admin"}),
    ],
)
def test_ntf_02_owner_superior_roles_and_people_are_told(firm: Firm, receivers: Any, names: set[str]) -> None:
    firm.rule(**{"to_users": (), **receivers})
    assert firm.hear(new(LEAD)).keys() == names


def test_ntf_02_who_may_not_see_the_record_is_not_told_and_the_log_says_how_many(firm: Firm) -> None:
    """The warehouse sees no leads, and mei none of li."""
    firm.rule(to_users=(WAREHOUSE.user_id, SUPERVISOR.user_id))
    assert firm.hear(new(LEAD)).keys() == {"sato"}
    assert (firm.run.outcome, firm.run.count, firm.run.unseen) == ("TOLD", 1, 1)
    firm.rule(name="2", event="EDITED", to_users=(WAREHOUSE.user_id,))
    lead = new(LEAD)
    firm.kit.learn(lead)
    assert firm.hear(LEAD.edited(lead_id=lead.lead_id, data=lead.data, changed=("need",))) == {}
    assert (firm.run.outcome, firm.run.unseen) == ("NOT_SEEN", 1)


def test_ntf_02_of_a_field_that_needs_a_right_only_who_holds_it_reads(firm: Firm) -> None:
    """The purchase price."""
    template = uuid4()
    said = {"name": "price", "occasion": "PUSH_RULE", "record_kind": "product", "text_zh": "{record}: {purchase_price}"}
    firm.do(TEMPLATE.create(notice_template_id=template, **said))
    to = (SALES.user_id, FINANCE.user_id)
    firm.rule(record_kind="product", to_users=to, template_id=template)
    fact = new(PRODUCT, name="Kettle")
    told = firm.hear(fact)
    price = fact.prices.purchase
    assert told == {"li": "Kettle: ", "chen": f"Kettle: {price.amount:f} {price.currency}"}


def test_sec_18_whoever_may_not_see_a_field_asks_nothing_of_it_by_a_rule(firm: Firm) -> None:
    """Being told, or not, would tell it."""
    price = asks("purchase_price", "at_least", "1")
    conditions.read(PRODUCT, price, lambda right: right == "products.cost")
    with pytest.raises(Refused, match="purchase_price"):
        conditions.read(PRODUCT, price, lambda right: right != "products.cost")


def test_ntf_02_a_rule_sees_the_record_as_it_is_after_what_has_happened(firm: Firm) -> None:
    firm.rule(event="EDITED", condition=asks("company", "equal", "Acme"))
    lead = new(LEAD, company="Pan")
    firm.hear(lead)
    changed = LEAD.edited(lead_id=lead.lead_id, data=replace(lead.data, company="Acme"), changed=("company",))
    assert firm.hear(changed).keys() == {"sato"}


def test_ntf_02_who_has_a_record_now_is_told_of_its_new_status_and_owner(firm: Firm) -> None:
    firm.rule(event="STATUS_SET", condition=asks("status", "equal", "INVALID"), to_users=(), to_owner=True)
    firm.rule(name="given", event="ASSIGNED", to_users=(), to_owner=True)
    lead = new(LEAD, SUPERVISOR)
    firm.hear(lead)
    id: dict[str, Any] = {"lead_id": lead.lead_id}
    owners = {"owner": person(SALES), "before": person(SUPERVISOR), "by": person(SALES)}
    assert "li" in firm.hear(LEAD.assigned(**id, **owners))
    assert firm.run.outcome == "TOLD"
    assert firm.hear(LEAD.status_set(**id, before="OWNED", status="INVALID")).keys() == {"li"}
    assert firm.hear(LEAD.status_set(**id, before="INVALID", status="OWNED")) == {}


def test_ntf_02_of_what_belongs_to_nobody_no_owner_is_told(firm: Firm) -> None:
    firm.rule(to_users=(), to_owner=True)
    assert firm.hear(replace(new(LEAD), owner=NOBODY, status="POOL")) == {}
    assert firm.run.outcome == "NOBODY"


def test_ntf_02_a_contact_is_seen_by_who_sees_its_customer(firm: Firm) -> None:
    firm.rule(record_kind="contact", to_users=(WAREHOUSE.user_id, SUPERVISOR.user_id), to_owner=True)
    customer = new(CUSTOMER, SALES)
    firm.hear(customer)
    told = firm.hear(new(CONTACT, customer_id=customer.customer_id))
    assert told.keys() == {"li", "sato"}


def test_cus_22_a_contact_of_a_merged_customer_is_told_of_to_whom_the_survivor_belongs(firm: Firm) -> None:
    firm.rule(record_kind="contact", event="EDITED", to_users=(SALES.user_id,), to_owner=True)
    duplicate, between, survivor = new(CUSTOMER, SALES), new(CUSTOMER, SALES), new(CUSTOMER, SUPERVISOR)
    contact = new(CONTACT, customer_id=duplicate.customer_id)
    firm.kit.learn(duplicate, between, survivor, contact)
    edited = CONTACT.edited(contact_id=contact.contact_id, data=CONTACT.layout.read(contact), changed=("title",))
    assert firm.hear(edited).keys() == {"li"}
    by = person(ADMIN)
    into = {duplicate.customer_id: between.customer_id, between.customer_id: survivor.customer_id}
    firm.kit.learn(*(CUSTOMER.merged(customer_id=one, merged_into=other, by=by) for one, other in into.items()))
    assert firm.hear(edited).keys() == {"sato"} and firm.run.unseen == 1
    firm.kit.learn(CUSTOMER.unmerged(customer_id=duplicate.customer_id, was_in=between.customer_id, by=by))
    assert firm.hear(edited).keys() == {"li"}


def test_ntf_02_stock_that_falls_low_is_told_besides_what_is_told_of_it_anyway(firm: Firm) -> None:
    firm.rule(record_kind="product", event="STOCK_LOW", condition=asks("brand", "equal", "Pan"), to_roles=("SAL",))
    product = new(PRODUCT, brand="Pan")
    firm.kit.learn(product)
    told = firm.hear(StockFellLow(product_id=product.product_id, balance=1, alert_quantity=10))
    assert told.keys() == {"wang", "admin", "li", "sato"}


def test_ntf_02_a_rule_that_is_switched_off_or_deleted_tells_nobody(firm: Firm) -> None:
    id = firm.rule()
    firm.do(RULE.edit(push_rule_id=id, active=False))
    assert firm.hear(new(LEAD)) == {} and firm.facts == []
    firm.do(RULE.edit(push_rule_id=id, active=True))
    assert firm.hear(new(LEAD)).keys() == {"sato"}
    firm.do(RULE.delete(push_rule_id=id))
    assert firm.hear(new(LEAD)) == {} and firm.facts == []
    firm.do(RULE.restore(push_rule_id=id))
    assert firm.hear(new(LEAD)).keys() == {"sato"}


# -- what a rule may say


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"condition": "acme"}, "condition"),
        ({"condition": asks("colour", "equal", "red")}, "condition"),
        ({"condition": asks("company", "less", "1")}, "condition"),
        ({"condition": asks("created_at", "less", "2026-01-01")}, "condition"),
        ({"event": "STOCK_LOW"}, "event"),
        ({"to_users": ()}, "to_owner"),
        ({"to_field": "buyer"}, "to_field"),
        ({"record_kind": "survey", "to_owner": True}, "to_owner"),
    ],
)
def test_ntf_02_what_can_not_be_followed_is_refused(firm: Firm, wrong: Any, field: str) -> None:
    about = {"name": "x", "record_kind": "lead", "event": "CREATED", "to_users": (SALES.user_id,)}
    firm.kit.assert_refused("VALIDATION", RULE.create(**{**about, **wrong}), field=field)


@pytest.mark.parametrize("field", ["to_users", "to_departments"])
def test_ntf_02_whom_nobody_has_heard_of_no_rule_names(firm: Firm, field: str) -> None:
    about = {"name": "x", "record_kind": "lead", "event": "CREATED", field: (UUID(int=5),)}
    firm.kit.assert_refused("NOT_FOUND", RULE.create(**about), field=f"{field}.0")


def test_ntf_02_a_role_that_there_is_not_no_rule_names(firm: Firm) -> None:
    """It would tell nobody, for ever, by a slip of the pen."""
    about = {"name": "x", "record_kind": "lead", "event": "CREATED", "to_roles": ("SAL", "SALL")}
    firm.kit.assert_refused("NOT_FOUND", RULE.create(**about), field="to_roles.1")


def test_ntf_02_a_template_for_something_else_is_refused(firm: Firm) -> None:
    template = uuid4()
    firm.do(TEMPLATE.create(notice_template_id=template, name="x", occasion="STOCK_LOW", text_zh="x"))
    about = {"name": "x", "record_kind": "lead", "event": "CREATED", "to_owner": True}
    firm.kit.assert_refused("VALIDATION", RULE.create(**about, template_id=template), field="template_id")


@pytest.mark.parametrize("kind", [one.code for one in KINDS.values() if one.service not in ("notices",)])
def test_ntf_02_every_kind_of_record_can_have_rules_but_those_of_how_salestream_works(kind: str) -> None:
    """A kind that is new is named here, or in RuleKind."""
    of_the_system = ("recycling-rule", "customer-pool", "lead-pool", "task")
    assert kind in RuleKind.__args__ or kind in of_the_system  # type: ignore[attr-defined]


HAPPENS = [(kind, event) for kind in map(kind_of, (Lead, CustomerData, Contact, Campaign)) for event in facts_of(kind)]


@pytest.mark.parametrize(("kind", "event"), HAPPENS, ids=lambda one: getattr(one, "code", one))
def test_ntf_02_whatever_happens_with_a_record_is_told(firm: Firm, kind: Kind, event: RuleEvent) -> None:
    firm.rule(record_kind=kind.code, event=event, to_users=(ADMIN.user_id,))
    customer = new(CUSTOMER)
    record = new(kind, **({"customer_id": customer.customer_id} if kind is CONTACT else {}))
    firm.kit.learn(customer)
    if event != "CREATED":
        firm.kit.learn(record)
    told: dict[str, dict[str, Any]] = {
        "EDITED": {**kind.layout.told(kind.layout.read(record)), "changed": ()},
        "STATUS_SET": {"before": "x", "status": "RUNNING"},
        "ASSIGNED": {"owner": person(MANAGER), "before": person(SALES)},
        "RECYCLING_NEAR": {"owner": person(SALES), "due_on": firm.kit.today, "reason": "x"},
        "DELETED": {},
    }
    made: Any = facts_of(kind)[event]
    fact = record if event == "CREATED" else made(**{kind.key: getattr(record, kind.key)}, **told[event])
    assert "admin" in firm.hear(fact)
    assert firm.run.outcome == "TOLD"


def test_ntf_02_what_was_there_before_is_not_in_the_way_of_other_changes(firm: Firm) -> None:
    template = uuid4()
    about = {"occasion": "PUSH_RULE", "text_zh": "x"}
    firm.do(TEMPLATE.create(notice_template_id=template, name="x", **about))
    id = firm.rule(template_id=template, condition=asks("company", "equal", "Acme"))
    firm.do(TEMPLATE.delete(notice_template_id=template))
    firm.do(RULE.edit(push_rule_id=id, condition=asks("company", "equal", "Pan")))
    refused = RULE.edit(push_rule_id=id, condition=asks("colour", "equal", "red"))
    firm.kit.assert_refused("VALIDATION", refused, field="condition")
    of_leads = uuid4()
    firm.do(TEMPLATE.create(notice_template_id=of_leads, name="y", record_kind="lead", **about))
    firm.do(RULE.edit(push_rule_id=id, template_id=of_leads))
    firm.kit.assert_refused("VALIDATION", RULE.edit(push_rule_id=id, record_kind="customer"), field="template_id")


def test_ntf_02_there_are_so_many_rules_and_no_more(firm: Firm, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever happens with a record is held against all of them."""
    monkeypatch.setattr("services.notices.rules.MOST_RULES", 2)
    first = firm.rule()
    firm.rule(name="2")
    about = {"name": "3", "record_kind": "lead", "event": "CREATED", "to_owner": True}
    firm.kit.assert_refused("INVALID_STATE", RULE.create(**about))
    firm.do(RULE.delete(push_rule_id=first))
    firm.do(RULE.create(**about))
    firm.kit.assert_refused("INVALID_STATE", RULE.restore(push_rule_id=first))


# -- what is gone


def test_ntf_02_a_rule_whose_template_is_gone_tells_the_ready_made_text_and_says_so(firm: Firm) -> None:
    template = uuid4()
    said = {"name": "x", "occasion": "PUSH_RULE", "text_zh": "{record} by {by}", "title_zh": "Look: {record}"}
    firm.do(TEMPLATE.create(notice_template_id=template, **said))
    firm.rule(template_id=template)
    assert firm.hear(replace(new(LEAD, name="Wu"), by=person(SALES))) == {"sato": "Wu by li"}
    assert not firm.run.problems
    firm.do(TEMPLATE.delete(notice_template_id=template))
    assert firm.hear(new(LEAD, name="Wu")) == {"sato": TEXT}
    assert firm.run.problems == ("TEMPLATE_GONE",)


def test_ntf_02_a_rule_that_names_who_has_left_tells_all_others_and_says_so(firm: Firm) -> None:
    firm.rule(to_users=(SALES.user_id, SUPERVISOR.user_id))
    firm.kit.directory.tell([user_told(SALES, status="DELETED")])
    told = firm.hear(new(LEAD, SUPERVISOR))
    assert told.keys() == {"sato"} and firm.run.problems == ("PERSON_GONE",)


def test_ntf_02_who_took_over_from_somebody_is_told_in_their_place(firm: Firm) -> None:
    firm.rule(to_users=(SALES.user_id,))
    firm.kit.directory.tell([user_told(SALES, status="DELETED", successor_id=SUPERVISOR.user_id)])
    assert firm.hear(new(LEAD, SUPERVISOR)).keys() == {"sato"} and firm.run.problems == ()


def test_ntf_02_a_rule_whose_condition_can_be_asked_no_more_is_broken_and_stops_no_other(
    firm: Firm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later release has no such field."""
    broken = firm.rule(condition=asks("company", "equal", "Acme"))
    firm.rule(name="all leads")
    monkeypatch.setattr("services.notices.conditions.asked_of", lambda kind: ["name"])
    assert firm.hear(new(LEAD, company="Acme")).keys() == {"sato"}
    runs = {one.rule: (one.outcome, one.broken) for one in firm.facts if isinstance(one, PushRuleFollowed)}
    assert runs == {"hot leads": ("BROKEN", "conditions.not_of_list"), "all leads": ("TOLD", "")}
    firm.do(RULE.edit(push_rule_id=broken, active=False))


def test_ntf_02_what_happened_long_ago_is_told_to_nobody(firm: Firm) -> None:
    firm.rule()
    fact, long_ago = new(LEAD), firm.kit.now
    firm.kit.pass_time(days=8)
    assert firm.hear(fact, at=long_ago) == {} and firm.facts == []


def test_ntf_02_a_long_text_for_many_is_told_to_nobody_and_holds_up_nothing(firm: Firm) -> None:
    """What can't be recorded at once would be refused, and the event, and all of its record, be set aside."""
    crowd = [user(f"leader {number}", "MGT") for number in range(300)]
    for one in crowd:
        firm.kit.directory.introduce(one)
    template = uuid4()
    about = {"name": "long", "record_kind": "lead", "occasion": "PUSH_RULE"}
    firm.do(TEMPLATE.create(notice_template_id=template, **about, text_zh="{remark}" * 4))
    firm.rule(to_users=(), to_roles=("MGT",), template_id=template)
    firm.rule(name="short", to_users=(ADMIN.user_id,))
    told = firm.hear(new(LEAD, remark="货" * 1000))
    assert told.keys() == {"admin"}
    runs = {one.rule: one.outcome for one in firm.facts if isinstance(one, PushRuleFollowed)}
    assert runs == {"hot leads": "TOO_MANY", "short": "TOLD"}


@pytest.mark.parametrize("length", [190, NoteField.longest])
def test_ntf_02_the_very_most_who_are_told_at_once_fit_one_transaction_and_one_more_is_noted(
    firm: Firm, length: int
) -> None:
    """By all ways: each is a delivery more beside each notice."""
    text, template = "字" * length, uuid4()
    about = {"name": "long", "record_kind": "lead", "occasion": "PUSH_RULE"}
    firm.do(TEMPLATE.create(notice_template_id=template, **about, text_zh=text))
    rule = firm.rule(to_users=(), to_roles=("MGT",), template_id=template, ways=WAYS)
    delivery = rules.DELIVERY_BYTES + 4
    notice = len(f"hot leads{text}".encode()) * 4 / 3 + rules.NOTICE_BYTES + len("li")
    robots = len(GROUPS) * rules.MOST_BY_ROBOT * delivery
    others = len(WAYS) - len(GROUPS)
    most = int((MAX_RECORDED_AFTER_BYTES - rules.RUN_BYTES - robots) / (notice + others * delivery))
    for number in range(most - 1):  # and mei
        firm.kit.directory.introduce(user(f"{number:04}", "MGT"))
    made = replace(new(LEAD), by=person(SALES))

    def outcome() -> PushRuleFollowed:
        firm.kit.new_facts()
        firm.kit.hear(made, id=str(uuid4()))
        firm.facts = firm.kit.new_facts()
        return firm.run

    begins = len(stored(firm))
    assert (outcome().outcome, firm.run.count, firm.run.push_rule_id) == ("TOLD", most, rule)
    size = sum(map(len, stored(firm)[begins:]))
    assert 0.75 * MAX_RECORDED_AFTER_BYTES < size <= MAX_RECORDED_AFTER_BYTES
    firm.kit.directory.introduce(user("one more", "MGT"))
    assert (outcome().outcome, firm.run.count) == ("TOO_MANY", 0)


def stored(firm: Firm) -> list[bytes]:
    return [one.data for one in firm.kit.store.notifications(0, 100_000)]


def test_ntf_03_a_robot_tells_so_many_of_those_whom_a_rule_names_and_no_more(
    firm: Firm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is a message into the group; the others have their other ways."""
    monkeypatch.setattr(rules, "MOST_BY_ROBOT", 1)
    to = (ADMIN.user_id, SALES.user_id, SUPERVISOR.user_id)
    firm.rule(to_users=to, ways=("WECOM", "MAIL"))
    assert len(firm.hear(new(LEAD))) == 3
    ways = Counter(one.way for one in firm.facts if isinstance(one, DeliveryPlanned))
    assert ways == {"MAIL": 3, "WECOM": 1}


def test_cfg_10_a_template_whose_places_are_all_empty_is_told_ready_made(firm: Firm) -> None:
    template = uuid4()
    said = {"occasion": "PUSH_RULE", "record_kind": "lead", "text_zh": "{remark}", "title_zh": "{company} "}
    firm.do(TEMPLATE.create(notice_template_id=template, name="x", **said))
    firm.rule(template_id=template)
    [told] = firm.hear(new(LEAD, remark="", company="")).values()
    assert told.strip()
    [notice] = [one for one in firm.facts if isinstance(one, NoticeGiven)]
    assert notice.title == "hot leads"


def test_ntf_02_a_rule_tells_people_so_often_an_hour_and_no_more(firm: Firm) -> None:
    """An import of thousands is no flood of messages; the log has each."""
    firm.rule()
    for _ in range(MOST_AN_HOUR):
        assert firm.hear(new(LEAD))
    assert firm.hear(new(LEAD)) == {} and firm.run.outcome == "TOO_OFTEN"
    firm.kit.pass_time(hours=1)
    assert firm.hear(new(LEAD)).keys() == {"sato"}


def test_ntf_03_a_rule_says_by_which_ways_unless_one_has_chosen_oneself(firm: Firm) -> None:
    firm.rule(ways=("MAIL",))
    firm.hear(new(LEAD))
    assert [one.way for one in firm.facts if isinstance(one, DeliveryPlanned)] == ["MAIL"]


def test_set_02_what_is_told_is_in_the_language_of_who_reads_it(firm: Firm) -> None:
    template = uuid4()
    said = {"name": "x", "occasion": "PUSH_RULE", "record_kind": "lead", "text_en": "{kind} {record} is {status}"}
    firm.do(TEMPLATE.create(notice_template_id=template, **said))
    firm.rule(template_id=template)
    firm.kit.directory.tell([user_told(SUPERVISOR, roles=("SUP",), preferences=Preferences(language="en"))])
    assert firm.hear(new(LEAD, name="Wu")) == {"sato": "lead Wu is Owned"}


def test_cpl_01_of_whom_was_erased_a_rule_tells_nothing_but_that_there_was_something(firm: Firm) -> None:
    kept = MemoryKeys()
    keys = KeyRing(lambda: kept)
    with holding(keys):
        firm.rule(event="ASSIGNED")
        lead = new(LEAD, name="Wang Wu")
        firm.kit.learn(lead)
        assert keys.destroy(lead.lead_id)
        told = firm.hear(LEAD.assigned(lead_id=lead.lead_id, owner=person(SALES), before=NOBODY))
        assert all("Wang Wu" not in text for text in told.values())
        assert all("Wang Wu" not in str(one) for one in firm.facts)


def test_ntf_02_who_stands_in_a_field_of_the_company_s_is_told_while_there_is_the_field(firm: Firm) -> None:
    fields = firm.kit.directory.company.custom_fields
    guide = next(one for one in FIELDS if one.key == "guide")
    for row in known("lead", guide):
        fields.take(row)
    firm.rule(to_users=(), to_field="guide")
    own = written({"guide": Held("person", str(SUPERVISOR.user_id))})
    assert firm.hear(new(LEAD, own=own)).keys() == {"sato"}
    assert firm.hear(new(LEAD, own="")) == {} and firm.run.outcome == "NOBODY"
    for row in known("lead", replace(guide, retired=True), revision=2):
        fields.take(row)
    firm.hear(new(LEAD, own=own))
    assert firm.run.problems == ("FIELD_GONE",)


def test_ntf_02_of_many_rules_at_once_no_more_are_entered_than_there_may_be(
    firm: Firm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service has heard of none of them yet."""
    monkeypatch.setattr("services.notices.rules.MOST_RULES", 3)
    firm.rule()
    ids = [uuid4() for _ in range(4)]
    about = {"record_kind": "lead", "event": "CREATED", "to_owner": True}
    many = [RULE.create(push_rule_id=id, name=f"rule {id}", **about) for id in ids]
    requests = [firm.kit.request(one) for one in many]
    firm.kit.writer.execute(requests)
    failed = [request.future.exception(timeout=0) for request in requests]
    assert [one is None for one in failed] == [True, True, False, False]
    firm.kit.do(RULE.delete(push_rule_id=ids[0]))
    firm.kit.do(many[3])
    firm.kit.assert_refused("INVALID_STATE", RULE.restore(push_rule_id=ids[0]))


def test_ntf_02_a_rule_that_is_there_is_not_counted_again_when_it_is_restored(
    firm: Firm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.notices.rules.MOST_RULES", 2)
    id = firm.rule()
    for _ in range(3):
        firm.kit.do(RULE.restore(push_rule_id=id))
    about = {"record_kind": "lead", "event": "CREATED", "to_owner": True}
    firm.kit.do(RULE.create(name="another", **about))
    firm.kit.assert_refused("INVALID_STATE", RULE.create(name="one too many", **about))


def test_ntf_02_rules_that_are_heard_of_after_counting_began_count_too(
    firm: Firm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an upgrade the service hears anew of all rules there are, and enters others meanwhile."""
    monkeypatch.setattr("services.notices.rules.MOST_RULES", 3)
    about = {"record_kind": "lead", "event": "CREATED", "to_owner": True}
    other = Firm()
    for name in "ab":
        other.kit.do(RULE.create(name=name, **about))
    firm.kit.do(RULE.create(name="c", **about))
    firm.kit.learn(*[fact for one in (other, firm) for fact in one.kit.new_facts() if isinstance(fact, RULE.created)])
    firm.kit.assert_refused("INVALID_STATE", RULE.create(name="d", **about))


def test_ntf_02_rules_that_were_there_before_they_were_counted_count(
    firm: Firm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.notices.rules.MOST_RULES", 1)
    other = Firm()
    other.kit.do(RULE.create(name="x", record_kind="lead", event="CREATED", to_owner=True))
    firm.kit.learn(*[fact for fact in other.kit.new_facts() if isinstance(fact, RULE.created)])
    firm.kit.assert_refused("INVALID_STATE", RULE.create(name="y", record_kind="lead", event="CREATED", to_owner=True))


def test_ntf_02_rules_that_were_deleted_are_kept_by_themselves(firm: Firm) -> None:
    """What each event is held against does not grow with them, and who brings one back has it followed as it was."""
    kept = firm.rule(name="kept")
    [size] = map(len, firm.kit.store.rows(RULES_THERE.name))
    deleted = [firm.rule(name=f"rule {number}", event="EDITED") for number in range(5)]
    for id in deleted:
        firm.do(RULE.delete(push_rule_id=id))
    assert [*map(len, firm.kit.store.rows(RULES_THERE.name))] == [size]
    firm.do(RULE.restore(push_rule_id=deleted[0]))
    lead = new(LEAD)
    firm.hear(lead)
    assert firm.run.push_rule_id == kept
    firm.hear(LEAD.edited(lead_id=lead.lead_id, data=lead.data, changed=("need",)))
    assert firm.run.push_rule_id == deleted[0]


def test_ntf_02_a_rule_tells_so_many_people_an_hour_and_no_more(firm: Firm, monkeypatch: pytest.MonkeyPatch) -> None:
    """But at least once: else one that names many would tell nobody ever."""
    monkeypatch.setattr("services.notices.domain.push_rules.MOST_TOLD_AN_HOUR", 3)
    firm.rule(to_users=(SUPERVISOR.user_id, ADMIN.user_id))
    assert len(firm.hear(new(LEAD))) == 2
    assert firm.hear(new(LEAD)) == {} and firm.run.outcome == "TOO_OFTEN"
    monkeypatch.setattr("services.notices.domain.push_rules.MOST_TOLD_AN_HOUR", 1)
    firm.kit.pass_time(hours=1)
    assert len(firm.hear(new(LEAD))) == 2
    assert firm.hear(new(LEAD)) == {}


def test_ntf_02_what_tells_nobody_is_noted_so_often_an_hour_and_no_more(firm: Firm) -> None:
    """An import of thousands that no rule means is no flood of records; the last one noted says so."""
    firm.rule(condition=asks("company", "equal", "Acme"))
    noted: list[bool] = []
    for _ in range(MOST_AN_HOUR):
        firm.hear(new(LEAD, company="Pan"))
        noted.append(firm.run.last_noted)
    assert noted == [False] * (MOST_AN_HOUR - 1) + [True]
    firm.hear(new(LEAD, company="Pan"))
    assert firm.facts == []
    assert firm.hear(new(LEAD, company="Acme")).keys() == {"sato"}, "of what is met people are told"
    firm.kit.pass_time(hours=1)
    firm.hear(new(LEAD, company="Pan"))
    assert (firm.run.outcome, firm.run.last_noted) == ("NOT_MET", False)


def test_ntf_02_how_often_a_rule_told_people_is_read_from_a_snapshot_too(firm: Firm) -> None:
    rule = firm.rule()
    for _ in range(MOST_AN_HOUR + 1):
        firm.hear(new(LEAD))
    held = firm.kit.store.load(Pace, Pace.id_of(rule))
    assert held and held.counts == {"TOLD": MOST_AN_HOUR, "TOO_OFTEN": 1} and held.told == MOST_AN_HOUR
    assert Pace.id_of(rule) in {one.aggregate_id for one in firm.kit.store.snapshots_after(None, 10)}
