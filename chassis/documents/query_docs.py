"""What the documents tell of queries, derived from views."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints, is_typeddict
from uuid import UUID

from chassis.documents.json_schema import JsonSchema, docstring
from chassis.model.actions import NO_PAGES, Pages
from chassis.model.changes import LONGEST_LIST
from chassis.model.duplicates import BESIDES, MOST_TOLD, alike_by, asked_by, kind_of_view, path_of, right_of
from chassis.model.merging import preview_path
from chassis.model.merging import right_of as right_to_merge
from chassis.model.views import LABELS, LISTS, Exact, Filter, Incomplete, OfCaller, Range, Shared, View
from chassis.queries.conditions import (
    DEEPEST,
    EMPTINESS,
    MOST_CONDITIONS,
    OPERATORS,
    fields_asked,
    operators_of,
)
from chassis.queries.conditions import LONGEST as LONGEST_WHERE
from chassis.queries.conditions import LONGEST_VALUE as LONGEST_ASKED
from chassis.queries.filters import AMOUNT, LONGEST, MOST_VALUES, MOST_WORDS, WHOLE
from chassis.queries.grouping import MOST_SUMS, groups_of, sums_of
from chassis.queries.history import CURSOR, LIMIT, SINCE, UNTIL_WHEN, told_fields
from chassis.queries.overviews import ROWS, Part, parts_of
from chassis.queries.reader import DEFAULT_LIMIT, FORMATS
from contracts.currencies import DECIMALS
from contracts.custom_fields import OWN
from contracts.declare import REGISTRY, CommandSpec, ContractError
from contracts.lists import AS_OF, GROUP, HEADS, MOST_ROWS, SUM, VIEW, WHERE, Heads
from contracts.merging import DUPLICATE, TAKE
from contracts.permissions import FIELD_RIGHTS
from contracts.records import TAGS
from contracts.saved_views import MINE
from contracts.types import CurrencyField


@dataclass(frozen=True)
class QueryDoc:
    """What the documents tell of a query.

    `params` are OpenAPI parameter objects; `row_schema` describes one row and must be open, since a single row is
    answered together with its freshness.  `row` is the name under which the documents have it.  `actions`: it is told
    what the caller may do.
    """

    path: str
    operation_id: str
    service: str
    summary: str
    permission: str
    row: str
    row_schema: JsonSchema
    params: list[dict[str, Any]] = field(default_factory=list)
    is_list: bool = True
    export: bool = False
    actions: bool = False
    method: str = "GET"


def query_docs(view: View, pages: Pages = NO_PAGES, views: Sequence[View] = ()) -> list[QueryDoc]:
    """The operations of a view: its list, one row, or both; `pages` tell what may be done, and `views` are all there
    are."""
    name_of_row = view.row.__name__
    row = row_schema(view.row, view.hidden)
    if view.growing_lists:
        row["properties"][LISTS] = lists_schema(view.growing_lists)
        row["required"].append(LISTS)
    if view.picked or view.kind:
        row["properties"][LABELS] = labels_schema(view)
    if view.picked:
        row["required"].append(LABELS)
    taken = {field.name for spec in setters(view) for field in fields(spec.cls)}
    if taken & row["properties"].keys():
        for name in row["properties"].keys() - taken:
            row["properties"][name]["readOnly"] = True
    summary = docstring(view.row)
    found: list[QueryDoc] = []
    if view.is_list:
        text = f"List {plural(view.what)}: pages, sorted and filtered, or all of them as a file. Each row: {summary}"
        parameters = list_parameters(view)
        found.append(
            QueryDoc(view.path, view.name, "reports", text, view.permission, name_of_row, row, parameters, export=True)
        )
    if path := view.page:
        name = f"{view.name}_one" if view.detail else view.name
        parameter = {
            "name": path.rpartition("{")[2].rstrip("}"),
            "in": "path",
            "required": True,
            "schema": {"type": "string"},
        }
        as_of = [_parameter(AS_OF, MOMENT)] if view.history else []
        parameters = [parameter, *as_of]
        found.append(
            QueryDoc(
                path, name, "reports", summary, view.permission, name_of_row, row, parameters,
                is_list=False, actions=pages.tell(path),
            )
        )  # fmt: skip
        if view.history:
            found.append(_history_doc(view, f"{path}/history", parameter))
        if view.overview:
            found.append(_overview_doc(view, parameter, parts_of(view, views)))
        if path_of(view):
            found.append(_duplicates_doc(view))
        if preview_path(view):
            found.append(_merging_doc(view, parameter, parts_of(view, views)))
    return found


def _duplicates_doc(view: View) -> QueryDoc:
    """Whether such a record is there already."""
    by = "; ".join(f"{' and '.join(one.fields)}{'' if one.refused else ' (a hint)'}" for one in alike_by(view))
    text = (
        f"Whether a {view.what} is there already, before it is entered, and while it is edited: the same in what is "
        f"given, {by}. Of those that the caller may not see it tells that there are some, and nothing of them."
    )
    row: JsonSchema = {"$ref": f"#/components/schemas/{view.row.__name__}"}
    alike: JsonSchema = {
        "type": "object",
        "properties": {
            "fields": {"type": "array", "items": {"type": "string", "enum": [*asked_by(view)]}},
            "refused": {"type": "boolean", "description": "Another one that is so is refused: DUPLICATE."},
            "items": {"type": "array", "items": row, "maxItems": MOST_TOLD, "description": "Those seen."},
            "unseen": {"type": "boolean", "description": "There are some that the caller may not see."},
        },
        "required": ["fields", "refused", "items", "unseen"],
    }
    schema: JsonSchema = {
        "type": "object",
        "properties": {"alike": {"type": "array", "items": alike}},
        "required": ["alike"],
    }
    besides: JsonSchema = {"type": "string", "format": "uuid", "description": "The one that is edited."}
    parameters = [_parameter(name, {"type": "string", "minLength": 1}) for name in asked_by(view)]
    parameters.append(_parameter(BESIDES, besides))
    name, row_name = f"{view.name}_duplicates", f"{view.row.__name__.removesuffix('Row')}Duplicates"
    right = right_of(view)
    return QueryDoc(path_of(view), name, "reports", text, right, row_name, schema, parameters, is_list=False)


def _merging_doc(view: View, parameter: dict[str, Any], parts: Sequence[Part]) -> QueryDoc:
    """What would come of it if a record went into another one."""
    text = (
        f"What would come of it if another {view.what} went into this one: both, what each field would be, and how "
        "many rows of each list would be found with this one. It decides nothing, and tells what the caller may see."
    )
    kind = kind_of_view(view)
    assert kind is not None, "records are merged"
    row: JsonSchema = {"$ref": f"#/components/schemas/{view.row.__name__}"}
    number: JsonSchema = {"type": "integer", "minimum": 0}
    counts: JsonSchema = {
        "type": "object",
        "properties": dict.fromkeys(("survivor", "duplicate", "together"), number),
        "required": ["survivor", "duplicate", "together"],
    }
    field: JsonSchema = {
        "type": "object",
        "properties": {
            "field": {"type": "string", "enum": [*kind.fields, OWN]},
            "survivor": {"type": ANYTHING, "description": "What it is now."},
            "duplicate": {"type": ANYTHING, "description": "What the other one has."},
            "same": {"type": "boolean"},
            "result": {"type": ANYTHING, "description": "What it would be."},
        },
        "required": ["field", "survivor", "duplicate", "same", "result"],
    }
    schema: JsonSchema = {
        "type": "object",
        "properties": {
            "survivor": row,
            "duplicate": row,
            "fields": {"type": "array", "items": field},
            "parts": {"type": "object", "properties": {part.name: counts for part in parts}},
        },
        "required": ["survivor", "duplicate", "fields", "parts"],
    }
    takes = [name for name in (*kind.fields, OWN) if name != TAGS]
    taken: JsonSchema = {"type": "array", "items": {"type": "string", "enum": takes}}
    parameters = [
        parameter,
        {**_parameter(DUPLICATE, {"type": "string", "format": "uuid"}), "required": True},
        _parameter(TAKE, taken),
    ]
    name, row_name = f"{view.name}_merging", f"{view.row.__name__.removesuffix('Row')}Merging"
    return QueryDoc(
        preview_path(view), name, "reports", text, right_to_merge(view), row_name, schema, parameters, is_list=False
    )


def _overview_doc(view: View, parameter: dict[str, Any], parts: Sequence[Part]) -> QueryDoc:
    """All that there is about one row."""
    text = (
        f"All that there is about a {view.what} in one answer: the {view.what} with what may be done, the first {ROWS} "
        "rows of each list that names it, as that list answers them to the caller, and who changed it last. Each part "
        "tells where all of it is found, and null in place of what could not be read in time; lists that the caller "
        "may not see are left out."
    )
    row = f"{view.row.__name__}Overview"
    schema = overview_schema(view, parts)
    name = f"{view.name}_overview"
    return QueryDoc(view.overview, name, "reports", text, view.permission, row, schema, [parameter], is_list=False)


def overview_schema(view: View, parts: Sequence[Part]) -> JsonSchema:
    """What the page of all that there is about a row tells."""
    path: JsonSchema = {"type": "string", "description": "Where all of it is found."}
    name = view.row.__name__
    actions: JsonSchema = {"type": "array", "items": {"$ref": "#/components/schemas/Action"}}
    return {
        "type": "object",
        "properties": {
            "record": {
                "allOf": [
                    {"$ref": f"#/components/schemas/{name}"},
                    {"type": "object", "properties": {"actions": actions}, "required": ["actions"]},
                ]
            },
            "parts": {
                "type": "object",
                "properties": {part.name: _part_schema(part, path) for part in parts},
                "additionalProperties": False,
            },
            "history": {
                "allOf": [
                    {"$ref": f"#/components/schemas/{name}History"},
                    {"type": "object", "properties": {"path": path}, "required": ["path"]},
                ]
            },
        },
        "required": ["record", "parts", "history"],
    }


def _part_schema(part: Part, path: JsonSchema) -> JsonSchema:
    rows: JsonSchema = {
        "type": ["array", "null"],
        "maxItems": ROWS,
        "items": {"$ref": f"#/components/schemas/{part.view.row.__name__}"},
        "description": "The first of them; null where they could not be read in time: `path` has them.",
    }
    total: JsonSchema = {
        "type": ["integer", "null"],
        "minimum": 0,
        "description": "How many there are in all; null where they could not be counted in time.",
    }
    return {
        "type": "object",
        "properties": {"items": rows, "total": total, "path": path},
        "required": ["items", "total", "path"],
    }


def _history_doc(view: View, path: str, parameter: dict[str, Any]) -> QueryDoc:
    """Who changed what in one row."""
    schemas: dict[str, JsonSchema] = {
        SINCE: {**MOMENT, "description": "What happened from this moment, or this day, on."},
        UNTIL_WHEN: {**MOMENT, "description": "What happened up to this moment, or until this day is over."},
        LIMIT: {"type": "integer", "minimum": 1, "maximum": MOST_ROWS, "default": DEFAULT_LIMIT},
        CURSOR: {"type": "string", "minLength": 1, "description": "`next` of a page"},
    }
    text = (
        f"Who changed what in a {view.what}, from which value to which, when, and by which command; the newest first."
    )
    parameters = [parameter, *(_parameter(name, schema) for name, schema in schemas.items())]
    name = f"{view.name}_history"
    row = f"{view.row.__name__}History"
    return QueryDoc(path, name, "reports", text, view.permission, row, history_schema(view), parameters, is_list=False)


def history_schema(view: View) -> JsonSchema:
    """What a row's history tells."""
    row = row_schema(view.row)["properties"]
    names = told_fields(view, row)
    value: JsonSchema = {"type": ANYTHING, "description": "As in the row; null where there was none."}
    change: JsonSchema = {
        "type": "object",
        "properties": {"field": _field_schema(names), "before": value, "after": value},
        "required": ["field", "before", "after"],
    }
    if view.picked:
        change["properties"]["labels"] = {
            "type": "array",
            "minItems": 2,
            "maxItems": 2,
            "items": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
            "description": "What was picked from a dictionary is called so in the caller's language: before and after.",
        }
    changes: JsonSchema = {
        "type": "array",
        "items": change,
        "description": "Fields that the caller may not see are not among them.",
    }
    person: JsonSchema = {
        "type": "object",
        "properties": {"user_id": {"type": ["string", "null"], "format": "uuid"}, "name": {"type": "string"}},
        "required": ["user_id", "name"],
    }
    entry: JsonSchema = {
        "type": "object",
        "properties": {
            "version": {"type": "integer", "minimum": 1, "description": "That of the record from then on."},
            "at": {"type": "string", "format": "date-time"},
            "event": {"type": "string", "enum": sorted(view.history_types)},
            "by": person,
            "cause": {"type": "string", "description": "The id of the command, or of the event, that led to it."},
            "changes": changes,
        },
        "required": ["version", "at", "event", "by", "cause", "changes"],
    }
    return {
        "type": "object",
        "properties": {
            "items": {"type": "array", "items": entry},
            "next": {"type": ["string", "null"], "description": "The cursor of what happened earlier."},
            "difference": {
                **changes,
                "description": "What differs at `to` (or now) from `from` (or before all); if either is given.",
            },
        },
        "required": ["items", "next"],
    }


