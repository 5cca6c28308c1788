"""A refusal names the field that its sender has sent, and a way out that can be walked."""

from typing import Any
from uuid import uuid4

import pytest
from security.office import DEFAULT

from chassis.catalogue import Catalogue
from chassis.documents.samples import sample
from chassis.testing.people import ADMIN
from chassis.testing.services import InMemoryService
from contracts.access import AddMachine, Grant, IssueUser
from contracts.declare import CommandSpec
from contracts.errors import Refused
from contracts.schemas import load

SERVICES = {service.name: service for service in Catalogue.read().services()}
CREATING = [spec for service in SERVICES.values() for spec in service.specs() if spec.creates]


@pytest.mark.parametrize("spec", [spec for spec in CREATING if spec.is_public], ids=lambda spec: spec.name)
def test_what_makes_a_record_says_to_leave_if_match_out(spec: CommandSpec) -> None:
    """There is no record to read again."""
    kit = InMemoryService(SERVICES[spec.service])
    request = kit.request(load(spec.cls, sample(spec.cls), currency="CNY"), ADMIN, version=1)
    kit.writer.execute([request])
    try:
        request.future.result(timeout=0)
    except Refused as refusal:
        assert refusal.code != "VERSION_CONFLICT", refusal.message
    except Exception as error:  # what middleware would have prepared is not there
        assert spec.cls in SERVICES[spec.service].middleware, error
    else:
        pytest.fail("it took an If-Match")


@pytest.mark.parametrize(
    ("command", "field"),
    [
        (
            IssueUser(user_id=uuid4(), login="li", name="Li", default_password=DEFAULT, roles=("SAL", "NOPE")),
            "roles.1",
        ),
        (AddMachine(machine_id=uuid4(), name="till", grants=(Grant(right="nope", scope="OWN"),)), "grants.0.right"),
    ],
    ids=lambda one: one if isinstance(one, str) else type(one).__name__,
)
def test_a_mistake_in_a_list_is_named_by_its_place(command: Any, field: str) -> None:
    kit = InMemoryService(SERVICES["access"])
    with pytest.raises(Refused) as refused:
        kit.do(command, ADMIN)
    assert refused.value.field == field
