"""The fields that a company adds to its kinds of records (CFG-01, CFG-02): which may be, and how they change."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from chassis.model.aggregates import Aggregate, applies
from chassis.model.context import Context
from chassis.model.custom_rights import made_of
from chassis.model.custom_values import checked
from contracts.configuration import (
    CUSTOM_FIELD_EVENTS,
    AddCustomField,
    ChangeCustomField,
    ChoiceChanged,
    ChoiceGiven,
    CustomFieldAdded,
    CustomFieldChanged,
    CustomFieldRestored,
    CustomFieldRetired,
    RestoreCustomField,
    RetireCustomField,
)
from contracts.custom_fields import MOST_CHOICES, MOST_FIELDS, CustomChoice, CustomField, Label, LabelChange
from contracts.declare import KEPT
from contracts.errors import Refused, not_found
from contracts.formulas import MOST_OPERATIONS, days, numbers, parse
from contracts.permissions import FIELD_RIGHTS, NEVER_GIVEN, RIGHTS
from contracts.records import KINDS, Kind

OF_CHOICES = ("choice", "choices")
OF_UNIQUE = ("text", "number", "day")
"""The types of which a field may be unique."""


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
            view_right=command.view_right,
            edit_right=command.edit_right,
            unique=command.unique,
        )
        self._require_sound(kind, made, context)
        self.record(CustomFieldAdded(**self._about(command.kind, context), field=made))

    def change(self, command: ChangeCustomField, context: Context) -> None:
        """Change what the command names; nothing happens when that is how it is.  Raises Refused."""
        before = self._named(command.kind, command.key)
        given: dict[str, Any] = {
            name: value
            for name in ("required", "formula", "position", "unique")
            if (value := getattr(command, name)) is not KEPT
        }
        for name, nothing in (("default", ()), ("view_right", ""), ("edit_right", "")):
            if (value := getattr(command, name)) is not KEPT:
                given[name] = value or nothing
        if command.label is not KEPT:
            given["label"] = before.label.changed(command.label)
        if command.help is not KEPT:
            given["help"] = before.help.changed(command.help)
        if command.choices is not KEPT:
            given["choices"] = _choices(before.choices, command.choices)
        after = self._unique_from_now(before, replace(before, **given))
        if after != before:
            self._require_sound(kind_named(command.kind), after, context, before)
            self.record(CustomFieldChanged(**self._about(command.kind, context), field=after))

    def retire(self, command: RetireCustomField, context: Context) -> None:
        """Let it be given no more; nothing happens when it is retired.  Raises Refused where a formula needs it."""
        before = self._named(command.kind, command.key)
        if before.retired:
            return
        users = [one.key for one in self.fields.values() if one.is_worked_out and before.path in made_of(one)]
        if users:
            raise Refused("fields.in_a_formula", names=users, field="key")
        self.record(CustomFieldRetired(**self._about(command.kind, context), field=replace(before, retired=True)))

    def restore(self, command: RestoreCustomField, context: Context) -> None:
        """Bring it back; nothing happens when it is there.  Raises Refused for a formula of what is retired itself."""
        before = self._named(command.kind, command.key)
        if before.retired:
            after = self._unique_from_now(before, replace(before, retired=False))
            self._require_sound(kind_named(command.kind), after, context)
            self.record(CustomFieldRestored(**self._about(command.kind, context), field=after))

    def _unique_from_now(self, before: CustomField, after: CustomField) -> CustomField:
        """The field after a change, with when it became unique: what records had until then is in no index."""
        became = after.is_unique and not before.is_unique
        return replace(after, unique_since=self.version + 1) if became else after

    def _named(self, kind: str, key: str) -> CustomField:
        kind_named(kind)
        if key not in self.fields:
            raise not_found("key", "key")
        return self.fields[key]

    def _about(self, kind: str, context: Context) -> dict[str, Any]:
        return {"kind": kind, "revision": self.version + 1, "by": context.user, "at": context.now}

    def _require_sound(
        self, kind: Kind, made: CustomField, context: Context, before: CustomField | None = None
    ) -> None:
        """Raises Refused, naming the field at fault, unless values can be given for it, or it can be worked out.

        A default that stood `before` is not asked again: the user whom it names may have left.
        """
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
        if made.type == "file" and (made.required or made.default):
            raise Refused("fields.file_comes_later", field="required" if made.required else "default")
        for name in ("view_right", "edit_right"):
            _require_right(made, name)
        if made.unique:
            _require_unique(made)
        if made.default and (before is None or (made.default, made.choices) != (before.default, before.choices)):
            self._require_default(made, context)

    def _require_formula(self, kind: Kind, made: CustomField) -> None:
        if made.required or made.default:
            raise Refused("fields.worked_out", field="required" if made.required else "default")
        try:
            found = parse(made.formula)
        except ValueError as error:
            raise Refused("fields.no_such_formula", most=MOST_OPERATIONS, field="formula") from error
        known = [*self.fields.values()]
        of_kind = {name: one for name, one in kind.fields.items() if name not in FIELD_RIGHTS}
        given = [one.path for one in known if one.type == "number" and not one.retired]
        given += [name for name, one in of_kind.items() if one.is_number]
        if unknown := [path for path in numbers(found) if path not in given]:
            raise Refused("fields.formula_of", name=unknown[0], names=given, field="formula")
        given = [one.path for one in known if one.type == "day" and not one.retired]
        given += [name for name, one in of_kind.items() if one.is_day]
        if unknown := [path for path in days(found) if path not in given]:
            raise Refused("fields.formula_of_days", name=unknown[0], names=given, field="formula")

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


RIGHTS_GIVEN = [right for right, roles in RIGHTS.items() if roles != {NEVER_GIVEN}]
"""The rights that somebody can have."""


def _require_right(made: CustomField, name: str) -> None:
    """Raises Refused for a right that there is not, or of a field that everybody must fill in."""
    if not (right := getattr(made, name)):
        return
    if right not in RIGHTS_GIVEN:
        raise Refused("fields.no_such_right", right=right, rights=RIGHTS_GIVEN, field=name)
    if made.required:
        raise Refused("fields.right_of_required", field=name)
    if name == "edit_right" and made.type == "formula":
        raise Refused("fields.worked_out", field=name)


def _require_unique(made: CustomField) -> None:
    """Raises Refused where no two records may have the same, and that could not be, or would tell what is hidden."""
    if made.type not in OF_UNIQUE:
        raise Refused("fields.unique_type", field="unique")
    if made.default:
        raise Refused("fields.unique_default", field="default")
    if made.rights:
        raise Refused("fields.unique_right", field="unique")


def _choices(
    before: tuple[CustomChoice, ...], given: Sequence[ChoiceGiven | ChoiceChanged]
) -> tuple[CustomChoice, ...]:
    """The choices there are now, in their order, and behind them those that were taken away."""
    there = {one.key: one.label for one in before}
    kept = {one.key for one in given}
    now = tuple(CustomChoice(key=one.key, label=_label(there.get(one.key, Label()), one.label)) for one in given)
    return (*now, *(replace(one, retired=True) for one in before if one.key not in kept))


def _label(before: Label, given: Label | LabelChange) -> Label:
    """What something is called after a change."""
    if isinstance(given, Label):
        return given
    return before if given is KEPT else before.changed(given)
