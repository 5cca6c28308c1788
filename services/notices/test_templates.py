"""What people are told in the company's own words (CFG-10)."""

from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from chassis.testing.people import ADMIN, SALES, WAREHOUSE
from chassis.testing.services import InMemoryService
from contracts.languages import LANGUAGES
from contracts.notices import NoticeGiven, NoticeTemplate
from contracts.occasions import OCCASIONS, RULE_OCCASION, places, sentence
from contracts.orders import OrderHeld
from contracts.people import Person, Preferences
from contracts.records import kind_of
from services.notices.application import SERVICE
from services.notices.test_notices import user_told

KIND = kind_of(NoticeTemplate)
HELD = OrderHeld(
    order_id=uuid4(),
    round=1,
    attempt=1,
    reason="INSUFFICIENT_STOCK",
    number="SO-7",
    owner=Person(user_id=SALES.user_id, name="li"),
)


@pytest.fixture
def kit() -> InMemoryService:
    made = InMemoryService(SERVICE)
    for one in (ADMIN, SALES, WAREHOUSE):
        made.directory.introduce(one)
    return made


def enter(kit: InMemoryService, name: str = "ours", **said: Any) -> UUID:
    """A template for orders on hold; the service's replicas hear of it."""
    id = uuid4()
    do(kit, KIND.create(notice_template_id=id, **{"name": name, "occasion": "ORDER_ON_HOLD", **said}))
    return id


def do(kit: InMemoryService, command: Any) -> None:
    kit.new_facts()
    kit.do(command)
    kit.learn(*kit.new_facts())


def told(kit: InMemoryService, fact: OrderHeld = HELD) -> tuple[str, str]:
    """Title and text that li reads of the order."""
    kit.new_facts()
    kit.hear(fact)
    [notice] = [one for one in kit.new_facts() if isinstance(one, NoticeGiven) and one.receiver_id == SALES.user_id]
    return notice.title, notice.text


READY = ("订单挂起", "订单 SO-7 因库存不足已挂起。补货后请重试，或取消订单。")


def test_cfg_10_a_template_stands_in_place_of_the_ready_made_text_and_its_places_are_filled_in(
    kit: InMemoryService,
) -> None:
    enter(kit, title_zh="缺货 {number}", text_zh="{number}：请联系仓库。")
    assert told(kit) == ("缺货 SO-7", "SO-7：请联系仓库。")


def test_cfg_10_a_language_of_which_a_template_says_nothing_has_the_ready_made_text(kit: InMemoryService) -> None:
    enter(kit, text_en="Call the warehouse about {number}.")
    assert told(kit) == READY
    kit.directory.tell([user_told(SALES, preferences=Preferences(language="en"))])
    assert told(kit) == ("Order on hold", "Call the warehouse about SO-7.")


def test_cfg_10_a_template_that_was_deleted_is_told_no_more_until_it_is_restored(kit: InMemoryService) -> None:
    id = enter(kit, text_zh="请联系仓库。")
    do(kit, KIND.delete(notice_template_id=id))
    assert told(kit) == READY
    do(kit, KIND.restore(notice_template_id=id))
    assert told(kit)[1] == "请联系仓库。"
    do(kit, KIND.edit(notice_template_id=id, text_zh="请补货。"))
    assert told(kit)[1] == "请补货。"


def test_cfg_10_of_several_templates_of_an_occasion_the_first_by_name_holds(kit: InMemoryService) -> None:
    enter(kit, "b", text_zh="二")
    enter(kit, "A", text_zh="一")
    enter(kit, "c", text_zh="三")
    assert told(kit)[1] == "一"


@pytest.mark.parametrize("field", ["title_zh", "text_ja", "text_en"])
def test_cfg_10_a_place_that_there_is_not_is_refused_with_those_that_there_are(
    kit: InMemoryService, field: str
) -> None:
    command = KIND.create(name="x", occasion="ORDER_ON_HOLD", **{field: "Order {numbre}"})
    refusal = kit.assert_refused("VALIDATION", command, field=field)
    assert refusal.why.params["names"] == ["kind", "number"]


@pytest.mark.parametrize(
    "text", ["Order {number", "Order number}", "Order {{number}}", "{ number }", "订单｛number｝", "{}"]
)
def test_cfg_10_a_place_that_is_written_wrongly_is_refused(kit: InMemoryService, text: str) -> None:
    """People would read the braces."""
    kit.assert_refused("VALIDATION", KIND.create(name="x", occasion="ORDER_ON_HOLD", text_zh=text), field="text_zh")


def test_cfg_10_a_template_for_another_occasion_is_asked_anew_for_its_places(kit: InMemoryService) -> None:
    id = enter(kit, text_zh="{number}")
    command = KIND.edit(notice_template_id=id, occasion="STOCK_LOW")
    kit.assert_refused("VALIDATION", command, field="text_zh")


def test_cfg_10_what_says_nothing_is_refused_and_so_is_what_would_never_be_told(kit: InMemoryService) -> None:
    kit.assert_refused("VALIDATION", KIND.create(name="x", occasion="ORDER_ON_HOLD"), field="text_zh")
    command = KIND.create(name="x", occasion="ANNOUNCEMENT", text_zh="{text}")
    kit.assert_refused("VALIDATION", command, field="occasion")


def test_cfg_10_for_push_rules_the_fields_of_a_kind_may_stand_in_a_template(kit: InMemoryService) -> None:
    about = {"name": "x", "occasion": RULE_OCCASION, "text_zh": "{record} {company} {rule}"}
    kit.do(KIND.create(**about, record_kind="lead"))
    kit.assert_refused("VALIDATION", KIND.create(**{**about, "name": "y"}), field="text_zh")
    other = {**about, "name": "z", "text_zh": "{status}"}
    kit.assert_refused("VALIDATION", KIND.create(**other, record_kind="survey"), field="text_zh")


def test_cfg_10_a_title_is_one_line_that_is_not_too_long(kit: InMemoryService) -> None:
    enter(kit, title_zh="x" * 190 + "{number}")
    title, _ = told(kit, replace(HELD, number="SO\n" + "7" * 30))
    assert title == "x" * 190 + "SO 777777…"


@pytest.mark.parametrize("occasion", [one for one in OCCASIONS if one != "ANNOUNCEMENT"])
def test_cfg_10_every_ready_made_text_can_be_saved_as_a_template(kit: InMemoryService, occasion: Any) -> None:
    said = {f"text_{language}": sentence(occasion, language) for language in LANGUAGES}
    kit.do(KIND.create(name="x", occasion=occasion, **said))
    assert places(occasion)
