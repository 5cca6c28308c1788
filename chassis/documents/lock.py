"""The lock: the memory of what was published, and the check that nothing published breaks (FULL_TRANSITIVE).

It is kept in one file for each module of contracts, so that a change is read beside what it changes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from chassis.documents.json_schema import JsonSchema, json_schema
from chassis.documents.reads import BreakingChange, fields_read
from contracts.declare import Registry

FieldMap = dict[str, dict[str, Any]]
Consumers = Mapping[str, Mapping[type, Callable[..., Any]]]


def field_map(cls: type) -> FieldMap:
    """The fields of a contract as the lock keeps them: type, whether required, default, and what is inside."""
    schema = json_schema(cls, "output")
    return _fields(schema, schema.get("$defs", {}))


def _fields(schema: JsonSchema, parts: Mapping[str, JsonSchema]) -> FieldMap:
    required = schema.get("required", ())
    return {
        name: {
            **_shape(inner, parts),
            "required": name in required,
            **({"default": inner["default"]} if "default" in inner else {}),
        }
        for name, inner in schema["properties"].items()
    }


def _shape(schema: JsonSchema, parts: Mapping[str, JsonSchema]) -> dict[str, Any]:
    """What JSON has at this place, without the bounds: those may change."""
    if "anyOf" in schema:
        first, null = schema["anyOf"]
        assert null == {"type": "null"}
        return {**_shape(first, parts), "nullable": True}
    if "$ref" in schema:
        return {"type": "object", "fields": _fields(parts[schema["$ref"].rpartition("/")[2]], parts)}
    types = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    shape: dict[str, Any] = {"type": schema.get("format", types[0])}
    if "null" in types:
        shape["nullable"] = True
    if "enum" in schema:
        shape["enum"] = [choice for choice in schema["enum"] if choice is not None]
    if "items" in schema:
        shape["items"] = _shape(schema["items"], parts)
    return shape


def check_compatible(previous_versions: Mapping[str, Sequence[FieldMap]], current: Mapping[str, FieldMap]) -> None:
    """Check every contract against all of its published versions (FULL_TRANSITIVE).

    Fields with a default may be added or removed, an enum may grow; all else breaks somebody.  Commands refuse
    unknown fields, so no field of a command may be removed; a required one may get a default, for whoever sends it
    goes on doing so; one that could be null to say what leaving it out says may cease to take null (ADR 0020).
    Raises BreakingChange naming every contract and field.
    """
    problems: list[str] = []
    for name, versions in previous_versions.items():
        if name not in current:
            problems.append(f"{name} is gone: it stays declared as long as somebody may speak it")
            continue
        is_event = name.startswith("salestream.")
        way_out = f"declare {_next_major(name)} beside it" if is_event else "declare a new command beside it"
        for number, version in enumerate(versions, 1):
            problems += [
                f"{name}: {problem} (version {number}): put it back, or {way_out}"
                for problem in _breaks(version, current[name], "", removable=is_event)
            ]
    if problems:
        raise BreakingChange("\n".join(problems))


def _next_major(event_type: str) -> str:
    stem, _, major = event_type.rpartition(".v")
    return f"{stem}.v{int(major) + 1}"


def _breaks(old: FieldMap, new: FieldMap, prefix: str, *, removable: bool) -> Iterator[str]:
    for name in [*old, *(name for name in new if name not in old)]:
        where = f"field {prefix}{name}"
        if name not in new:
            if old[name]["required"]:
                yield f"{where} was required and is gone"
            elif not removable:
                yield f"{where} is gone, and a command refuses unknown fields"
        elif name not in old:
            if new[name]["required"]:
                yield f"{where} is new and has no default"
        else:
            if old[name]["required"] != new[name]["required"] and (removable or new[name]["required"]):
                yield f"{where} {'lost' if new[name]['required'] else 'got'} its default"
            before = old[name]
            if (
                not removable
                and before.get("nullable")
                and before.get("default", ...) is None
                and "default" not in new[name]
            ):
                before = {**before, "nullable": new[name].get("nullable", False)}
            yield from _shape_breaks(before, new[name], f"{prefix}{name}", removable=removable)


def _shape_breaks(old: dict[str, Any], new: dict[str, Any], path: str, *, removable: bool) -> Iterator[str]:
    if old["type"] != new["type"]:
        yield f"field {path} was of type {old['type']} and is of type {new['type']}"
    elif old.get("nullable", False) != new.get("nullable", False):
        yield f"field {path} {'may be' if new.get('nullable') else 'may no longer be'} null"
    elif "enum" in new and "enum" not in old:
        yield f"field {path} was free text and is an enum"
    elif lost := [choice for choice in old.get("enum", ()) if "enum" in new and choice not in new["enum"]]:
        yield f"field {path} lost the enum values {', '.join(lost)}"
    elif "items" in old:
        yield from _shape_breaks(old["items"], new["items"], f"{path}[]", removable=removable)
    elif "fields" in old:
        yield from _breaks(old["fields"], new["fields"], f"{path}.", removable=removable)


def next_lock(previous: Mapping[str, Any], registry: Registry, consumers: Consumers) -> dict[str, Any]:
    """The lock after publishing today's contracts.  Raises BreakingChange when that would break somebody."""
    lock: dict[str, Any] = {}
    for kind, specs in (("events", registry.events), ("commands", registry.commands)):
        versions: dict[str, list[FieldMap]] = dict(previous.get(kind, {}))
        current = {name: field_map(spec.cls) for name, spec in specs.items()}
        check_compatible(versions, current)
        for name, fields_now in current.items():
            if not versions.get(name) or versions[name][-1] != fields_now:
                versions[name] = [*versions.get(name, []), fields_now]
        lock[kind] = dict(sorted(versions.items()))
    lock["consumers"] = {
        name: {registry.event_of(cls).name: fields_read(handler, cls) for cls, handler in _by_event(handlers)}
        for name, handlers in sorted(consumers.items())
    }
    return lock


def in_files(lock: Mapping[str, Any], registry: Registry) -> dict[str, dict[str, Any]]:
    """The part of the lock that belongs to each module of contracts; who reads an event stands beside the event."""
    files: dict[str, dict[str, Any]] = {}
    for kind, specs in (("events", registry.events), ("commands", registry.commands)):
        for name, versions in lock[kind].items():
            part = files.setdefault(specs[name].service, {"events": {}, "commands": {}, "consumers": {}})
            part[kind][name] = versions
    for reader, events in lock["consumers"].items():
        for name, read in events.items():
            files[registry.events[name].service]["consumers"].setdefault(reader, {})[name] = read
    return dict(sorted(files.items()))


def whole(files: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The lock of its files."""
    lock: dict[str, Any] = {"events": {}, "commands": {}}
    for part in files:
        for kind, known in lock.items():
            known.update(part[kind])
    return lock


def _by_event(handlers: Mapping[type, Callable[..., Any]]) -> list[tuple[type, Callable[..., Any]]]:
    return sorted(handlers.items(), key=lambda item: item[0].__name__)
