"""Records that have names: those of one kind never meet those of another, whatever the names are."""

from typing import get_args
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

import pytest

from chassis.catalogue import Catalogue
from chassis.model.identity import Named, record_id, stream_id
from chassis.model.service import Service
from chassis.model.unique import UniqueIndex
from chassis.store.events import recorded
from chassis.store.transaction import Transaction
from chassis.testing.services import InMemoryService
from contracts.company import CompanyDataSet, ParameterSet, SetCompanyData, SetParameter
from contracts.declare import REGISTRY
from services.company.application import SERVICE as COMPANY
from services.company.domain import Company, Parameter

SERVICES = Catalogue.read().services()


def kinds_of(service: Service) -> set[str]:
    """The kinds of named records that a service has: the key fields of its commands that hold no UUID."""
    return {spec.key for spec in service.specs() if spec.cls.__annotations__[spec.key] is not UUID}


def names() -> list[str]:
    """Every name that a contract fixes, every kind, and what could be taken for an id of another kind."""
    fixed = {
        name
        for service in SERVICES
        for spec in service.specs()
        for name in get_args(spec.cls.__annotations__[spec.key])
        if isinstance(name, str)
    }
    kinds = {kind for service in SERVICES for kind in kinds_of(service)}
    some = sorted(fixed | kinds | {service.name for service in SERVICES} | {"ADM", "login", "product", "x", ""})
    return [*some, *(f"{kind}:named:{name}" for kind in sorted(kinds) for name in some), *(f"named:{n}" for n in some)]


def test_there_are_such_names() -> None:
    named = {"settings_id", "name", "role", "dictionary", "kind", "schedule", "list_name"}
    assert named == {kind for service in SERVICES for kind in kinds_of(service)}
    assert {"company", "access", "sales-process", "customers", "devices"} <= set(names())


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_no_two_kinds_of_a_service_share_an_id(service: Service) -> None:
    owner: dict[UUID, str] = {}
    for name in names():
        ids = {f"{kind} {name!r}": stream_id(record_id(kind, name)) for kind in kinds_of(service)}
        ids |= {f"index {kind} {name!r}": UniqueIndex.id_of(kind, name) for kind in ("login", "product", "name")}
        for whose, id in ids.items():
            assert owner.setdefault(id, whose) == whose


@pytest.mark.parametrize("name", names())
def test_a_parameter_of_any_name_leaves_the_company_alone(name: str) -> None:
    if not name:
        return
    kit = InMemoryService(COMPANY)
    kit.do(SetParameter(name=name, value="1", reason="a test"))
    kit.do(SetCompanyData(full_name="Acme"), version=0)
    kit.do(SetParameter(name=name, value="2", reason="a test"), version=1)
    assert kit.do(SetCompanyData(full_name="Acme Ltd"), version=1).body["version"] == 2
    assert [type(fact) for fact in kit.new_facts()] == [ParameterSet, CompanyDataSet, ParameterSet, CompanyDataSet]


def earlier(kit: InMemoryService, name: str, *facts: object) -> UUID:
    """Facts as they stand in a store that was written before ids told kinds apart."""
    id = uuid5(NAMESPACE_URL, f"salestream:named:{name}")
    meta = kit.request(SetParameter(name=name, value="1", reason="r")).meta()
    kit.store.commit(Transaction(events=[recorded(id, n, fact, meta) for n, fact in enumerate(facts, 1)]))
    return id


def test_a_record_under_its_earlier_id_is_found_and_goes_on_there() -> None:
    kit = InMemoryService(COMPANY)
    id = earlier(kit, "theme", ParameterSet(name="theme", before="", value="dark", reason="r"))
    found = kit.store.load(Parameter, Named("name", "theme"))
    assert found is not None and (found.id, found.value) == (id, "dark")
    for version, value in enumerate(("light", "dark", "light"), start=2):
        assert kit.do(SetParameter(name="theme", value=value, reason="r"), version=version - 1).body == {
            "id": "theme", "version": version, "value": value,
        }  # fmt: skip
    assert len(kit.stream(id)) == 4
    requests = [kit.request(SetParameter(name="theme", value=value, reason="r")) for value in ("a", "b", "c")]
    kit.writer.execute(requests)
    assert [request.future.result(timeout=0).body["version"] for request in requests] == [5, 6, 7]
    assert len(kit.stream(id)) == 7


def test_what_a_parameter_had_blocked_before_works_again() -> None:
    kit = InMemoryService(COMPANY)
    earlier(kit, "company", ParameterSet(name="company", before="", value="x", reason="r"))
    assert kit.do(SetCompanyData(full_name="Acme")).body["version"] == 1
    found = kit.store.load(Company, Named("settings_id", "company"))
    assert found is not None and found.data.full_name == "Acme"
    assert kit.do(SetParameter(name="company", value="y", reason="r")).body["version"] == 2


def test_a_uuid_names_itself() -> None:
    id = uuid4()
    assert stream_id(record_id("order_id", id)) == id
    assert REGISTRY.commands
