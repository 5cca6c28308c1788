"""Each import that the architecture forbids is planted into a copy of the tree, and `make lint` names it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.devstack.server import REPOSITORY_ROOT

DOMAIN, APPLICATION, ACCESS = "services.orders.domain", "services.orders.application", "services.access.domain.users"
VIEW, SAGA, CONTRACT = "services.reports.views.orders", "services.fulfilment.saga", "contracts.orders"
QUERIES, STORE, RELAY = "chassis.queries.filters", "chassis.store.event_store", "chassis.messaging.relay"
PLANTED = [
    *((DOMAIN, f"import {name}") for name in ("sqlite3", "socket", "subprocess", "random", "time", "os")),
    *(
        (DOMAIN, f"import {name}")
        for name in ("urllib.request", "urllib3", "jwt", "PIL", "cryptography", "marshmallow")
    ),
    (DOMAIN, "from services.orders.application import SERVICE"),
    (DOMAIN, "from chassis.store.event_store import EventStore"),
    (DOMAIN, "from chassis.access.tokens import issue"),
    (ACCESS, "from services.access.vault import Vault"),
    (APPLICATION, "from kafka import KafkaProducer"),
    (APPLICATION, "from confluent_kafka import Producer"),
    (APPLICATION, "from chassis.kafka.clients import producer"),
    (APPLICATION, "from chassis.projections.projector import Projector"),
    (APPLICATION, "from chassis.store.opening import open_store"),
    (APPLICATION, "import urllib.request"),
    (VIEW, "from chassis.projections.projector import Projector"),
    (VIEW, "from services.orders.domain import Order"),
    (SAGA, "from chassis.store.event_store import EventStore"),
    (SAGA, "import random"),
    (QUERIES, "from contracts.orders import SubmitOrder"),
    (QUERIES, "from services.orders.domain import Order"),
    (CONTRACT, "from contracts.inventory import AddProduct"),
    (CONTRACT, "import sqlite3"),
    (CONTRACT, "import socket"),
    (CONTRACT, "from chassis.model.identity import Named"),
    (STORE, "from chassis.writer.writer import Writer"),
    (RELAY, "from chassis.projections.projector import Projector"),
    ("chassis.foundation.limits", "from chassis.model.identity import Named"),
]
DYNAMIC = [(QUERIES, "import importlib"), (RELAY, "from importlib import import_module")]
TREES = ("contracts", "chassis", "services", "deploy", "tests/architecture")


def path_of(module: str) -> str:
    return f"{module.replace('.', '/')}.py"


def imported_by(line: str) -> str:
    """What the linter calls what a line imports: others' packages by their first part."""
    name = line.split()[1]
    return name if name.startswith(("chassis.", "contracts.", "services.")) else name.partition(".")[0]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree with all of them, each within a function, where one is overlooked most easily."""
    tree = tmp_path_factory.mktemp("planted")
    for name in TREES:
        shutil.copytree(REPOSITORY_ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__", "test_*"))
    (tree / "tests" / "__init__.py").touch()
    for name in (".importlinter", "pyproject.toml"):
        shutil.copy(REPOSITORY_ROOT / name, tree / name)
    for number, (module, line) in enumerate([*PLANTED, *DYNAMIC]):
        with (tree / path_of(module)).open("a", encoding="utf-8") as file:
            call = f'    {line.split()[-1]}("services.orders.domain")\n' if "importlib" in line else ""
            call = call.replace("importlib(", "importlib.import_module(")
            file.write(f"\n\ndef planted_{number}() -> None:\n    {line}\n{call}")
    return tree


@pytest.fixture(scope="module")
def told(planted: Path) -> list[str]:
    """What the linter says of the copy, line by line."""
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [program, "--no-logo", "--no-cache"], cwd=planted, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(("module", "line"), PLANTED, ids=[f"{module}: {line}" for module, line in PLANTED])
def test_a_forbidden_import_fails(told: list[str], module: str, line: str) -> None:
    imported = imported_by(line)
    assert any(module in said and imported in said.replace(module, "") for said in told), "\n".join(told)


def test_modules_are_imported_by_name_in_the_catalogue_only(planted: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--select", "TID251", "--output-format", "concise", "chassis"],
        cwd=planted, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    found = {line.partition(":")[0] for line in done.stdout.splitlines() if "TID251" in line}
    assert found == {path_of(module) for module, _ in DYNAMIC}, done.stdout


def test_nobody_imports_by_the_builtin_that_the_linter_does_not_see() -> None:
    calls = [
        path
        for tree in ("contracts", "chassis", "services", "deploy")
        for path in (REPOSITORY_ROOT / tree).rglob("*.py")
        if "__import__(" in path.read_text(encoding="utf-8")
    ]
    assert calls == []
