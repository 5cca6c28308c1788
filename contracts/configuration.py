"""How a company sets up what is declared, and what it adds: its dictionaries (CFG-08, CFG-09), and fields of its own on
kinds of records (CFG-01, CFG-02).

Aggregates: dictionary, the fields of a kind.
"""

from typing import Annotated

from contracts.custom_fields import CustomField, CustomKey, CustomType, Help, HelpChange, Label, LabelChange
from contracts.declare import KEPT, command, event, value
from contracts.dictionaries import DictionaryEntry, DictionaryName, EntryCode, EntryLabel
from contracts.people import SALESTREAM, Person
from contracts.types import Flag, Moment, Name, PathName, Tag, Text, TextField, Whole


class FormulaField(TextField):
    """Arithmetic over the numbers of a record (`contracts.formulas`)."""

    longest = 500


Formula = Annotated[str, FormulaField]


@value
class ChoiceGiven:
    """A value that a field of choices may have."""

    told_apart_by = "key"

    key: CustomKey
    label: Label


@value
class ChoiceChanged:
    """A value that a field of choices may have from now on; what is not said of one that is there stays."""

    told_apart_by = "key"

    key: CustomKey
    label: LabelChange = KEPT


@command("POST /custom-fields/{kind}", permission="settings")
class AddCustomField:
    """Add a field to a kind of record (CFG-01, CFG-02).

    `key` is what programs call it, for ever; so is its type.  A field of choices has `choices`, a formula has
    `formula`: arithmetic over numbers of the record, such as `own.price * (1 - own.discount / 100)`.  `default` is
    what a new record has where nothing is given; `required`: a new record must have a value, which can't be taken away.
    Who sees the field needs the right `view_right`, and who gives it `edit_right` too.  `unique`: no two records that
    are there have the same; what reads the same is the same.
    """

    kind: PathName
    key: CustomKey
    type: CustomType
    label: Label
    help: Help = Help()
    required: Flag = False
    default: tuple[Tag, ...] = ()
    choices: tuple[ChoiceGiven, ...] = ()
    formula: Formula = ""
    position: Whole = 0
    view_right: Text = ""
    edit_right: Text = ""
    unique: Flag = False


@command("PATCH /custom-fields/{kind}/{key}", permission="settings")
class ChangeCustomField:
    """Rename, reorder or otherwise change a field that the company has added; a field left out keeps its value.

    `choices` are all that may be given from now on.  One that is left out is taken away: records that have it keep it.
    Of a label, and of help, a language that is left out stays, and an empty text takes it away.
    """

    kind: PathName
    key: CustomKey
    label: LabelChange = KEPT
    help: HelpChange = KEPT
    required: Flag = KEPT
    default: tuple[Tag, ...] | None = KEPT
    choices: tuple[ChoiceChanged, ...] = KEPT
    formula: Formula = KEPT
    position: Whole = KEPT
    view_right: Text | None = KEPT
    edit_right: Text | None = KEPT
    unique: Flag = KEPT


@command("DELETE /custom-fields/{kind}/{key}", permission="settings")
class RetireCustomField:
    """Let a field be given no more; what records have of it stays readable (CFG-02)."""

    kind: PathName
    key: CustomKey


@command("POST /custom-fields/{kind}/{key}/restore", permission="settings")
class RestoreCustomField:
    """Bring a field back that was retired, with what records have of it."""

    kind: PathName
    key: CustomKey


@event("salestream.configuration.custom-field-added.v1", key="kind")
class CustomFieldAdded:
    """The company added a field to a kind of record.

    `revision` grows with each change of the fields of a kind.  `at` is when it was added; older events tell none.
    """

    kind: Text
    field: CustomField
    revision: Whole
    by: Person = SALESTREAM
    at: Moment | None = None


@event("salestream.configuration.custom-field-changed.v1", key="kind")
class CustomFieldChanged:
    """A field that the company has added changed: all that is known of it now."""

    kind: Text
    field: CustomField
    revision: Whole
    by: Person = SALESTREAM
    at: Moment | None = None


@event("salestream.configuration.custom-field-retired.v1", key="kind")
class CustomFieldRetired:
    """A field is not given any more; records keep what they have of it."""

    kind: Text
    field: CustomField
    revision: Whole
    by: Person = SALESTREAM
    at: Moment | None = None


@event("salestream.configuration.custom-field-restored.v1", key="kind")
class CustomFieldRestored:
    """A field that was retired is given again."""

    kind: Text
    field: CustomField
    revision: Whole
    by: Person = SALESTREAM
    at: Moment | None = None


CUSTOM_FIELD_EVENTS = (CustomFieldAdded, CustomFieldChanged, CustomFieldRetired, CustomFieldRestored)
"""The events that tell of a field, each with all that is known of it."""


@command("POST /dictionaries/{dictionary}/entries", permission="settings")
class AddDictionaryEntry:
    """Add an entry to a dictionary, at the top or below another one (CFG-08, CFG-09).

    `entry` is its code.  One language is enough: it stands in for the others.
    """

    dictionary: DictionaryName
    entry: EntryCode
    zh: EntryLabel = ""
    ja: EntryLabel = ""
    en: EntryLabel = ""
    parent: EntryCode | None = None
    position: Whole = 0


@command("PUT /dictionaries/{dictionary}/entries/{entry}", permission="settings")
class EditDictionaryEntry:
    """Rename an entry, move it with all below it, switch it off or on; a field left out keeps its value (CFG-09).

    `parent` null: to the top.  Records that have an entry which is switched off keep it; no other gets it.
    """

    dictionary: DictionaryName
    entry: EntryCode
    zh: EntryLabel = KEPT
    ja: EntryLabel = KEPT
    en: EntryLabel = KEPT
    parent: EntryCode | None = KEPT
    position: Whole = KEPT
    active: Flag = KEPT


@command("DELETE /dictionaries/{dictionary}/entries/{entry}", permission="settings")
class DeleteDictionaryEntry:
    """Take away an entry that no record has and none is below; others are switched off instead (CFG-08, CUS-09)."""

    dictionary: DictionaryName
    entry: EntryCode


@event("salestream.configuration.dictionary-entry-set.v1", key="dictionary")
class DictionaryEntrySet:
    """An entry was added to a dictionary or changed: all of it.  `revision` is that of the dictionary."""

    dictionary: Name
    entry: DictionaryEntry
    by: Person = SALESTREAM
    revision: Whole


@event("salestream.configuration.dictionary-entry-deleted.v1", key="dictionary")
class DictionaryEntryDeleted:
    """An entry was taken away from a dictionary: what it was."""

    dictionary: Name
    entry: DictionaryEntry
    by: Person = SALESTREAM
    revision: Whole
