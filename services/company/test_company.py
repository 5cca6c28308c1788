"""SET-01..05 and ACC-03's saving, by way of the service's commands."""

import base64
import io
from typing import Any

import pytest
from PIL import Image

from chassis.access.company import CompanySettings
from chassis.access.known import KnownParameter
from chassis.testing.people import ADMIN
from chassis.testing.services import InMemoryService
from contracts.company import (
    CompanyData,
    CompanyDataSet,
    LogoSet,
    ParameterRemoved,
    ParameterSet,
    RemoveParameter,
    SetCompanyData,
    SetLogo,
    SetParameter,
)
from contracts.errors import Refused
from contracts.parameters import PARAMETERS
from contracts.people import Person
from contracts.schemas import load
from services.company import logo
from services.company.application import SERVICE
from services.company.known import parameter_told

BY = Person(user_id=ADMIN.user_id, name=ADMIN.name)


@pytest.fixture
def kit() -> InMemoryService:
    return InMemoryService(SERVICE)


def picture(kind: str, width: int, height: int) -> str:
    out = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(out, format=kind)
    return base64.b64encode(out.getvalue()).decode()


def test_SET_01_ACC_03_the_companys_data_is_saved_once(kit: InMemoryService) -> None:
    command = SetCompanyData(full_name="Acme Trading Ltd", phone="13800000001", address="1 Road", email="a@acme.cn")
    kit.do(command)
    kit.do(command)
    data = CompanyData(full_name="Acme Trading Ltd", phone="13800000001", address="1 Road", email="a@acme.cn")
    assert (data.currency, data.language, data.time_zone) == ("CNY", "zh", "Asia/Shanghai")
    assert kit.facts() == [CompanyDataSet(settings_id="company", data=data, by=BY, revision=1)]


@pytest.mark.parametrize("email", ["acme", "a@b", "a b@acme.cn", "a@acme.cn\nb@acme.cn", "@acme.cn"])
def test_SET_01_the_form_of_the_email_is_checked(email: str) -> None:
    with pytest.raises(Refused) as refused:
        load(SetCompanyData, {"full_name": "Acme", "email": email})
    assert refused.value.field == "email"


@pytest.mark.parametrize("zone", ["Asia/Atlantis", "../etc/passwd", "Asia"])
def test_SET_03_a_time_zone_must_exist(kit: InMemoryService, zone: str) -> None:
    kit.assert_refused("VALIDATION", SetCompanyData(full_name="Acme", time_zone=zone), field="time_zone")


@pytest.mark.parametrize(("kind", "size"), [("PNG", (200, 200)), ("JPEG", (640, 480)), ("PNG", (10, 300))])
def test_SET_01_a_logo_is_200_by_200_and_another_size_warns(
    kit: InMemoryService, kind: str, size: tuple[int, int]
) -> None:
    answer = kit.do(SetLogo(image=picture(kind, *size)))
    assert bool(answer.body["warnings"]) == (size != (200, 200))
    [fact] = kit.facts()
    assert isinstance(fact, LogoSet)
    with Image.open(io.BytesIO(base64.b64decode(fact.png))) as stored:
        assert (stored.format, stored.size) == ("PNG", (200, 200))


@pytest.mark.parametrize(
    "image",
    [
        "not base64!",
        base64.b64encode(b"\x89PNG\r\n\x1a\nand then nothing").decode(),
        base64.b64encode(b"<svg onload='alert(1)'/>").decode(),
        picture("GIF", 200, 200),
        picture("BMP", 200, 200),
        picture("PNG", 200, 200)[:200],
    ],
)
def test_SET_01_what_is_no_png_or_jpg_is_refused_by_its_content(kit: InMemoryService, image: str) -> None:
    kit.assert_refused("FILE_TYPE", SetLogo(image=image), field="image")


def test_a_picture_of_too_many_pixels_is_not_unpacked(kit: InMemoryService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logo, "MOST_PIXELS", 100)
    kit.assert_refused("TOO_LARGE", SetLogo(image=picture("PNG", 11, 10)), field="image")


