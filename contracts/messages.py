"""What a field says of a value that it does not take: what may stand there, never only that this may not.

They take the place of marshmallow's own messages in every schema (`contracts.schemas`), by the class they are of.  What
they say in each language stands in `contracts/texts/refusals/forms.toml`.
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from marshmallow import fields, validate

from contracts.declare import ContractError
from contracts.reasons import CodeOf, Some, Why

AN_OBJECT = Why("forms.object")
_MOMENT = dict.fromkeys(("invalid", "invalid_awareness", "format"), Why("forms.moment"))
_DAY = dict.fromkeys(("invalid", "invalid_awareness", "format"), Why("forms.day"))
MESSAGES: Mapping[type, Mapping[str, Why]] = {
    fields.Field: {
        "required": Why("forms.required"),
        "null": Why("forms.null"),
        "validator_failed": Why("forms.value"),
    },
    fields.String: {"invalid": Why("forms.text"), "invalid_utf8": Why("forms.utf8")},
    fields.UUID: {"invalid_uuid": Why("forms.id")},
    fields.Number: {"invalid": Why("forms.number"), "too_large": Why("forms.too_large")},
    fields.Integer: {"invalid": Why("forms.whole")},
    fields.Decimal: {"special": Why("forms.number")},
    fields.Boolean: {"invalid": Why("forms.flag")},
    fields.DateTime: _MOMENT,
    fields.Date: _DAY,
    fields.List: {"invalid": Why("forms.list")},
    fields.Nested: {"type": AN_OBJECT},
}
SHOWN = 20
"""So many names of fields a message tells at most."""
CLOSE = 3
COMPARED = 60
"""So many characters of a name are compared with those there are."""


def explain(field: "fields.Field[Any]", name: str) -> None:
    """Let a field of this name, what checks it, and the entries of a list, say what may stand there."""
    told: dict[str, str] = {}
    for cls in reversed(type(field).__mro__):
        told |= MESSAGES.get(cls, {})
    field.error_messages = {**field.error_messages, **told}
    for one in field.validators:
        explain_check(one, name)
    if isinstance(field, fields.List):
        explain(field.inner, name)


def explain_check(check: Any, name: str = "") -> None:
    """Let a validator of the field `name` say what it asks for; choices are called as they are in that field.

    Raises ContractError for one of which nothing is known to say.
    """
    if isinstance(getattr(check, "error", None), Why):
        return
    match check:
        case validate.Length(min=None, max=most):
            check.error = Why("forms.most_characters", most=most)
        case validate.Length(min=least, max=None):
            check.error = Why("forms.fewest_characters", least=least)
        case validate.Length(min=least, max=most):
            check.error = Why("forms.length", least=least, most=most)
        case validate.Range(min=None, max=most):
            check.error = Why("forms.at_most", most=most)
        case validate.Range(min=least, max=None):
            check.error = Why("forms.at_least", least=least)
        case validate.Range(min=least, max=most):
            check.error = Why("forms.between", least=least, most=most)
        case validate.OneOf():
            check.error = Why("forms.one_of", states=[CodeOf(str(choice), name) for choice in check.choices])
        case validate.Equal():
            check.error = Why("forms.exactly", value=check.comparable)
        case validate.Regexp():
            check.error = Why("forms.pattern")
        case _:
            raise ContractError(f"{check!r}: contracts/messages.py does not know what it should say")


def unknown_field(name: str, known: Iterable[str]) -> Why:
    """What to tell of a name that no field has: the fields whose names are close to it, else those there are."""
    there = sorted(known)
    if close := get_close_matches(name[:COMPARED].lower(), there, CLOSE):
        return Why("forms.unknown_close", names=close)
    return Why("forms.unknown", names=Some(there, SHOWN)) if there else Why("forms.unknown_none")
