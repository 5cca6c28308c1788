"""A domain compares the time with a moment by `is_before` alone: it takes a clock that was set back into account."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SERVICES = Path(__file__).parents[2] / "services"
DOMAINS = [path for path in sorted(SERVICES.rglob("*.py")) if "domain" in path.relative_to(SERVICES).as_posix()]
DOMAINS = [path for path in DOMAINS if not path.name.startswith("test_")]


def names_now(node: ast.AST) -> bool:
    return any(getattr(part, "id", getattr(part, "attr", "")) == "now" for part in ast.walk(node))


@pytest.mark.parametrize("path", DOMAINS, ids=lambda path: path.relative_to(SERVICES).as_posix())
def test_no_domain_compares_the_time_itself(path: Path) -> None:
    compared = [
        ast.unparse(node)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Compare)
        and any(isinstance(op, ast.Lt | ast.LtE | ast.Gt | ast.GtE) for op in node.ops)
        and any(isinstance(side, ast.Name | ast.Attribute | ast.BinOp) and names_now(side) for side in _sides(node))
    ]
    assert compared == []


def _sides(node: ast.Compare) -> list[ast.expr]:
    return [node.left, *node.comparators]
