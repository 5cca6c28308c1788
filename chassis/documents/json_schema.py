"""JSON Schema (2020-12) of a contract, derived from the marshmallow schema that guards it.

    json_schema(SubmitOrder, "input")               # a document of its own, parts under $defs
    components([SubmitOrder, CancelOrder], "input") # parts for "#/components/schemas" of OpenAPI and AsyncAPI

Three forms: what is taken *in* over HTTP (commands: closed, an amount may be a JSON number, null says that there is no
value, and so does an empty text in place of a text), the *message* in which one service commands another (closed), and
what is given *out* (events: open, since readers drop what they don't know; an amount is always a string).  What the
first accepts, `load` accepts.
"""

import inspect
import re
from collections.abc import Iterable, Iterator
from dataclasses import is_dataclass
from functools import partial
from typing import Any, Literal, get_args, get_type_hints

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import Schema, fields

from contracts.currencies import DECIMALS
from contracts.custom_fields import (
    KEY,
    MOST_CHOICES,
    MOST_FIELDS,
    CustomKeyField,
    CustomTextField,
    GivenOwnField,
    OwnField,
)
from contracts.dictionaries import EntryCodeField
from contracts.personal import plan_of, sealed_length
from contracts.schemas import schema_of, stands_once, takes_empty, takes_null
from contracts.text import AROUND, NO_LINE, NO_ORDER
from contracts.types import (
    LONGEST_DECIMAL,
    AmountField,
    BirthdayField,
    ChangeField,
    ClockField,
    CurrencyField,
    DayField,
    DecimalField,
    EmailField,
    PathNameField,
    PhoneField,
    RateField,
    RoleField,
    TextField,
)

Form = Literal["input", "message", "output"]
JsonSchema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
COMPONENTS = "#/components/schemas/"

CONTROLS = r"\x00-\x08\x0b\x0c\x0e-\x1f"
ANY_TEXT = f"^[^{CONTROLS}]*$"
SOME_TEXT = rf"^[^{CONTROLS}]*[^\s{CONTROLS}][^{CONTROLS}]*$"
SINCE_1900 = "^(19|[2-9][0-9])[0-9]{2}-"
NO_LINE_AFTER = r"(?!\n)"  # in Python $ also matches before a last line break
TEXT_END = "$" + NO_LINE_AFTER
NOT_WITHIN = NO_LINE + NO_ORDER
ANY_LINE = f"^[{AROUND}]*[^{NOT_WITHIN}]*[{AROUND}]*{TEXT_END}"
SOME_LINE = rf"^[{AROUND}]*[^\s{NOT_WITHIN}][^{NOT_WITHIN}]*[{AROUND}]*{TEXT_END}"
BARRED = NOT_WITHIN + re.escape(PathNameField.barred)
PATH_NAME = rf"^(?![{AROUND}]*\.{{1,2}}[{AROUND}]*$)[{AROUND}]*[^\s{BARRED}][^{BARRED}]*[{AROUND}]*{TEXT_END}"
EXAMPLES: dict[type[fields.Field[Any]], Any] = {
    AmountField: "1234.50",
    ClockField: "22:30",
    CurrencyField: "CNY",
    CustomKeyField: "tax_number",
    BirthdayField: "1990-05-17",
    EmailField: "li@example.com",
    GivenOwnField: {},
    OwnField: '{"number":{"seats":"12"},"text":{"tax_number":"91320594"}}',
    PhoneField: "13912345678",
    RateField: "7.12345678",
    RoleField: "SAL",
    EntryCodeField: "RETAIL",
}


def json_schema(cls: type, form: Form) -> JsonSchema:
    """The schema of a contract as a document that stands alone."""
    parts = _rebased(components([cls], form), "#/$defs/")
    own = parts.pop(cls.__name__)
    return {"$schema": DIALECT, "title": cls.__name__, **own, **({"$defs": parts} if parts else {})}


def components(classes: Iterable[type], form: Form) -> dict[str, JsonSchema]:
    """The schemas of contracts and of all values they are made of, by component name."""
    wanted = {_component(cls, is_part=False, form=form): cls for cls in classes}
    parts = {_component(part, is_part=True, form=form): part for cls in wanted.values() for part in parts_of(cls)}
    plugin = MarshmallowPlugin(schema_name_resolver=partial(_part_name, form=form))
    spec = APISpec(title="Salestream", version="1", openapi_version="3.1.0", plugins=[plugin])
    converter: Any = plugin.converter
    for function in (_text, _pattern, _decimal, _change, _day, _choice, _example, _own):
        converter.add_attribute_function(function)
    if form == "input":
        converter.add_attribute_function(_one_line)
        converter.add_attribute_function(_set)
    if form != "output":
        converter.add_attribute_function(_number_too)
        converter.add_attribute_function(_written_freely)
        converter.add_attribute_function(_currency)
    for name, cls in wanted.items():
        spec.components.schema(name, schema=schema_of(cls))
    found: dict[str, JsonSchema] = spec.to_dict()["components"]["schemas"]
    described = {**parts, **wanted}
    return {name: _finished(described[name], found[name], form) for name in sorted(found)}