def test_SET_05_a_parameter_keeps_what_it_was_and_why_it_changed(kit: InMemoryService) -> None:
    for value in ("30", "60", "60"):
        answer: Any = kit.do(SetParameter(name="session.minutes", value=value, reason="policy"))
    assert answer.body["value"] == "60"
    assert kit.facts() == [
        ParameterSet(name="session.minutes", before="", value="30", reason="policy", by=BY, revision=1),
        ParameterSet(name="session.minutes", before="30", value="60", reason="policy", by=BY, revision=2),
    ]


def other_than_default(name: str) -> str:
    known = PARAMETERS[name]
    return str(known.lowest if known.lowest != known.default else known.highest)


@pytest.mark.parametrize("name", PARAMETERS)
def test_SET_05_a_parameter_goes_back_to_its_default_with_an_empty_value(kit: InMemoryService, name: str) -> None:
    known, company = PARAMETERS[name], CompanySettings()
    kit.do(SetParameter(name=name, value="", reason="it never was set"))
    assert kit.facts() == []
    for value in (other_than_default(name), ""):
        kit.do(SetParameter(name=name, value=value, reason="policy"))
    last: Any = kit.facts()[-1]
    assert (last.before, last.value) == (other_than_default(name), "")
    for fact in kit.facts():
        company.take(parameter_told(company.parameter_known(name), fact))
    assert company.parameter(name) == known.default


@pytest.mark.parametrize("name", PARAMETERS)
def test_SET_05_a_name_that_looks_like_one_that_is_obeyed_is_refused(kit: InMemoryService, name: str) -> None:
    for like in (
        name.upper(),
        name.title(),
        name.replace(".", "-"),
        name.replace(".", ""),
        name.replace(".", "\uff0e"),
    ):
        refused = kit.assert_refused("VALIDATION", SetParameter(name=like, value="7", reason="policy"), field="name")
        assert name in refused.message
    kit.do(SetParameter(name=f"{name}.own", value="anything", reason="for people"))


@pytest.mark.parametrize("name", PARAMETERS)
def test_SET_05_what_a_parameter_cant_be_is_refused(kit: InMemoryService, name: str) -> None:
    known = PARAMETERS[name]
    for wrong in (" ", "many", "-1", "1.5", "²", str(known.lowest - 1), str(known.highest + 1), "9" * 900):
        kit.assert_refused("VALIDATION", SetParameter(name=name, value=wrong, reason="policy"), field="value")
    for right in (known.lowest, known.highest, known.default):
        kit.do(SetParameter(name=name, value=str(right), reason="policy"))


@pytest.mark.parametrize("name", PARAMETERS)
def test_SET_05_a_parameter_that_is_obeyed_is_put_back_to_its_default(kit: InMemoryService, name: str) -> None:
    kit.do(RemoveParameter(name=name))
    assert kit.facts() == [], "it is at its default"
    value = other_than_default(name)
    kit.do(SetParameter(name=name, value=value, reason="policy"))
    kit.new_facts()
    assert kit.do(RemoveParameter(name=name), version=1).body["version"] == 2
    [told] = kit.new_facts()
    assert told == ParameterSet(name=name, before=value, value="", reason="put back to its default", by=BY, revision=2)


@pytest.mark.parametrize("name", ["greeting", "what/a former release kept", ".."])
def test_SET_05_a_parameter_for_people_is_taken_away_and_may_come_again(kit: InMemoryService, name: str) -> None:
    kit.assert_refused("NOT_FOUND", RemoveParameter(name=name), field="name")
    kit.do(SetParameter(name=name, value="hello", reason="policy"))
    kit.new_facts()
    kit.do(RemoveParameter(name=name, reason="nobody reads it"))
    assert kit.new_facts() == [ParameterRemoved(name=name, before="hello", reason="nobody reads it", by=BY, revision=2)]
    kit.assert_refused("NOT_FOUND", RemoveParameter(name=name), field="name")
    kit.do(SetParameter(name=name, value="again", reason="policy"))
    [told] = kit.new_facts()
    assert (told.before, told.revision) == ("", 3)
    company = CompanySettings()
    for fact in kit.facts():
        company.take(parameter_told(company.parameter_known(name), fact))
    assert company.parameter_known(name) == KnownParameter(name, "again", 3)


def test_SET_05_why_a_value_can_not_be_null_and_what_takes_it_away_is_told() -> None:
    with pytest.raises(Refused, match="value: May not be null: an empty text says that there is none"):
        load(SetParameter, {"name": "x", "value": None, "reason": "r"})
