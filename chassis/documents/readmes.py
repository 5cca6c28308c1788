"""What the README of a service says of its declarations: tables of its commands, events, replicas and views.

They stand between two marks; all else in a README is written by people.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from chassis.catalogue import Catalogue, known_everywhere, views_of
from chassis.model.service import Replica
from chassis.model.views import View
from contracts.declare import CommandSpec, EventSpec, Registry

BEGIN = "<!-- what the service declares: written by `make contracts` -->"
END = "<!-- end of what is written by `make contracts` -->"
BEFORE = "\n## Runbook\n"
"""The heading before which the tables come into a README that has none yet."""


def readmes(root: Path, registry: Registry) -> dict[str, str]:
    """The README of every service that has one, as it should be, by its path below `root`."""
    catalogue = Catalogue.read()
    everywhere = {replica.name for known in known_everywhere().values() for replica in known.replicas}
    replicas = {
        service.name: [replica for replica in service.replicas if replica.name not in everywhere]
        for service in catalogue.services()
    }
    made = {}
    for name in catalogue.roles:
        path = root / "services" / name / "README.md"
        if not path.exists():
            continue
        views = views_of(name) if "projector" in catalogue.roles[name] else []
        tables = [*_tables(registry.commands_of(name), registry.events_of(name), replicas.get(name, []), views)]
        if tables:
            made[f"services/{name}/README.md"] = _with(path.read_text(encoding="utf-8"), "\n\n".join(tables))
    return made


def _tables(
    commands: Iterable[CommandSpec],
    events: Iterable[EventSpec],
    replicas: Iterable[Replica[object]],
    views: Iterable[View],
) -> Iterator[str]:
    yield from _table(
        ("Command", "Route", "Right", "What it does"),
        (
            (
                f"`{one.name}`",
                f"`{one.method} {one.path}`" if one.is_public else "of the saga",
                f"`{one.permission}`",
                _first(one.summary),
            )
            for one in commands
        ),
    )
    yield from _table(
        ("Event", "Key", "What it tells"), ((f"`{one.name}`", f"`{one.key}`", _first(one.summary)) for one in events)
    )
    yield from _table(
        ("What it knows of others", "Told by"),
        ((f"`{one.name}`", ", ".join(sorted(f"`{fact.__name__}`" for fact in one.feeds))) for one in replicas),
    )
    yield from _table(
        ("View", "Route", "Right", "Made of"),
        (
            (
                f"`{one.name}`",
                f"`{one.route}`",
                f"`{one.permission}`",
                ", ".join(sorted(f"`{fact.__name__}`" for fact in one.handlers)) or "the audit logs of all services",
            )
            for one in views
        ),
    )


def _first(summary: str) -> str:
    """The first paragraph, as one line."""
    return " ".join(summary.partition("\n\n")[0].split())


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """A table of Markdown; nothing where there are no rows."""
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    if lines:
        yield "\n".join([f"| {' | '.join(heads)} |", "|---" * len(heads) + "|", *lines])


def _with(text: str, tables: str) -> str:
    section = f"{BEGIN}\n\n{tables}\n\n{END}"
    if BEGIN in text:
        head, _, rest = text.partition(BEGIN)
        return f"{head}{section}{rest.partition(END)[2]}"
    head, runbook, rest = text.partition(BEFORE)
    return f"{head.rstrip()}\n\n## Declared\n\n{section}\n{runbook}{rest}"
