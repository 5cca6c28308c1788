"""The one system that end-to-end tests use: started once, gone at the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from component.mail import Relay, serving
from component.support import Company, await_views, config_of, environment, longest_files_first, running
from component.webhooks import SECRET, Receiver, is_from_us_at_dingtalk
from component.webhooks import serving as listening

from deploy.local.system import LocalSystem


@pytest.fixture(scope="session")
def relay() -> Iterator[tuple[Relay, int]]:
    """Where the system's mail goes, and the port of it."""
    relay = Relay()
    with serving(relay) as port:
        yield relay, port


@pytest.fixture(scope="session")
def robot() -> Iterator[tuple[Receiver, int]]:
    """The robot in a group of DingTalk, and the port of it."""
    robot = Receiver(is_from_us_at_dingtalk)
    with listening(robot) as port:
        yield robot, port


@pytest.fixture(scope="session")
def system(
    tmp_path_factory: pytest.TempPathFactory, relay: tuple[Relay, int], robot: tuple[Receiver, int]
) -> Iterator[LocalSystem]:
    """Kafka, MongoDB and all services as processes, in a folder and on ports of their own."""
    folder = tmp_path_factory.mktemp("system")
    mail = {"SMTP_ADDRESS": f"127.0.0.1:{relay[1]}", "SMTP_SECURITY": "none", "MAIL_FROM": "crm@example.com"}
    url = f"http://127.0.0.1:{robot[1]}/robot/send?access_token=robot"
    group = {"DINGTALK_URL": url, "DINGTALK_SECRET": SECRET}
    with running(LocalSystem.from_env(environment(folder, **mail, **group))) as system:
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
