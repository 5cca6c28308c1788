"""How a company sets up what is declared, and what it adds: its dictionaries (CFG-08, CFG-09), and fields of its own on
kinds of records (CFG-01, CFG-02); and how people want to see lists (UIX-13).

Aggregates: dictionary, the fields of a kind, saved view, the default views of a person.
"""

from dataclasses import field
from typing import Annotated
from uuid import UUID

from contracts.custom_fields import CustomField, CustomKey, CustomType, Help, HelpChange, Label, LabelChange
from contracts.declare import KEPT, command, event, value
from contracts.dictionaries import DictionaryEntry, DictionaryName, EntryCode, EntryLabel
from contracts.ids import new_id
from contracts.people import SALESTREAM, Person
from contracts.permissions import COLLEAGUE
from contracts.saved_views import Audience, ColumnName, ListParameter, ListView
from contracts.types import Flag, Moment, Name, PathName, RoleCode, Tag, Text, TextField, Whole


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


@command("POST /saved-views", permission=COLLEAGUE, key="saved_view_id", creates=True)
class SaveView:
    """Save under a name how a list is shown: conditions, order, groups, rows per page and columns (UIX-11, UIX-13).

    `list_name` is what GET /metadata calls the list, `parameters` are those of a query on it.  `audience`: the view is
    for oneself, for whoever has one of `roles`, or for everybody; others see it by the right `lists.share` alone.
    """

    list_name: Name
    name: Name
    parameters: tuple[ListParameter, ...] = ()
    columns: tuple[ColumnName, ...] = ()
    audience: Audience = "ME"
    roles: tuple[RoleCode, ...] = ()
    position: Whole = 0
    saved_view_id: UUID = field(default_factory=new_id)


@command("PATCH /saved-views/{saved_view_id}", permission=COLLEAGUE)
class ChangeSavedView:
    """Rename, reorder, share or otherwise change a view that one has saved; a field left out keeps its value."""

    saved_view_id: UUID
    name: Name = KEPT
    parameters: tuple[ListParameter, ...] = KEPT
    columns: tuple[ColumnName, ...] = KEPT
    audience: Audience = KEPT
    roles: tuple[RoleCode, ...] = KEPT
    position: Whole = KEPT


@command("DELETE /saved-views/{saved_view_id}", permission=COLLEAGUE)
class DeleteSavedView:
    """Take away a view: one's own, or by the right `lists.share` one that others see."""

    saved_view_id: UUID


@command("POST /default-views", permission=COLLEAGUE, key="list_name", versioned=False)
class ChooseDefaultView:
    """Say which saved view a list opens with for oneself; null: none."""

    list_name: Name
    saved_view_id: UUID | None


@event("salestream.configuration.view-saved.v1", key="saved_view_id")
class ViewSaved:
    """Somebody saved how a list is shown, or changed it: all that is known of it now."""

    saved_view_id: UUID
    view: ListView
    owner: Person
    by: Person = SALESTREAM


@event("salestream.configuration.view-deleted.v1", key="saved_view_id")
class SavedViewDeleted:
    """A saved view was taken away."""

    saved_view_id: UUID
    by: Person = SALESTREAM


@event("salestream.configuration.default-view-chosen.v1", key="user_id")
class DefaultViewChosen:
    """Somebody said which saved view a list opens with for them; None: none."""

    user_id: UUID
    list_name: Text
    saved_view_id: UUID | None
    by: Person = SALESTREAM