ANYTHING = ["string", "number", "boolean", "array", "object", "null"]
"""What is of the type that another field names."""


def _field_schema(names: Sequence[str]) -> JsonSchema:
    """The name of a field of a row, one that the company has added among them."""
    known = [name for name in names if name != OWN]
    if OWN not in names:
        return {"type": "string", "enum": known}
    return {"type": "string", "anyOf": [{"enum": known}, {"pattern": rf"^{OWN}\."}]}


def setters(view: View) -> list[CommandSpec]:
    """The commands that change the very record that a row shows: they take back what a query gave, but for what the
    documents call read-only."""
    path = f"{view.path}/{{{view.detail}}}"
    return [
        spec
        for spec in REGISTRY.commands.values()
        if spec.method in ("PUT", "PATCH")
        and spec.key == view.detail
        and (default_of(spec.cls, spec.key) in view.defaults or str(spec.path).endswith(path))
    ]


def default_of(cls: Any, name: str) -> Any:
    return next(item.default for item in fields(cls) if item.name == name)


def plural(what: str) -> str:
    """customer -> customers, company -> companies."""
    if what.endswith("s"):
        return what
    return f"{what[:-1]}ies" if re.search("[^aeiou]y$", what) else f"{what}s"


ROW_TYPES: dict[Any, JsonSchema] = {
    UUID: {"type": "string", "format": "uuid"},
    str: {"type": "string"},
    int: {"type": "integer"},
    bool: {"type": "boolean"},
    Decimal: {"type": "string", "description": "a decimal number"},
    date: {"type": "string", "format": "date"},
    datetime: {"type": "string", "format": "date-time"},
}


