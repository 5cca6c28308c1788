"""What the README of a service says of its declarations: tables of its commands, events, replicas and views.

They stand between two marks; all else in a README is written by people.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from chassis.catalogue import Catalogue, known_everywhere, views_of
from chassis.model.record_views import pool_view, record_view
from chassis.model.service import Replica
from chassis.model.views import View
from contracts.declare import CommandSpec, EventSpec, Registry
from contracts.records import KINDS

BEGIN = "<!-- what the service declares: written by `make contracts` -->"
END = "<!-- end of what is written by `make contracts` -->"
BEFORE = "\n## Runbook\n"
"""The heading before which the tables come into a README that has none yet."""
MADE_BEGIN, MADE_END = "<!-- written by `make contracts` -->", "<!-- end of what is written by `make contracts` -->"
"""The marks between which a page of docs/ holds a table that follows from the declarations."""
ANALYSTS = "docs/analysts.md"
Tables = Iterable[tuple[str, str]]
"""The path of a page of docs/, and the table it holds."""


def readmes(root: Path, registry: Registry) -> dict[str, str]:
    """The README of every service that has one, as it should be, by its path below `root`."""
    catalogue = Catalogue.read()
    everywhere = {replica.name for known in known_everywhere().values() for replica in known.replicas}
    replicas = {
        service.name: [replica for replica in service.replicas if replica.name not in everywhere]
        for service in catalogue.services()
    }
    reactions = {
        service.name: [registry.event_of(fact).name for fact in service.reactions] for service in catalogue.services()
    }
    made = {}
    for name in catalogue.roles:
        path = root / "services" / name / "README.md"
        if not path.exists():
            continue
        views = views_of(name) if "projector" in catalogue.roles[name] else []
        told = registry.commands_of(name), registry.events_of(name), replicas.get(name, []), views
        tables = [*_tables(*told), *_table(("What it reacts to",), ((f"`{one}`",) for one in reactions.get(name, ())))]
        if tables:
            made[f"services/{name}/README.md"] = _with(path.read_text(encoding="utf-8"), "\n\n".join(tables))
    return made


def pages(root: Path, tables: Tables) -> dict[str, str]:
    """The pages of docs/ that hold a table which follows from the declarations, as they should be.

    `tables` are those of other rooms; that of records is made here.
    """
    made = {}
    for path, table in [(ANALYSTS, _kinds()), *tables]:
        if not (root / path).exists():
            continue
        head, _, rest = (root / path).read_text(encoding="utf-8").partition(MADE_BEGIN)
        made[path] = f"{head}{MADE_BEGIN}\n\n{table}\n\n{MADE_END}{rest.partition(MADE_END)[2]}"
    return made


def _kinds() -> str:
    """What analysts are told of the views of records."""
    rows = [(f"`{record_view(cls).name}`", kind.summary, "its id") for cls, kind in KINDS.items()]
    for cls in (cls for cls, kind in KINDS.items() if kind.pool):
        view = pool_view(cls)
        rows.append((f"`{view.name}`", (view.row.__doc__ or "").replace("waits", "waits, or has waited,"), "its id"))
    return "\n".join(_table(("View", "One document is", "`_id`"), rows))


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
