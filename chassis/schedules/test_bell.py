"""Who keeps schedules is woken by what concerns them, and by nothing else (ADR 0051)."""

from chassis.access.company import CompanySettings
from chassis.access.directory import Directory
from chassis.catalogue import known_everywhere
from chassis.schedules.bell import Rings
from contracts.approvals import RemindDeciders
from contracts.company import CompanyData, CompanyDataSet
from contracts.schedules import SCHEDULES

DECLARED = SCHEDULES[RemindDeciders]


def of_company(zone: str, revision: int) -> CompanyDataSet:
    return CompanyDataSet(settings_id="company", data=CompanyData(time_zone=zone), revision=revision)


def test_each_keeper_is_rung_for_by_what_is_told_of_schedules() -> None:
    rings = Rings(Directory(known_everywhere()))
    first, second = rings.bell(), rings.bell()
    rings.tell([DECLARED.switched(schedule=DECLARED.name, active=False)])
    assert first.wait(0) and second.wait(0)


def test_set_03_another_zone_rings_and_other_news_of_the_company_do_not() -> None:
    directory = Directory(known_everywhere(), company=CompanySettings())
    rings = Rings(directory)
    bell = rings.bell()
    rings.tell([of_company(directory.company.zone.key, 1)])
    assert not bell.wait(0)
    rings.tell([of_company("Europe/Berlin", 2)])
    assert bell.wait(0) and directory.company.zone.key == "Europe/Berlin"