def row_schema(row: type, hidden: Collection[str] = ()) -> JsonSchema:
    """The schema of a view's row; open, and every field may be null: it may not have happened yet.

    All of them are there but those that are `hidden` from who lacks a right.
    """
    hints = get_type_hints(row)
    return {
        "description": docstring(row),
        "type": "object",
        "properties": {name: _row_type(hint) for name, hint in hints.items()},
        "required": [name for name in hints if name not in hidden],
    }


def lists_schema(names: Sequence[str]) -> JsonSchema:
    """What a row tells of its lists."""
    return {
        "type": "object",
        "description": f"How many entries each list ever had; of more than {LONGEST_LIST} the oldest are left out. "
        "Who did what when stands in the audit log for ever.",
        "properties": {name: _told_of_list() for name in names},
    }


def labels_schema(view: View) -> JsonSchema:
    """What a row tells of what was picked from dictionaries."""
    text: JsonSchema = {"type": "string"}
    several: JsonSchema = {"type": "array", "items": text}
    names = {name: several if view.types[name].kind == "list" else text for name in view.picked}
    return {
        "type": "object",
        "description": "What is called, in the caller's language, what was picked from dictionaries; of several in "
        "their order. A text that is no entry stands for itself. Also the names of the users in fields that the "
        "company has added, by `own.` and the key.",
        "properties": names,
    }