def _sealed(text: JsonSchema, person: str) -> JsonSchema:
    """A personal text as it is published: sealed, and so longer; older ones, and those of nobody, are plain."""
    whose = f"the person that `{person}` names" if person else "the person that what it is a part of tells of"
    bounds = {name: text[name] for name in ("maxLength", "pattern", "format") if name in text}
    return {
        **{name: value for name, value in text.items() if name not in bounds},
        **({"maxLength": sealed_length(text["maxLength"])} if "maxLength" in bounds else {}),
        "description": f"Personal: sealed with the key of {whose} (docs/integrators.md).",
        "x-personal": {"person": person, **bounds},
    }


def parts_of(cls: type) -> Iterator[type]:
    """Every value class a contract is made of, at any depth."""
    for hint in get_type_hints(cls).values():
        for part in _classes(hint):
            yield part
            yield from parts_of(part)


def _classes(hint: Any) -> Iterator[type]:
    if isinstance(hint, type) and is_dataclass(hint):
        yield hint
    for argument in get_args(hint):
        yield from _classes(argument)


def _component(cls: type, *, is_part: bool, form: Form) -> str:
    return cls.__name__ + ("Input" if is_part and form != "output" else "")


def _part_name(schema: Schema | type[Schema], *, form: Form) -> str:
    """apispec asks for the name of a nested schema; marshmallow-dataclass names a schema after its dataclass."""
    cls = schema if isinstance(schema, type) else type(schema)
    return _component(cls, is_part=True, form=form)


def _finished(cls: type, schema: JsonSchema, form: Form) -> JsonSchema:
    """Add what apispec can't know: the docstring, and that readers of events tolerate unknown fields."""
    described = {"description": summary} if (summary := docstring(cls)) else {}
    if form == "input":
        own = schema_of(cls).fields
        taken = {name: _nothing_too(own[name], part) for name, part in schema.get("properties", {}).items()}
        schema = {**schema, **({"properties": taken} if taken else {})}
    elif plan := plan_of(cls):
        own_texts = {name: _sealed(schema["properties"][name], plan.person) for name in plan.texts}
        schema = {**schema, "properties": {**schema["properties"], **own_texts}}
    return {**described, **schema, "additionalProperties": form == "output"}


def _nothing_too(field: fields.Field[Any], schema: JsonSchema) -> JsonSchema:
    """What is taken in where there may be no value: null as well, and in place of a text an empty one."""
    if not takes_null(field):
        return schema
    if isinstance(field, TextField) and not field.shortest:
        return {**schema, **_typed(field, "string", *([] if field.allow_none else ["null"]))}
    empty: list[JsonSchema] = [] if field.allow_none else [{"type": "null"}]
    if takes_empty(field):
        empty.append({"const": ""})
    if not empty:
        return schema
    value = {name: part for name, part in schema.items() if name not in ("default", "anyOf")}
    default = {"default": schema["default"]} if "default" in schema else {}
    if default.get("default") == "" and not takes_empty(field):
        default = {"default": None}  # what leaving it out says is said by null
    return {"anyOf": [*schema.get("anyOf", [value]), *empty], **default}


def docstring(cls: type) -> str:
    """The docstring somebody wrote, or "" - not the signature that `dataclass` puts in its place."""
    text = inspect.cleandoc(cls.__doc__ or "")
    return "" if text.startswith(f"{cls.__name__}(") else text


def _rebased(node: Any, base: str) -> Any:
    """The same schema with its references pointing below `base`."""
    if isinstance(node, dict):
        return {
            key: base + value.removeprefix(COMPONENTS) if key == "$ref" else _rebased(value, base)
            for key, value in node.items()
        }
    return [_rebased(item, base) for item in node] if isinstance(node, list) else node


# -- what apispec does not know of our field types; each function runs after apispec's own -------------------------


def _typed(field: fields.Field[Any], *types: str) -> JsonSchema:
    names = [*types, "null"] if field.allow_none else list(types)
    return {"type": names[0] if len(names) == 1 else names}


