"""The shape of `GET /metadata`; the OpenAPI document is made of these classes."""

from typing import Literal

import msgspec

from contracts.languages import Language

FormType = Literal[
    "id", "choice", "flag", "whole", "amount", "moment", "day", "text", "code", "list", "object",
    "secret", "phone", "email", "currency", "role",
]  # fmt: skip
"""What kind of value stands in a field.  `id` is a UUID, `amount` a decimal number as text, `code` a text in which
blanks and dashes don't count, `currency` a code of ISO 4217, `role` the code of a role, `secret` is never shown."""


class Named(msgspec.Struct, frozen=True):
    """Something with a name for programs and a label for people."""

    name: str
    label: str


Default = str | int | bool | list[str] | None
"""What a field is when it is left out, where that is a plain value."""


class Choice(msgspec.Struct, frozen=True, omit_defaults=True):
    """A value that a field may have; one that the company has taken away is `retired`: read, and not given any more."""

    value: str
    label: str
    retired: bool = False


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A field of a view's rows.

    `of` is the type of a list's items.  `choices` are all values there are, null where they are not a closed set.
    `nullable`: the field may have no value; any field is null for a moment until the event that tells it has come.
    `dictionary` names the one whose entries it holds the codes of, "" for none; rows tell their `labels` besides.
    `named_in` is the address of the list with the records whose ids it holds, "" for none; `labels` tell their names.
    `retired`: the company has added it, and given it up: it is read, and not given any more.
    `operators` are what `where` may ask of it; `right` is what one holds who sees it, "" for a field that everybody
    sees who sees the rows; `personal`: it tells of people, and reading it is noted.
    """

    name: str
    label: str
    type: FormType
    of: FormType | None
    nullable: bool
    choices: list[Choice] | None
    sortable: bool
    groupable: bool
    summable: bool
    operators: list[str]
    right: str
    personal: bool
    dictionary: str
    named_in: str
    retired: bool


class ListFilter(msgspec.Struct, frozen=True, kw_only=True):
    """A filter of a list.

    `kind` is `equal` (one parameter, repeated for several values), `all_of` and `none_of` (the same, of what a row has
    several of), `between` (two parameters, either may be left out)
    or `words`; `fields` are those it asks about.
    """

    name: str
    label: str
    kind: Literal["equal", "between", "words", "all_of", "none_of"]
    parameters: list[str]
    fields: list[str]
    type: FormType
    choices: list[Choice] | None


class ViewMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """A list, or a page of one record.

    `label` is what the list is called, `record` what one row is.  `list_path` is the address of the list, `page_path`
    that of one row; null where there is none.  `sorts` are the fields to sort by; `default_sort` begins with - where it
    goes down.  `aside` names the flag whose rows are in the list only when they are asked for, "" for none.
    `history_path` is the address of who changed what in a row, null where that is not kept; such a list and its rows
    can be asked for as of a moment, too.  `events` are what that history tells of.  `overview_path` is the address of
    all that there is about a row in one answer, null where rows are no records of a kind.
    `duplicates_path` is where one asks whether such a record is there already, the same in any of `alike_in`, of which
    each are fields together; null where the caller may not ask it.
    """

    name: str
    label: str
    record: str
    right: str
    list_path: str | None
    page_path: str | None
    columns: list[Column]
    filters: list[ListFilter]
    sorts: list[str]
    default_sort: str
    aside: str
    history_path: str | None
    overview_path: str | None
    duplicates_path: str | None
    alike_in: list[list[str]]
    events: list[Choice]


class FormField(msgspec.Struct, frozen=True, kw_only=True):
    """A field of a command.

    `place` is where it stands.  `required`: it must be given.  `keeps`: left out it keeps its value.  `nullable`: null
    says that there is no value, and so does an empty text in place of a text.  `default` is what it is when left out,
    where that is a plain value.
    Limits are null where there are none: `shortest` and `longest` in characters, `most` items, `lowest` and `highest`
    numbers with at most `decimals`.  `many_lines`: a text of several lines.  `parts` are the fields of an object, or of
    each item of a list of such.  `right`: it is given only by who holds this right besides, "" for none.
    `dictionary`: the code of one of its entries is given, "" for none; where it is `free`, any other text too.
    `named_in`: the id of a record of the list at this address is given, "" for none.
    """

    name: str
    label: str
    help: str
    place: Literal["path", "body"]
    type: FormType
    of: FormType | None
    required: bool
    keeps: bool
    nullable: bool
    default: Default
    choices: list[Choice] | None
    shortest: int | None
    longest: int | None
    most: int | None
    many_lines: bool
    lowest: str | None
    highest: str | None
    decimals: int | None
    parts: list["FormField"] | None
    right: str
    dictionary: str
    free: bool
    named_in: str


class CommandMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """A command.

    `record` is the kind of record it is about and `key` the field that names it; `creates`: it makes a new one.
    `bulk` is the address of its bulk form, null where there is none, and `undo` that by which what was sent there is
    taken back, null where it can't be; `versioned`: it takes If-Match.
    """

    name: str
    label: str
    record: str
    method: str
    path: str
    bulk: str | None
    undo: str | None
    right: str
    key: str
    creates: bool
    versioned: bool
    fields: list[FormField]


class MenuItem(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the menu, and the one of the two systems in which it stands."""

    name: str
    label: str
    path: str
    right: str
    system: Literal["business", "platform"]


class ReasonMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """A reason of refusals: its sentence, whose places in braces are filled by the `params` of a refusal."""

    reason: str
    text: str
    params: list[str]


class ErrorMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """A code of refusals, with the status of HTTP that goes with it, and the reasons that have it."""

    code: str
    label: str
    status: int
    reasons: list[ReasonMetadata]


class ParameterMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """A system parameter: a whole number within limits."""

    name: str
    label: str
    default: int
    lowest: int
    highest: int


class OccasionMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """Something people are told of: its sentence as it stands, and the places in it that are filled in."""

    code: str
    label: str
    text: str
    places: list[str]


class ProcessMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """A process over several services: its steps in their order, and what a step and all of it may be at."""

    name: str
    label: str
    steps: list[Named]
    step_statuses: list[Choice]
    statuses: list[Choice]


class EntryMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of a dictionary; `parent` is the one it is below, "" at the top.  Only an `active` one can be picked."""

    code: str
    label: str
    parent: str
    active: bool


class DictionaryMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """A dictionary: its entries in their order, each before those below it."""

    name: str
    label: str
    entries: list[EntryMetadata]


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """What a client must know: what there is for whom it is told, in their language.

    Views and commands whose right is not held, and fields that one may not see, are not in it.
    """

    language: Language
    views: list[ViewMetadata]
    commands: list[CommandMetadata]
    rights: list[Named]
    roles: list[Named]
    menu: list[MenuItem]
    systems: list[Named]
    operators: list[Named]
    errors: list[ErrorMetadata]
    processes: list[ProcessMetadata]
    parameters: list[ParameterMetadata]
    occasions: list[OccasionMetadata]
    dictionaries: list[DictionaryMetadata]