def _told_of_list() -> JsonSchema:
    return {
        "type": "object",
        "properties": {name: {"type": "integer", "minimum": 0} for name in ("total", "left_out")},
        "required": ["total", "left_out"],
    }


def _row_type(hint: Any) -> JsonSchema:
    """The schema of a field of a row, which may be null as long as what tells of it has not happened."""
    return _or_null(_part_type(hint))


def _part_type(hint: Any) -> JsonSchema:
    """The schema of what stands within a row: null only where it is declared so.

    Raises ContractError for a type that says nothing: whoever reads the answer must know what to expect.
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (list, tuple):
        return {"type": "array", "items": _part_type(arguments[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": arguments[1] is Any or _part_type(arguments[1])}
    if origin is Literal:
        return {"type": "string", "enum": [*arguments]}
    if NoneType in arguments:
        return _or_null(_part_type(next(argument for argument in arguments if argument is not NoneType)))
    if hint in ROW_TYPES:
        return dict(ROW_TYPES[hint])
    if is_typeddict(hint) or is_dataclass(hint) or hasattr(hint, "__struct_fields__"):
        return _object_type(hint)
    raise ContractError(f"the documents can't tell what {hint} is: declare its fields")


def _object_type(cls: type) -> JsonSchema:
    """An object with its fields: all are there, but those of a TypedDict that need not be, and those that need a right
    of their own (`FIELD_RIGHTS`)."""
    hints = get_type_hints(cls)
    there: Collection[str] = getattr(cls, "__required_keys__", hints)
    return {
        **({"description": text} if (text := docstring(cls)) else {}),
        "type": "object",
        "properties": {name: _part_type(hint) for name, hint in hints.items()},
        "required": [name for name in hints if name in there and name not in FIELD_RIGHTS],
    }


def _or_null(schema: JsonSchema) -> JsonSchema:
    if isinstance(schema["type"], list):
        return schema
    choices = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
    return {**schema, **choices, "type": [schema["type"], "null"]}


WORDS: JsonSchema = {
    "type": "string",
    "minLength": 1,
    "maxLength": LONGEST,
    "description": f"At most {MOST_WORDS} words, each of which must occur.",
}
RANGE_SCHEMAS: dict[type, JsonSchema] = {
    datetime: {
        "type": "string",
        "anyOf": [{"format": "date-time"}, {"format": "date"}],
        "description": "A moment, in the company's time zone unless it tells an offset; or a day, the whole of it.",
    },
    date: {"type": "string", "format": "date"},
    Decimal: {"type": "string", "pattern": f"^{AMOUNT.pattern}$"},
    int: {"type": "string", "pattern": f"^{WHOLE.pattern}$"},
}


MOMENT: JsonSchema = {
    **RANGE_SCHEMAS[datetime],
    "description": "As it was at a moment, in the company's time zone unless it tells an offset, or at a day's end.",
}
SWITCHES: Mapping[type[Filter], str] = {
    Shared: "true: what others have shared with the caller or their department; false: all else",
    Incomplete: "true: what lacks a field that the company wants to be filled; false: all else",
}


def list_parameters(view: View) -> list[dict[str, Any]]:
    """The query parameters of a list: its filters, then order and pages."""
    sorts = view.sortable
    schemas: dict[str, JsonSchema] = {}
    for name, rule in view.filters.items():
        if isinstance(rule, Range):
            schemas[f"{name}_from"] = schemas[f"{name}_to"] = RANGE_SCHEMAS[rule.kind]
        elif isinstance(rule, OfCaller):
            schemas[name] = {"type": "string", "enum": ["true", "false"], "description": "Worked out of who asks."}
        else:
            if text := SWITCHES.get(type(rule)):
                schemas[name] = {"type": "string", "enum": ["true", "false"], "description": text}
                continue
            one = _value_schema(view, name, rule) if isinstance(rule, Exact) else WORDS
            schemas[name] = {"type": "array", "items": one, "maxItems": MOST_VALUES}
            if name == view.aside:
                schemas[name]["description"] = (
                    f"Rows that are {name} are there only for who asks by this, or in `where`."
                )
    schemas |= {
        WHERE: where_schema(view),
        "sort": _or_own(view, {"type": "string", "enum": [*sorts, *(f"-{name}" for name in sorts)]}),
        "limit": {"type": "integer", "minimum": 1, "maximum": MOST_ROWS, "default": DEFAULT_LIMIT},
        "cursor": {
            "type": "string",
            "minLength": 1,
            "description": "`next`, `previous` or `last` of a page, with its filters, conditions and sort",
        },
        "count": {"type": "string", "enum": ["true", "false"], "description": "true: tell the total too"},
        VIEW: {
            "type": "string",
            "anyOf": [{"const": MINE}, {"format": "uuid"}],
            "description": "The id of a saved view, for whose query it stands, or `default`: the one that the caller "
            "has chosen for this list. What the request gives besides replaces what was saved.",
        },
        **group_schemas(view),
        **({AS_OF: MOMENT} if view.history else {}),
        "format": {
            "type": "string",
            "enum": list(FORMATS),
            "description": "csv, xlsx: all rows as a file.  Moments are in UTC (RFC 3339) in csv, and in xlsx in the "
            "company's time zone, which the heading of their column names.",
        },
        HEADS: {
            "type": "string",
            "enum": list(get_args(Heads)),
            "description": "What a file tells: labels of fields, statuses, choices and tags in the caller's language "
            "(people get that), or names of fields and codes (programs get those).  On its second sheet an Excel file "
            "tells which field each column is of.",
        },
    }
    return [_parameter(name, schema) for name, schema in schemas.items()]


def _or_own(view: View, schema: JsonSchema) -> JsonSchema:
    """The schema of a field's name, which may be one that the company has added to such records."""
    if not view.kind:
        return schema
    more = {name: value for name, value in schema.items() if name != "enum"}
    return {**more, "anyOf": [{"enum": schema["enum"]}, {"pattern": rf"^-?{OWN}\."}]}