def _text(_: Any, field: fields.Field[Any], **__: Any) -> JsonSchema:
    if not isinstance(field, TextField):
        return {}
    return {"pattern": SOME_TEXT if field.shortest else ANY_TEXT}


def _set(_: Any, field: fields.Field[Any], **__: Any) -> JsonSchema:
    """A list in which each value stands once; that letter case and width tell none apart no schema can say."""
    return {"uniqueItems": True} if isinstance(field, fields.List) and stands_once(field.inner) else {}


def _own(_: Any, field: fields.Field[Any], **__: Any) -> JsonSchema:
    """The values of fields that a company has added, by key.  Which there are, and what they take, is data."""
    if not isinstance(field, GivenOwnField):
        return {}
    text = {"type": "string", "maxLength": CustomTextField.longest}
    choices = {"type": "array", "items": {"type": "string"}, "maxItems": MOST_CHOICES}
    return {
        **_typed(field, "object"),
        "propertyNames": {"pattern": KEY.removesuffix(r"\Z") + TEXT_END},
        "additionalProperties": {"anyOf": [text, {"type": "number"}, choices, {"type": "null"}]},
        "maxProperties": MOST_FIELDS,
        "description": "Fields that the company has added: `GET /metadata` tells them; null takes a value away.",
    }


def _one_line(_: Any, field: fields.Field[Any], **__: Any) -> JsonSchema:
    """What is taken from outside; what services tell each other may be older than the rule that it has one line."""
    if not isinstance(field, TextField) or field.many_lines:
        return {}
    if isinstance(field, PathNameField):
        return {"pattern": PATH_NAME}
    return {"pattern": SOME_LINE if field.shortest else ANY_LINE}


def _pattern(_: Any, field: fields.Field[Any], *, ret: JsonSchema) -> JsonSchema:
    r"""JSON Schema's regular expressions have no \Z."""
    pattern = ret.get("pattern", "")
    if not pattern.endswith(r"\Z"):
        return {}
    return {"pattern": pattern.removesuffix(r"\Z") + TEXT_END}


def _decimal(_: Any, field: fields.Field[Any], **__: Any) -> JsonSchema:
    if not isinstance(field, DecimalField):
        return {}
    return {**_typed(field, "string"), "format": "decimal", "pattern": as_written(field)}


def as_written(field: DecimalField) -> str:
    """The pattern of what is given out: no sign, no zeros in front, and as many decimals as there are at most."""
    zeros = len(f"{field.highest:f}") - 1  # the upper bounds are powers of ten
    not_zero = "(?=.*[1-9])" if field.lowest else ""
    number = rf"[0-9]{{1,{zeros}}}(\.[0-9]{{1,{field.digits}}})?"
    highest = rf"10{{{zeros}}}(\.0{{1,{field.digits}}})?"
    return f"^{not_zero}({number}|{highest}){TEXT_END}"


def _number_too(_: Any, field: fields.Field[Any], **__: Any) -> JsonSchema:
    if not isinstance(field, DecimalField):
        return {}
    step = 10**-field.digits
    return {
        **_typed(field, "string", "number"),
        "pattern": field.taken() + NO_LINE_AFTER,
        "maxLength": LONGEST_DECIMAL,
        "minimum": step if field.lowest else 0,
        "maximum": int(field.highest),
        "multipleOf": step,
    }


def _written_freely(_: Any, field: fields.Field[Any], **__: Any) -> JsonSchema:
    """What is taken may be written in more ways than it is stored in."""
    in_forms = PhoneField | EmailField | BirthdayField
    return {"pattern": field.taken + NO_LINE_AFTER} if isinstance(field, in_forms) else {}


def _currency(_: Any, field: fields.Field[Any], **__: Any) -> JsonSchema:
    return {"pattern": f"^({'|'.join(sorted(DECIMALS))}){TEXT_END}"} if isinstance(field, CurrencyField) else {}


def _change(_: Any, field: fields.Field[Any], **__: Any) -> JsonSchema:
    return {"not": {"const": 0}} if isinstance(field, ChangeField) else {}


def _day(_: Any, field: fields.Field[Any], **__: Any) -> JsonSchema:
    return {"pattern": SINCE_1900} if isinstance(field, DayField) else {}


def _choice(_: Any, field: fields.Field[Any], *, ret: JsonSchema) -> JsonSchema:
    """A Literal: marshmallow-dataclass makes a field without a type of it."""
    return _typed(field, "string") if "enum" in ret and "type" not in ret else {}


def _example(_: Any, field: fields.Field[Any], **__: Any) -> JsonSchema:
    example = next((text for kind, text in EXAMPLES.items() if isinstance(field, kind)), None)
    return {} if example is None else {"examples": [example]}
