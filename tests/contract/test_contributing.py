"""The code that CONTRIBUTING shows names what is there (`test_contributing_runs` runs what changes the project)."""

import ast
import builtins
import importlib
import re
from typing import Any

import pytest

from chassis.testing.sagas import SagaScenario
from chassis.testing.services import InMemoryService
from contracts import types
from deploy.devstack.server import REPOSITORY_ROOT

TEXT = (REPOSITORY_ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCKS = [ast.parse(re.sub(r"^(\w+: change\(.*\)),$", r"{\1}", block, flags=re.M)) for block in
          re.findall(r"```python\n(.*?)```", TEXT, flags=re.S)]  # fmt: skip
PLACES = re.findall(r"```python\n(?:# ([\w/]+)\.py)?", TEXT)
KITS: dict[str, Any] = {"kit": InMemoryService, "SagaScenario": SagaScenario}
INVENTED = {"Complaint", "FileComplaint", "file_complaint", "Order", "self"}
"""What stands for a service that there is not, and what a piece of a class belongs to."""
EXAMPLES = {"ORDER", "CREATED", "SUBMITTED", "SHIPPED", "DEDUCT", "DEDUCTED", "SHIP", "orders"}
"""What stands for facts and commands of a test."""
WHERE = (
    "contracts.orders", "contracts.inventory", "services.orders.domain", "services.orders.application",
    "services.reports.views.orders", "services.inventory.application", "services.fulfilment.saga", "decimal",
    "chassis.testing.people", "chassis.testing.services", "chassis.testing.sagas", "chassis.testing.views",
    "chassis.model.changes",
)  # fmt: skip


def defined(tree: ast.AST) -> set[str]:
    """What a piece of code gives names to."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return found


def used(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


def test_every_name_is_one_of_the_module_that_it_stands_in_or_is_made_there() -> None:
    assert len(BLOCKS) == len(PLACES) >= 8
    made = set().union(*(defined(block) for block in BLOCKS))
    everywhere = {name for module in WHERE for name in vars(importlib.import_module(module))}
    for block, place in zip(BLOCKS, PLACES, strict=True):
        stands_in = place.replace("/", ".") if place and "complaints" not in place else ""
        there = everywhere if not stands_in else set(vars(importlib.import_module(stands_in)))
        there |= {*vars(types), "Personal"} if stands_in.startswith("contracts") else set()
        unknown = used(block) - there - made - set(dir(builtins)) - INVENTED - EXAMPLES
        assert unknown == set(), (place, unknown)


@pytest.mark.parametrize("kit", KITS)
def test_the_kits_have_what_is_called(kit: str) -> None:
    called = {
        node.attr
        for block in BLOCKS
        for node in ast.walk(block)
        if isinstance(node, ast.Attribute) and kit in used(node.value)
    }
    assert called and [name for name in called if not hasattr(KITS[kit], name)] == []
