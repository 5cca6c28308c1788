"""Every operation of the HTTP API, fed with what `contracts/openapi.yaml` allows and with what it forbids.

Whatever comes in: no 5xx, and every answer is documented - status, content type, headers, schema.  The inputs follow
from a fixed seed.  `make fuzz EXAMPLES=200` tries more of them for each operation than `make test` does.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from component.support import REPOSITORY_ROOT, Company, await_views, config_of, environment, running
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import negative_data_rejection

from chassis.messaging.consistency import HEADER
from deploy.local.system import LocalSystem

EXAMPLES = int(os.environ.get("EXAMPLES") or 2)
SEED = 20260302
USERS = ("admin", "mei", "sato", "li", "chen", "wang", "nobody")
SCHEMA = schemathesis.openapi.from_path(REPOSITORY_ROOT / "contracts" / "openapi.yaml")
# What no schema can say (a password's rules, prices in one currency) is refused with 400, naming the field.
SCHEMA.config.checks.positive_data_acceptance.expected_statuses = [
    "2xx",
    "400",
    "401",
    "403",
    "404",
    "409",
    "415",
    "429",
]
SCHEMA.config.checks.negative_data_rejection.expected_statuses += ["413"]  # an address that is too long
OPERATIONS = {found.ok().label: found.ok() for found in SCHEMA.get_all_operations() if isinstance(found, Ok)}
assert not [found for found in SCHEMA.get_all_operations() if not isinstance(found, Ok)]


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """A system of its own: what administrators are made to do here would disturb others."""
    folder: Path = tmp_path_factory.mktemp("fuzzed")
    with running(LocalSystem.from_env(environment(folder))) as system:
        company = Company(config_of(system), system.api.own_address)
        await_views(company)
        yield company
        company.close()


def refuses_an_item(answer: Any) -> bool:
    """Whether this is a bulk answer that refuses the items that are wrong, each by itself."""
    bulk = answer.request.path_url.startswith("/bulk/") and answer.status_code == HTTPStatus.OK
    return bulk and any(result["status"] >= HTTPStatus.BAD_REQUEST for result in answer.json()["results"])


@pytest.mark.parametrize("label", OPERATIONS)
def test_an_operation_keeps_to_its_contract(label: str, fuzzed: Company) -> None:
    operation = OPERATIONS[label]
    tokens = {name: getattr(fuzzed, name).token for name in USERS if name != "nobody"}

    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

        @seed(SEED)
        @settings(
            max_examples=max(1, EXAMPLES // 2), deadline=None, database=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy(generation_mode=mode), user=st.sampled_from(USERS))
        def try_it(case: Any, user: str) -> None:
            case.headers.pop(HEADER, None)  # a made-up token waits for what will never happen
            headers = {"Authorization": f"Bearer {tokens[user]}"} if user in tokens else {}
            answer = case.call(base_url=str(fuzzed.http.base_url).rstrip("/"), headers=headers, timeout=30)
            case.validate_response(answer, excluded_checks=[negative_data_rejection] if refuses_an_item(answer) else [])
            if answer.status_code == 400:
                assert answer.json()["field"], f"the problem does not name the field: {answer.text}"

        try_it()
