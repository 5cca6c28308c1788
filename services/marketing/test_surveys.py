"""Surveys of the market (MKT-05): a record of the plainest kind."""

from datetime import date
from typing import Any
from uuid import UUID, uuid4

import pytest

from chassis.model.record_views import record_view
from chassis.testing.services import InMemoryService
from chassis.testing.views import documents
from contracts.marketing import Survey
from contracts.records import kind_of
from services.marketing.application import SERVICE

SURVEY = kind_of(Survey)
ID = UUID("01900000-0000-7000-8000-000000000001")


@pytest.fixture
def kit() -> InMemoryService:
    return InMemoryService(SERVICE)


def create(kit: InMemoryService, id: UUID = ID, **more: Any) -> None:
    given = {"subject": "Prices in Osaka", "topic": "COMPETITOR", "surveyed_on": date(2026, 3, 1), **more}
    kit.do(SURVEY.create(survey_id=id, **given))


def test_mkt_05_a_survey_is_entered_changed_deleted_and_restored(kit: InMemoryService) -> None:
    create(kit, competitor="大阪商事")
    kit.do(SURVEY.edit(survey_id=ID, finding="2 % below ours", competitor=None))
    kit.do(SURVEY.edit(survey_id=ID, finding="2 % below ours"))
    kit.do(SURVEY.delete(survey_id=ID))
    kit.do(SURVEY.restore(survey_id=ID))
    kit.do(SURVEY.restore(survey_id=ID))
    created, edited, deleted, restored = kit.stream(ID)
    assert [type(fact) for fact in (created, edited, deleted, restored)] == [
        SURVEY.created, SURVEY.edited, SURVEY.deleted, SURVEY.restored,
    ]  # fmt: skip
    assert edited.changed == ("competitor", "finding")
    assert edited.data == Survey(
        subject="Prices in Osaka", topic="COMPETITOR", surveyed_on=date(2026, 3, 1), finding="2 % below ours"
    )
    [row] = documents(record_view(Survey), kit.stream(ID)).values()
    assert (row["finding"], row["competitor"], row["deleted"], row["version"]) == ("2 % below ours", "", False, 4)


def test_mkt_05_what_is_deleted_is_there_for_nobody_until_it_is_restored(kit: InMemoryService) -> None:
    create(kit)
    kit.do(SURVEY.delete(survey_id=ID))
    for command in (SURVEY.edit(survey_id=ID, source="press"), SURVEY.delete(survey_id=ID)):
        kit.assert_refused("NOT_FOUND", command, field="survey_id")
    kit.assert_refused("NOT_FOUND", SURVEY.restore(survey_id=uuid4()), field="survey_id")
    assert len(kit.stream(ID)) == 2


def test_mkt_05_an_earlier_version_is_put_back_whole_or_by_fields_as_a_new_event(kit: InMemoryService) -> None:
    create(kit, competitor="大阪商事")
    kit.do(SURVEY.edit(survey_id=ID, competitor="Kyoto", finding="cheap", subject="Prices in Kyoto"))
    kit.do(SURVEY.revert(survey_id=ID, version=1, fields=("competitor",)))
    kit.do(SURVEY.revert(survey_id=ID, version=1, fields=("competitor",)))
    first, edited, partly = kit.stream(ID)
    assert partly.changed == ("competitor",)
    assert (partly.data.competitor, partly.data.finding) == ("大阪商事", "cheap")
    kit.do(SURVEY.revert(survey_id=ID, version=2))
    assert kit.stream(ID)[-1].data == edited.data
    kit.do(SURVEY.revert(survey_id=ID, version=1))
    assert kit.stream(ID)[-1].data == first.data
    for version in (6, 2**53 - 1):
        kit.assert_refused("VALIDATION", SURVEY.revert(survey_id=ID, version=version), field="version")
    kit.do(SURVEY.delete(survey_id=ID))
    kit.assert_refused("NOT_FOUND", SURVEY.revert(survey_id=ID, version=1), field="survey_id")