def group_schemas(view: View) -> dict[str, JsonSchema]:
    """The fields by which rows may be counted in groups, and those that may be summed; nothing where there are none."""
    found: dict[str, JsonSchema] = {}
    if groups_of(view):
        text = "Tell too how many rows have each value of this field, in all pages together."
        found[GROUP] = _or_own(view, {"type": "string", "enum": groups_of(view), "description": text})
    if sums_of(view):
        text = "Tell too what this field comes to, in each group; amounts for each currency by itself."
        one = _or_own(view, {"type": "string", "enum": sums_of(view), "description": text})
        found[SUM] = {"type": "array", "items": one, "maxItems": MOST_SUMS}
    return found


def saved_view_schema() -> JsonSchema:
    """What a list tells of the saved view that it was asked by."""
    text: JsonSchema = {"type": "string"}
    misfit = {"parameter": text, "reason": text, "detail": text}
    return {
        "type": "object",
        "description": "The saved view that was asked for: the columns to show (none: all), and what the list does not "
        "take any more, which was left out.",
        "properties": {
            "id": {"type": "string", "format": "uuid"},
            "name": text,
            "columns": {"type": "array", "items": text},
            "misfits": {
                "type": "array",
                "items": {"type": "object", "properties": misfit, "required": list(misfit)},
            },
        },
        "required": ["id", "name", "columns", "misfits"],
    }


