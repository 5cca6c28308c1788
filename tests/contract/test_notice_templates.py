"""How a template of notices reads is on its page (CFG-10)."""

from uuid import uuid4

from chassis.testing.people import ADMIN
from chassis.testing.services import InMemoryService
from chassis.testing.views import documents
from contracts.notices import NoticeTemplate
from contracts.records import kind_of
from contracts.texts import texts
from services.notices.application import SERVICE
from services.reports.views.notice_templates import PREVIEWS, VIEW


def test_cfg_10_the_page_of_a_template_shows_how_it_reads() -> None:
    kit, kind, id = InMemoryService(SERVICE), kind_of(NoticeTemplate), uuid4()
    kit.directory.introduce(ADMIN)
    said = {"occasion": "ORDER_ON_HOLD", "title_en": "On hold: {number}", "text_zh": "{number}。"}
    kit.do(kind.create(notice_template_id=id, name="ours", **said))
    kit.do(kind.edit(notice_template_id=id, text_zh="{number}！"))
    row = documents(VIEW, [fact for fact in kit.facts() if type(fact) in VIEW.handlers])[str(id)]
    assert PREVIEWS["preview_zh"](row) == "订单挂起\n[订单编号]！"
    number = f"[{texts('fields')['number'].en}]"
    assert PREVIEWS["preview_en"](row).startswith(f"On hold: {number}\nOrder {number} is on hold")
