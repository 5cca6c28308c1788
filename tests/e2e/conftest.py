"""The one system that end-to-end tests use: started once, gone at the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from component.support import Company, await_views, config_of, environment, longest_files_first, running

from deploy.local.system import LocalSystem


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalSystem]:
    """Kafka, MongoDB and all services as processes, in a folder and on ports of their own."""
    folder = tmp_path_factory.mktemp("system")
    with running(LocalSystem.from_env(environment(folder))) as system:
        yield system


@pytest.fixture(scope="session")
def company(system: LocalSystem) -> Iterator[Company]:
    """The people of the demonstration company at that system."""
    company = Company(config_of(system), system.api.own_address)
    await_views(company)
    yield company
    company.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    longest_files_first(items)
