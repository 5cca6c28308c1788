"""What the documents say of the tree is so: files they link to, names they mention, the floors of the rooms."""

import ast
import re
import subprocess
from configparser import ConfigParser

import pytest

from chassis.catalogue import Catalogue
from deploy.devstack.server import REPOSITORY_ROOT

HISTORY = {"CHANGELOG.md"}  # tells of files as they were
LINK = re.compile(r"\[[^\]]*\]\((?!https?:|mailto:|#)([^)#\s]+)[^)]*\)")
NAMED = re.compile(r"\]\(([\w./-]+\.py)\),\s+`([A-Za-z_][\w.]*)`(?:\s+and\s+`([A-Za-z_][\w.]*)`)?")


def documents() -> list[str]:
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "*.md"],
        cwd=REPOSITORY_ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [name for name in listed.stdout.split() if name not in HISTORY]


def names_in(source: str) -> set[str]:
    """The classes, functions and constants of a module, and what its classes have."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
    return found


@pytest.mark.parametrize("name", documents())
def test_what_a_document_links_to_is_there(name: str) -> None:
    path = REPOSITORY_ROOT / name
    links = LINK.findall(re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.S))
    assert [link for link in links if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("name", documents())
def test_what_a_document_says_a_module_has_it_has(name: str) -> None:
    path = REPOSITORY_ROOT / name
    for module, *mentioned in NAMED.findall(path.read_text(encoding="utf-8")):
        known = names_in((path.parent / module).read_text(encoding="utf-8"))
        whole = [one for one in mentioned if one and not one.endswith("...")]
        assert [one for one in whole if not set(one.split(".")) <= known] == [], module


def test_every_room_is_on_the_floor_that_its_readme_says() -> None:
    rules = ConfigParser()
    rules.read(REPOSITORY_ROOT / ".importlinter")
    layers = rules["importlinter:contract:rooms"]["layers"].split("\n")
    floors = [floor for floor in reversed(layers) if floor.strip()]
    enforced = {room.strip(): number for number, floor in enumerate(floors, start=2) for room in floor.split("|")}
    text = (REPOSITORY_ROOT / "chassis" / "README.md").read_text(encoding="utf-8")
    said = {room: int(floor) for floor, room in re.findall(r"^\| (\d+) \| `(\w+)(?:\.py)?` \|", text, flags=re.M)}
    assert said == enforced


def test_every_room_says_what_it_is() -> None:
    rooms = sorted((REPOSITORY_ROOT / "chassis").glob("*/__init__.py"))
    silent = [path for path in rooms if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))]
    assert rooms and silent == []


def test_analysts_are_told_of_every_view() -> None:
    told = (REPOSITORY_ROOT / "docs/analysts.md").read_text(encoding="utf-8").partition("## Views")[2]
    names = [view.name for view in Catalogue.read().views()]
    assert [name for name in names if f"`{name}`" not in told.partition("\n## ")[0]] == []