def group_schema() -> JsonSchema:
    """One group of a list's rows."""
    amounts: JsonSchema = {"type": "object", "additionalProperties": {"type": "string"}}
    return {
        "type": "object",
        "description": "The rows that have one value of the field asked for.",
        "properties": {
            "value": {
                "type": ["string", "boolean", "null"],
                "description": "null: empty, or all rows where no field is named.",
            },
            "label": {
                "type": "string",
                "description": "Where the field is picked from a dictionary: what the value is called.",
            },
            "count": {"type": "integer", "minimum": 1},
            "sums": {
                "type": "object",
                "description": "Of each field asked for: a number, or an amount as text, or one for each currency.",
                "additionalProperties": {"anyOf": [{"type": "integer"}, {"type": "string"}, amounts]},
            },
        },
        "required": ["value", "count"],
    }


def where_schema(view: View) -> JsonSchema:
    """Conditions as a text, and what may be asked of each field."""
    by_operators: dict[str, list[str]] = {}
    for name, kind in fields_asked(view).items():
        by_operators.setdefault(", ".join(operators_of(kind)), []).append(name)
    told = "; ".join(f"{', '.join(names)}: {operators}" for operators, names in by_operators.items())
    return {
        "type": "string",
        "minLength": 1,
        "maxLength": LONGEST_WHERE,
        "contentMediaType": "application/json",
        "contentSchema": {"$ref": "#/components/schemas/Condition"},
        "description": f"Conditions as JSON, besides the filters. What may be asked of each field: {told}. Values are "
        "written as in filters; of a list some item is so. Fields that the caller may not see are not there.",
    }


