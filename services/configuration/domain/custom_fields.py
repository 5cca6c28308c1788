"""The fields that a company adds to its kinds of records (CFG-01, CFG-02): which may be, and how they change."""

from dataclasses import dataclass, field, replace
from typing import Any

from chassis.model.aggregates import Aggregate, applies
from chassis.model.context import Context
from chassis.model.custom_values import checked
from contracts.configuration import (
    CUSTOM_FIELD_EVENTS,
    AddCustomField,
    ChangeCustomField,
    ChoiceGiven,
    CustomFieldAdded,
    CustomFieldChanged,
    CustomFieldRestored,
    CustomFieldRetired,
    RestoreCustomField,
    RetireCustomField,
)
from contracts.custom_fields import MOST_CHOICES, MOST_FIELDS, CustomChoice, CustomField
from contracts.declare import KEPT
from contracts.errors import Refused, not_found
from contracts.formulas import MOST_OPERATIONS, parse, paths
from contracts.permissions import FIELD_RIGHTS
from contracts.records import KINDS, Kind

OF_CHOICES = ("choice", "choices")


@dataclass
class CustomFields(Aggregate):
    """The fields that the company has added to one kind of record, by key."""

    fields: dict[str, CustomField] = field(default_factory=dict)

    def add(self, command: AddCustomField, context: Context) -> None:
        """Add a field.  Raises Refused naming what is wrong with it."""
        kind = kind_named(command.kind)
        if command.key in self.fields:
            raise Refused("fields.key_taken", key=command.key, field="key")
        if command.key in FIELD_RIGHTS:
            raise Refused("fields.key_of_a_right", key=command.key, field="key")
        if len(self.fields) >= MOST_FIELDS:
            raise Refused("fields.most", most=MOST_FIELDS, field="key")
        made = CustomField(
            key=command.key,
            type=command.type,
            label=command.label,
            help=command.help,
            required=command.required,
            default=command.default,
            choices=_choices((), command.choices),
            formula=command.formula,
            position=command.position,
        )
        self._require_sound(kind, made, context)
        self.record(CustomFieldAdded(**self._about(command.kind, context), field=made))

    def change(self, command: ChangeCustomField, context: Context) -> None:
        """Change what the command names; nothing happens when that is how it is.  Raises Refused."""
        before = self._named(command.kind, command.key)
        given: dict[str, Any] = {
            name: value
            for name in ("label", "help", "required", "formula", "position")
            if (value := getattr(command, name)) is not KEPT
        }
        if command.default is not KEPT:
            given["default"] = command.default or ()
        if command.choices is not KEPT:
            given["choices"] = _choices(before.choices, command.choices)
        after = replace(before, **given)
        if after != before:
            self._require_sound(kind_named(command.kind), after, context)
            self.record(CustomFieldChanged(**self._about(command.kind, context), field=after))

    def retire(self, command: RetireCustomField, context: Context) -> None:
        """Let it be given no more; nothing happens when it is retired.  Raises Refused where a formula needs it."""
        before = self._named(command.kind, command.key)
        if before.retired:
            return
        users = [one.key for one in self.fields.values() if one.is_worked_out and before.path in _paths(one)]
        if users:
            raise Refused("fields.in_a_formula", names=users, field="key")
        self.record(CustomFieldRetired(**self._about(command.kind, context), field=replace(before, retired=True)))

    def restore(self, command: RestoreCustomField, context: Context) -> None:
        """Bring it back; nothing happens when it is there.  Raises Refused for a formula of what is retired itself."""
        before = self._named(command.kind, command.key)
        if before.retired:
            after = replace(before, retired=False)
            self._require_sound(kind_named(command.kind), after, context)
            self.record(CustomFieldRestored(**self._about(command.kind, context), field=after))

    def _named(self, kind: str, key: str) -> CustomField:
        kind_named(kind)
        if key not in self.fields:
            raise not_found("key", "key")
        return self.fields[key]

    def _about(self, kind: str, context: Context) -> dict[str, Any]:
        return {"kind": kind, "revision": self.version + 1, "by": context.user}

    def _require_sound(self, kind: Kind, made: CustomField, context: Context) -> None:
        """Raises Refused, naming the field at fault, unless values can be given for it, or it can be worked out."""
        if not made.label.said("zh"):
            raise Refused("fields.no_label", field="label")
        if (made.type in OF_CHOICES) != bool(made.choice_keys):
            raise Refused("fields.choices" if made.type in OF_CHOICES else "fields.no_choices", field="choices")
        if len(made.choices) > MOST_CHOICES:
            raise Refused("fields.most_choices", most=MOST_CHOICES, field="choices")
        for number, one in enumerate(made.choices):
            if not one.label.said("zh"):
                raise Refused("fields.no_label", field=f"choices.{number}.label")
        if (made.type == "formula") != bool(made.formula):
            raise Refused("fields.formula" if made.type == "formula" else "fields.no_formula", field="formula")
        if made.type == "formula":
            self._require_formula(kind, made)
        if made.default:
            self._require_default(made, context)

    def _require_formula(self, kind: Kind, made: CustomField) -> None:
        if made.required or made.default:
            raise Refused("fields.worked_out", field="required" if made.required else "default")
        numbers = [one.path for one in self.fields.values() if one.type == "number" and not one.retired]
        numbers += [name for name, one in kind.fields.items() if one.is_number and name not in FIELD_RIGHTS]
        try:
            unknown = [path for path in paths(parse(made.formula)) if path not in numbers]
        except ValueError as error:
            raise Refused("fields.no_such_formula", most=MOST_OPERATIONS, field="formula") from error
        if unknown:
            raise Refused("fields.formula_of", name=unknown[0], names=numbers, field="formula")

    def _require_default(self, made: CustomField, context: Context) -> None:
        """What nobody gives must be what may be given."""
        if made.type != "choices" and len(made.default) > 1:
            raise Refused("fields.one_default", field="default")
        checked(made, list(made.default) if made.type == "choices" else made.default[0], context, at="default")

    @applies(*CUSTOM_FIELD_EVENTS)
    def _told(self, fact: Any) -> None:
        self.fields = {**self.fields, fact.field.key: fact.field}


def kind_named(code: str) -> Kind:
    """The kind of record that a command names.  Raises Refused NOT_FOUND that tells those there are."""
    found = {kind.code: kind for kind in KINDS.values()}
    if code not in found:
        raise Refused("fields.no_such_kind", names=sorted(found), field="kind")
    return found[code]


def _choices(before: tuple[CustomChoice, ...], given: tuple[ChoiceGiven, ...]) -> tuple[CustomChoice, ...]:
    """The choices there are now, in their order, and behind them those that were taken away."""
    kept = {one.key for one in given}
    now = tuple(CustomChoice(key=one.key, label=one.label) for one in given)
    return (*now, *(replace(one, retired=True) for one in before if one.key not in kept))


def _paths(made: CustomField) -> list[str]:
    return list(paths(parse(made.formula)))
