"""The committed documents: OpenAPI, AsyncAPI, JSON Schemas, lock, golden samples, tables of READMEs.

All of them are derived: `make contracts` writes them into contracts/, a test fails while they differ.  The lock is
the memory of what was published; a change that would break a reader or a caller of any published version is refused.
"""

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from os.path import normpath
from pathlib import Path
from typing import Any

import contracts
from chassis.catalogue import Catalogue
from chassis.documents.asyncapi import asyncapi
from chassis.documents.json_schema import json_schema
from chassis.documents.lock import Consumers, FieldMap, check_compatible, field_map, in_files, next_lock, whole
from chassis.documents.openapi import openapi
from chassis.documents.query_docs import QueryDoc, query_docs
from chassis.documents.readmes import Tables, pages, readmes
from chassis.documents.reads import BreakingChange, fields_read
from chassis.documents.samples import sample
from contracts.declare import REGISTRY, Registry

__all__ = [
    "BreakingChange", "FieldMap", "QueryDoc", "asyncapi", "check_compatible", "collect", "differences", "documents",
    "field_map", "fields_read", "main", "next_lock", "openapi", "read_lock", "repository", "sample", "write",
]  # fmt: skip


def collect() -> tuple[list[QueryDoc], dict[str, dict[type, Callable[..., Any]]]]:
    """The queries and the consumers of all services: what the documents need besides the contracts."""
    catalogue = Catalogue.read()
    pages, consumers = catalogue.pages(), dict[str, dict[type, Callable[..., Any]]]()
    for service in catalogue.services():
        for replica in service.replicas:
            consumers[f"{service.name} replica {replica.name}"] = dict(replica.feeds)
        if service.reactions:
            consumers[f"{service.name} reactions"] = dict(service.reactions)
    for view in catalogue.views("projector"):
        consumers[f"view {view.name}"] = dict(view.handlers)
    views = catalogue.views()
    return [doc for view in views for doc in query_docs(view, pages, views)], consumers


def documents(
    root: Path, registry: Registry, queries: Iterable[QueryDoc], consumers: Consumers, tables: Tables = ()
) -> dict[str, str]:
    """Every document as it should be, by its path below contracts/.  Raises BreakingChange."""
    home = root / "contracts"
    previous = read_lock(root)
    _require_remembered(home, previous)
    lock = next_lock(previous, registry, consumers)
    made = {
        "openapi.yaml": _yaml(openapi(registry, queries)),
        "asyncapi.yaml": _yaml(asyncapi(registry)),
        **{f"lock/{name}.json": _json(part) for name, part in in_files(lock, registry).items()},
    }
    for name, spec in sorted(registry.events.items()):
        made[f"schemas/{name}.json"] = _json(json_schema(spec.cls, "output"))
        published = len(previous.get("events", {}).get(name, ()))
        for number in range(1, len(lock["events"][name]) + 1):
            path = f"samples/{name}.{number}.json"
            is_old = number <= published
            made[path] = (home / path).read_text(encoding="utf-8") if is_old else _json(sample(spec.cls))
    for name, command in sorted(registry.commands.items()):
        made[f"schemas/{name}.json"] = _json(json_schema(command.cls, "input" if command.is_public else "message"))
    return made | {f"../{path}": text for path, text in (readmes(root, registry) | pages(root, tables)).items()}


def _require_remembered(home: Path, previous: Mapping[str, Any]) -> None:
    """Raises BreakingChange where a sample is of a version that the lock does not know: it was lost, or cut."""
    forgotten = []
    for file in sorted((home / "samples").glob("*.json")):
        name, _, number = file.stem.rpartition(".")
        if int(number) > len(previous.get("events", {}).get(name, ())):
            forgotten.append(f"{name}: the lock does not know version {number}, of which there is a sample")
    if forgotten:
        raise BreakingChange("\n".join([*forgotten, "Restore contracts/lock/ from the history of the repository."]))


def read_lock(root: Path) -> dict[str, Any]:
    """What was published of every contract, from contracts/lock/."""
    files = sorted((root / "contracts" / "lock").glob("*.json"))
    return whole(json.loads(file.read_text(encoding="utf-8")) for file in files)


def differences(root: Path, wanted: Mapping[str, str]) -> dict[str, str]:
    """Path below contracts/ -> "new", "changed" or "stale" for every document that is not as it should be."""
    home = root / "contracts"
    found: dict[str, str] = {}
    for path, text in wanted.items():
        if not (home / path).exists():
            found[path] = "new"
        elif (home / path).read_text(encoding="utf-8") != text:
            found[path] = "changed"
    for folder in ("schemas", "samples", "lock"):
        stale = {f"{folder}/{file.name}" for file in (home / folder).glob("*.json")} - set(wanted)
        found |= dict.fromkeys(sorted(stale), "stale")
    return found


def write(
    root: Path, registry: Registry, queries: Iterable[QueryDoc], consumers: Consumers, tables: Tables = ()
) -> dict[str, str]:
    """Write what differs and remove what is stale; returns `differences`.  Raises BreakingChange, writing nothing."""
    wanted = documents(root, registry, queries, consumers, tables)
    found = differences(root, wanted)
    for path, what in found.items():
        file = root / "contracts" / path
        if what == "stale":
            file.unlink()
        else:
            file.parent.mkdir(exist_ok=True)
            file.write_text(wanted[path], encoding="utf-8")
    return found


def _json(data: Any) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _yaml(data: Any) -> str:
    import yaml  # noqa: PLC0415 - only developers have it; whoever serves openapi() as JSON needs it not

    class Plain(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]  # libyaml's where there is one
        def ignore_aliases(self, data: Any) -> bool:
            return True

    return yaml.dump(data, Dumper=Plain, sort_keys=False, allow_unicode=True, width=120)


def repository() -> Path:
    """The folder that holds contracts/."""
    return Path(str(contracts.__file__)).parents[1]


def main(tables: Tables = (), *, check: bool = False) -> int:
    """`salestream contracts`: write the documents (or only `check`), say what changed; 1 when something breaks.

    `tables` are those that other rooms have for pages of docs/: path and table.
    """
    queries, consumers = collect()
    try:
        if check:
            found = differences(repository(), documents(repository(), REGISTRY.load(), queries, consumers, tables))
        else:
            found = write(repository(), REGISTRY.load(), queries, consumers, tables)
    except BreakingChange as error:
        print(f"refused, nothing was written:\n{error}", file=sys.stderr)
        return 1
    for path, what in found.items():
        print(f"{what:8} {normpath(f'contracts/{path}')}")
    if not found:
        print("the documents are up to date")
    return 1 if check and found else 0