def condition_schema() -> JsonSchema:
    """One condition on a field, or several joined."""
    several = {
        "type": "array",
        "minItems": 1,
        "maxItems": MOST_CONDITIONS,
        "items": {"$ref": "#/components/schemas/Condition"},
    }
    one = {"type": ["string", "number", "boolean"], "maxLength": LONGEST_ASKED}
    asked = [name for name in OPERATORS if name not in (*EMPTINESS, "one_of")]
    field: JsonSchema = {"type": "string"}

    def closed(**properties: JsonSchema) -> JsonSchema:
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }

    values = {"type": "array", "minItems": 1, "maxItems": MOST_VALUES, "items": one}
    return {
        "description": f"A condition on a field, or several of which all (and) or some (or) must hold: at most "
        f"{MOST_CONDITIONS}, nested {DEEPEST} deep, with {MOST_VALUES} values in all.",
        "oneOf": [
            closed(**{"and": several}),
            closed(**{"or": several}),
            closed(**{"field": field, "is": {"type": "string", "enum": asked}, "value": one}),
            closed(**{"field": field, "is": {"const": "one_of"}, "value": values}),
            closed(**{"field": field, "is": {"type": "string", "enum": list(EMPTINESS)}}),
        ],
    }


def _parameter(name: str, schema: JsonSchema) -> dict[str, Any]:
    """A list parameter; one that may be repeated is an array, of which each value is a parameter of its own."""
    repeated = {"style": "form", "explode": True} if schema["type"] == "array" else {}
    return {"name": name, "in": "query", **repeated, "schema": schema}


def _value_schema(view: View, name: str, rule: Exact) -> JsonSchema:
    """One value of an exact filter, by what `chassis.queries.filters` takes."""
    kind = view.types[rule.field or name].single
    if choices := rule.among or kind.choices or (("true", "false") if kind.kind == "flag" else ()):
        return {"type": "string", "enum": list(choices)}
    if known := rule.known or kind.known:
        text = f"One of the {known} there are; another one is refused with those."
        return {"type": "string", "minLength": 1, "maxLength": LONGEST, "description": text}
    if isinstance(kind.guard, CurrencyField):
        return {"type": "string", "enum": sorted(DECIMALS)}
    if kind.kind == "id" or rule.form == "id":
        return {"type": "string", "format": "uuid", "description": "The id of a record; what is no UUID is refused."}
    forms = {"anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]} if rule.form == "address" else {}
    return {"type": "string", "minLength": 1, "maxLength": LONGEST, **forms}
