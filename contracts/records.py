"""Kinds of records: declared once, and what every record has follows.

    @record("/surveys", view="campaigns", edit="campaigns")
    class Survey:
        \"\"\"What was found out about the market (MKT-05).\"\"\"

        subject: Name = data(unique=True)
        surveyed_on: Day
        finding: Note = ""

The class itself becomes what is known of such a record, a value.  From it come the commands CreateSurvey, EditSurvey,
DeleteSurvey, RestoreSurvey and RevertSurvey, and the events SurveyCreated, SurveyEdited, SurveyDeleted and
SurveyRestored, which stand in the module beside it; `chassis.model.records` makes the aggregate and
`chassis.model.record_views` the list of them.  Where records belong to people (`owned`), there are AssignSurvey,
ShareSurvey, UnshareSurvey, SurveyAssigned and SurveyShared besides (ADR 0040, 0046).  Where they have statuses
(`contracts.statuses`), there are SetSurveyStatus and SurveyStatusSet; where they wait in a pool while they belong to
nobody (`contracts.pools`), ClaimSurvey and ReturnSurvey, and the kind SurveyPool.  A field may name another record, to
which this one belongs (`data(record="campaign")`): it is there, and its name is told beside (ADR 0047).  Such a record
may say who reaches this one (`reached_through`, ADR 0054).  What a company adds to a kind at run time is in `own`
(ADR 0042): a field that no declaration names, as every kind has it.  Where commands and events were published before
there was the kind, it says how those are laid out (`contracts.layouts`, ADR 0055).
"""

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from dataclasses import Field as DataclassField
from decimal import Decimal
from functools import cache, cached_property
from typing import Annotated, Any, Literal, TypeVar, dataclass_transform, get_args, get_origin, get_type_hints
from uuid import UUID

from marshmallow.fields import Number

from contracts.custom_fields import OWN, GivenOwn, Own
from contracts.declare import KEPT, ContractError, command, event, value
from contracts.dictionaries import PREPARED
from contracts.ids import new_id
from contracts.layouts import Layout, LayoutInParts, Part, spread_out
from contracts.lists import INCOMPLETE, LIST_PARAMETERS
from contracts.merging import DUPLICATE, MERGED_IDS, MERGED_INTO, TAKE
from contracts.people import SALESTREAM, Person
from contracts.permissions import FIELD_RIGHTS, OPEN, RIGHTS
from contracts.personal import Personal, is_personal, plan_of
from contracts.pools import (
    ADMINISTRATORS,
    AMONG,
    CAME_BY,
    DUE_ON,
    FOLLOWED_UP_ON,
    FORMER_OWNER,
    MEMBERS,
    NEXT_CONTACT_ON,
    OWNER_SINCE,
    POOL_ID,
    RETURN_REASON,
    How,
    Pool,
    RuleOfPool,
)
from contracts.sharing import SHARED_WITH, SHARED_WITH_ME, SHARES, Access, Share
from contracts.statuses import REASON, STATUS, STATUS_REASON, STATUS_SINCE, Statuses
from contracts.types import (
    Day,
    DayField,
    Flag,
    MomentField,
    Money,
    Name,
    Note,
    Quantity,
    Reason,
    Tag,
    TextField,
    User,
    Whole,
)

T = TypeVar("T")

_WORD = re.compile(r"[A-Z][a-z0-9]*")
_FEATURES = re.compile(r" \(([A-Z]{2,4}-[^)]*)\)")
_RULES = "record"
OWNER = "owner_id"
"""The field of a command that says whose record it is to be; null: of nobody.  Left out, it is the caller's where one
is entered, and stays whose it is where it is there."""
TAGS = "tags"
"""The field of a kind that has tags: several codes of a dictionary, which say how people group its records (CUS-08)."""
EVERY_RECORD_HAS = frozenset(
    {"id", "by", "owner", "owner_id", "owner_name", "version", "created_at", "created_by", "changed_at", "changed_by"}
    | {"deleted", OWN, SHARES, SHARED_WITH, SHARED_WITH_ME, INCOMPLETE}
    | {"actions", "labels", "lists"}  # what answers tell beside the fields of a row
)
"""The names that a kind's own fields can't have."""
WITH_STATUSES = frozenset({STATUS, STATUS_REASON, STATUS_SINCE})
"""The names that the fields of a kind with statuses can't have besides."""
WITH_POOL = frozenset({OWNER_SINCE, CAME_BY, FORMER_OWNER, RETURN_REASON, FOLLOWED_UP_ON, NEXT_CONTACT_ON, POOL_ID})
"""The names that the fields of a kind with a pool can't have besides."""
WITH_MERGES = frozenset({MERGED_INTO, MERGED_IDS, DUPLICATE, TAKE})
"""The names that the fields of a kind whose records are merged can't have besides."""


@dataclass(frozen=True)
class FieldRules:
    """What is said of a field beside its type; None follows from that (`Field`)."""

    unique: bool = False
    right: str = ""
    past: bool = False
    searchable: bool | None = None
    sortable: bool | None = None
    filterable: bool | None = None
    given: Any = None
    index: str = ""
    dictionary: str = ""
    free: bool = False
    record: str = ""
    outlives: bool = False
    first: Any = KEPT
    example: Any = KEPT


def data(
    *,
    default: Any = MISSING,
    unique: bool = False,
    right: str = "",
    past: bool = False,
    searchable: bool | None = None,
    sortable: bool | None = None,
    filterable: bool | None = None,
    given: Any = None,
    index: str = "",
    dictionary: str = "",
    free: bool = False,
    record: str = "",
    outlives: bool = False,
    first: Any = KEPT,
    example: Any = KEPT,
) -> Any:
    """A field of a kind of record of which more is to be said than its type and default.

    A command of its own, or a part of an event, may say so of `dictionary` too.

    `unique`: no two records that are not deleted have the same; what reads the same is the same.
    `right`: who sees or gives it needs this right besides; so does every field of that name, wherever it stands.
    `past`: the day, or moment, of something that has happened: it is not to come.
    `searchable`: ?q= looks into it; as a rule every text of one line is.
    `sortable`: lists sort by it; as a rule numbers, days, choices and the texts that must be given.
    `filterable`: lists are narrowed by it; as a rule choices, flags, ids, what is measured and what is unique.
    `given`: the type of what commands give, where events that are published hold more than may be given now.
    `index`: the name under which unique values are kept, where they were kept before this was declared.
    `dictionary`: the text, or each of several, is the code of an entry of it (`contracts.dictionaries`).
    `free`: other texts are taken too, as they were before there was the dictionary; what reads as the code or the label
    of an entry counts as that entry.
    `record`: it holds the id of a record of this kind (`Kind.what`), which whoever gives it must see.
    `outlives`: that record may be deleted while this one names it; else its deletion is refused.
    `first`: what it is where whoever enters the record leaves it out; nobody takes it away, and events always tell it.
    `example`: what may stand there, where not everything of its type may.
    """
    rules = FieldRules(
        unique=unique, right=right, past=past, searchable=searchable, sortable=sortable,
        filterable=filterable, given=given, index=index, dictionary=dictionary, free=free, record=record,
        outlives=outlives, first=first, example=example,
    )  # fmt: skip
    return field(default=default, metadata={"metadata": {_RULES: rules}})  # so deep marshmallow leaves it alone


@dataclass(frozen=True)
class Field:
    """A field of a kind of record: its name, its type as events hold it, and what is said of it."""

    name: str
    type: Any
    required: bool
    rules: FieldRules

    @property
    def given(self) -> Any:
        """Its type as commands give it."""
        return self.type if self.rules.given is None else self.rules.given

    @property
    def right(self) -> str:
        """The right to see it, which one needs to change it, too; "" where whoever sees the record does."""
        return FIELD_RIGHTS.get(self.name, "")

    @property
    def is_personal(self) -> bool:
        """Whether it tells of a person (`Personal`): it is sealed, and whoever reads it is noted (SEC-21, CPL-01)."""
        return is_personal(self.type)

    @property
    def is_number(self) -> bool:
        """Whether it can be calculated with: a number, or the amount of money."""
        checked = self.checked_by
        is_one = self.one in (int, Decimal, Money) or (isinstance(checked, type) and issubclass(checked, Number))
        return is_one and not self.is_list

    @property
    def is_day(self) -> bool:
        """Whether days can be counted from it, or to it."""
        return self.checked_by is DayField and not self.is_list

    @property
    def is_list(self) -> bool:
        """Whether it holds several values."""
        kinds = (self.given, *get_args(self.given))
        return any(get_origin(kind) is tuple for kind in kinds)

    @property
    def is_line(self) -> bool:
        """Whether it is a text of one line."""
        checked = self.checked_by
        return isinstance(checked, type) and issubclass(checked, TextField) and not checked.many_lines

    @property
    def one(self) -> Any:
        """The type of what is given without None, and that of its items where it is a list."""
        kind = self.given
        if None.__class__ in get_args(kind):
            kind = next(part for part in get_args(kind) if part is not None.__class__)
        return get_args(kind)[0] if get_origin(kind) is tuple else kind

    @property
    def checked_by(self) -> Any:
        """The class of `contracts.types` that checks its values; None where the type needs none."""
        return get_args(self.one)[1] if get_origin(self.one) is Annotated else None


@dataclass(frozen=True)
class Kind:
    """A kind of record, and the commands and events made of its declaration.

    `what` it is called in messages; `summary` says what one is; `key` names the field with the record's id.  `owned`: a
    record belongs to somebody, who may share it, and who may see it follows from that (SEC-18, COL-07); only then there
    are the classes `assign`, `share`, `unshare`, `assigned` and `shared`, else they are None.  `reached_through` names
    the field with the record whose owner and shares say so in its place; "" for none.  Where it has a `pool`,
    there are `claim`, `give_back`, `assign_in_turn`, `move`, the events `recycling_near` and `moved`, and `pools`, the
    kind of record that such a pool is; where two may be merged `merge`, `unmerge` and the events `merged`, `unmerged`
    and `joined`.  `tag` is there where the kind has the field TAGS.
    `wanted` are fields that must be filled besides until the company says which (CUS-02).
    `layout`: what its events hold of a record, and its commands give.  No two records have the same in all the fields
    `together`, where all are filled; `index` is under which name those values are kept.
    """

    cls: type
    name: str
    what: str
    summary: str
    service: str
    key: str
    path: str
    view: str
    owned: bool
    wanted: Sequence[str]
    fields: Mapping[str, Field]
    layout: Layout
    together: Sequence[str]
    index: str
    create: type
    edit: type
    delete: type
    restore: type
    revert: type
    created: type
    edited: type
    deleted: type
    restored: type
    reached_through: str = ""
    assign: Any = None
    assigned: Any = None
    share: Any = None
    unshare: Any = None
    shared: Any = None
    tag: Any = None
    statuses: Statuses | None = None
    set_status: Any = None
    status_set: Any = None
    pool: Pool | None = None
    claim: Any = None
    give_back: Any = None
    assign_in_turn: Any = None
    recycling_near: Any = None
    move: Any = None
    moved: Any = None
    pools: "Kind | None" = None
    merge: Any = None
    unmerge: Any = None
    merged: Any = None
    unmerged: Any = None
    joined: Any = None

    @property
    def code(self) -> str:
        """What it is called in addresses, and where something is said of the kind: `market-survey`."""
        return self.what.replace(" ", "-")

    @cached_property
    def has_personal(self) -> bool:
        """Whether a record tells of a person.  What a company adds to it does so too then (ADR 0039)."""
        return any(field.is_personal for field in self.fields.values())

    def person_of(self, id: UUID, data: Any) -> UUID | None:
        """Of whom a record tells: the one whom its `data` name (`about_person`), else itself; None: of nobody."""
        plan = plan_of(self.cls)
        if plan is None:
            return None
        person: UUID | None = getattr(data, plan.person) if plan.person else id
        return person

    @cached_property
    def guarded(self) -> Mapping[str, Any]:
        """The fields that not everybody may give, or whatever day, and what each is where nothing is given."""
        nothing = {one.name: one.default for one in fields(self.cls)}
        return {name: nothing[name] for name, field in self.fields.items() if field.rules.right or field.rules.past}

    @cached_property
    def unique(self) -> Sequence[str]:
        """The fields of which no two records have the same."""
        return tuple(name for name, field in self.fields.items() if field.rules.unique)

    @property
    def called(self) -> str:
        """The field that says what a record is called: `name`, or the first text of one line."""
        return _called(self.fields)

    @cached_property
    def parents(self) -> Mapping[str, Field]:
        """The fields that name the records it belongs to."""
        return {name: field for name, field in self.fields.items() if field.rules.record}

    @property
    def way(self) -> "Iterator[Kind]":
        """This kind, the one through which its records are reached, and so on to that whose records have owners.

        Raises ContractError where that way leads to none.
        """
        found, seen = self, list[Kind]()
        while found.reached_through:
            yield found
            seen.append(found)
            found = kind_called(found.fields[found.reached_through].rules.record)
            if found in seen:
                raise ContractError(f"{self.cls.__qualname__} is reached through itself")
        if seen and not found.owned:
            raise ContractError(f"{self.cls.__qualname__} is reached through {found.what}, which belongs to nobody")
        yield found

    @property
    def commands(self) -> tuple[type, ...]:
        found = (self.create, self.edit, self.delete, self.restore, self.revert)
        more = (
            self.assign, self.share, self.unshare, self.tag, self.set_status, self.claim, self.give_back,
            self.assign_in_turn, self.move, self.merge, self.unmerge,
        )  # fmt: skip
        return (*found, *(command for command in more if command))


KINDS: dict[type, Kind] = {}


def _called(fields: Mapping[str, Field]) -> str:
    texts = (name for name, field in fields.items() if field.is_line and not field.rules.right)
    return "name" if "name" in fields else next(texts, "")


def _telling_apart(fields: Mapping[str, Field], together: Sequence[str]) -> set[str]:
    """The fields by which the records of a kind are told apart, and asked for as duplicates (CUS-22)."""
    return {*(name for name, one in fields.items() if one.rules.unique), *together, _called(fields)}


def kind_called(what: str) -> Kind:
    """The kind of record that is called so (`Kind.what`).  Raises ContractError where there is none."""
    for kind in KINDS.values():
        if kind.what == what:
            return kind
    raise ContractError(f"there is no kind of record {what!r}")


def kind_of(cls: type) -> Kind:
    """What was made of a declaration.  Raises ContractError for a class that is no kind of record."""
    try:
        return KINDS[cls]
    except KeyError:
        raise ContractError(f"{cls.__qualname__} is not declared as a kind of record") from None


def kind_pooled_in(pools: Kind) -> Kind | None:
    """The kind of record that waits in pools of this kind; None where these are none."""
    return next((kind for kind in KINDS.values() if kind.pools is pools), None)


def pool_path(kind: Kind) -> str:
    """The path of the list of what waits in the pool of a kind."""
    return f"/pools{kind.path}"


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(data, field))
def record(
    path: str,
    *,
    view: str,
    edit: str,
    owned: bool = False,
    name: str = "",
    tells_changes_always: bool = True,
    wanted: Sequence[str] = (),
    statuses: Statuses | None = None,
    reached_through: str = "",
    pool: Pool | None = None,
    merge: str = "",
    verb: str = "Create",
    entered_with: type | None = None,
    together: Sequence[str] = (),
    index: str = "",
) -> Callable[[type[T]], type[T]]:
    """Declare a kind of record.

    `path` is where its list is found; `view` and `edit` are the rights to read and to change such records.
    `reached_through` names the field with the record it belongs to: whoever sees that one sees this one, and whom the
    right to change this one reaches by that one's owner changes it.
    `name` is what commands and events are named after, if not the class.  `tells_changes_always` is False where events
    that are published tell that a record was edited, and not which fields changed.  `wanted` are fields that must be
    filled until the company's settings of that kind say which (CUS-02).  `statuses`: each record has one of them.
    `pool`: those that belong to nobody wait in it, and are claimed.  `merge` is the right to merge two of them.
    `verb`: what entering one is called, where its command and event were published as AddProduct and ProductAdded.
    `entered_with`: the fields of this value are given besides when one is entered, and are none of the record: its
    service says what comes of them.  `together`: no two records that are not deleted have the same in all of these
    texts, where all of them are filled (INV-01, CUS-22); these are kept under `index` where they were before this was
    declared.
    Raises ContractError where it is declared wrongly.
    """

    def declare(cls: type[T]) -> type[T]:
        spread, parts = spread_out(cls)
        made: type[T] = value(_with_own(spread))
        called = name or cls.__name__
        words = _WORD.findall(called)
        if "".join(words) != called:
            raise ContractError(f"{cls.__qualname__}: a kind of record has a name such as MarketSurvey")
        if not cls.__doc__ or cls.__doc__.startswith(f"{cls.__name__}("):
            raise ContractError(f"{cls.__qualname__} says nowhere what such a record is")
        declaration = _Declaration(
            made, words, path, view, edit, owned=owned, statuses=statuses, reached_through=reached_through, pool=pool,
            merge=merge, parts=parts, together=together, index=index,
        )  # fmt: skip
        pools = _pools(made, words, pool) if pool else None
        KINDS[made] = declaration.kind(
            tells_changes_always=tells_changes_always, wanted=wanted, verb=verb, entered_with=entered_with, pools=pools
        )
        FIELD_RIGHTS.update(declaration.rights)
        return made

    return declare


def _with_own(cls: type[T]) -> type[T]:
    """The class with what a company adds to such a record; personal where the record tells of a person."""
    if OWN in vars(cls).get("__annotations__", {}):
        raise ContractError(f"{cls.__qualname__}: every record has {OWN} already")
    is_about_a_person = any(map(is_personal, get_type_hints(cls, include_extras=True).values()))
    cls.__annotations__[OWN] = Personal[Own] if is_about_a_person else Own
    setattr(cls, OWN, "")
    return cls


def _pools(cls: type, words: Sequence[str], pool: Pool) -> Kind:
    """The kind of record that a pool is of records of a kind (ADR 0065).

    `most_owned`, `most_claims_a_day` and `cool_down_days` hold besides the company's limits; null: none.  Where it has
    a rule of its own, what comes from it goes back after `idle_days` without work, of which people are reminded
    `remind_days` before.
    """
    words = [*words, "Pool"]
    fields: dict[str, tuple[Any, Any]] = {
        "name": (Name, data(unique=True)),
        MEMBERS: (tuple[User, ...], data(default=())),
        ADMINISTRATORS: (tuple[User, ...], data(default=())),
        "most_owned": (Whole | None, data(default=None)),
        "most_claims_a_day": (Whole | None, data(default=None)),
        "cool_down_days": (Whole | None, data(default=None)),
        "rule": (RuleOfPool, data(first="GENERAL")),
        "idle_days": (Quantity | None, data(default=None)),
        "remind_days": (Quantity | None, data(default=None)),
        "active": (Flag, data(default=True)),
    }
    what = " ".join(words[:-1]).lower()
    made = type(
        "".join(words),
        (),
        {
            "__module__": cls.__module__,
            "__doc__": f"A pool in which {what}s wait for those who may claim them from it (LED-01, CUS-12).",
            "__annotations__": {name: annotation for name, (annotation, _) in fields.items()},
            **{name: rules for name, (_, rules) in fields.items()},
        },
    )
    setattr(sys.modules[cls.__module__], made.__name__, made)
    path = f"/{'-'.join(map(str.lower, words))}s"
    return kind_of(record(path, view=pool.claim, edit=pool.assign)(made))


def _rules(of: "DataclassField[Any]") -> FieldRules:
    found: FieldRules = of.metadata.get("metadata", {}).get(_RULES, FieldRules())
    return found


@cache
def fields_of(cls: type) -> Mapping[str, Field]:
    """The fields of a part of a contract, such as a command, with what `data` says of them."""
    hints = get_type_hints(cls, include_extras=True)
    return {one.name: Field(one.name, hints[one.name], one.default is MISSING, _rules(one)) for one in fields(cls)}


class _Declaration:
    """What a kind's commands and events are made of."""

    def __init__(
        self,
        cls: type,
        words: list[str],
        path: str,
        view: str,
        edit: str,
        *,
        owned: bool,
        statuses: Statuses | None,
        reached_through: str,
        pool: Pool | None,
        merge: str,
        parts: Sequence[Part],
        together: Sequence[str],
        index: str,
    ) -> None:
        self._cls, self._path, self._view, self._edit, self._owned = cls, path, view, edit, owned
        self._statuses, self._through = statuses, reached_through
        self._pool, self._merge, self._together, self._index = pool, merge, tuple(together), index
        self._layout = LayoutInParts(cls, parts) if parts else Layout(cls)
        self.rights: dict[str, str] = {}
        self._name = "".join(words)
        words = [word.lower() for word in words]
        self._what = " ".join(words)
        self._stem = "-".join(words)
        self._key = "_".join([*words, "id"])
        self._service = cls.__module__.rpartition(".")[2]
        found = _FEATURES.search(cls.__doc__ or "")
        self._features = found[0] if found else ""
        found_fields = fields_of(cls)
        self._fields = {name: one for name, one in found_fields.items() if name != OWN}
        is_about_a_person = is_personal(found_fields[OWN].type)
        self._own_given: Any = Personal[GivenOwn] if is_about_a_person else GivenOwn
        self._note: Any = Personal[Note] if is_about_a_person else Note
        amounts = {f"{one.name}_currency" for one in self._fields.values() if one.one is Money}
        taken = EVERY_RECORD_HAS | amounts | {self._key} | (WITH_STATUSES if statuses else set())
        taken |= WITH_POOL if pool else set()
        taken |= WITH_MERGES if merge else set()
        if taken := taken & set(self._fields):
            raise ContractError(f"{cls.__qualname__}: every record has {', '.join(sorted(taken))} already")
        if taken := LIST_PARAMETERS & set(self._fields):
            asked = ", ".join(f"?{name}" for name in sorted(taken))
            raise ContractError(f"{cls.__qualname__}: {asked} of lists means something else; name the field otherwise")
        if unknown := {view, edit} - {*RIGHTS, *OPEN}:
            raise ContractError(f"{cls.__qualname__}: there is no right {', '.join(sorted(unknown))}")
        for one in self._fields.values():
            if one.rules.past and one.checked_by not in (DayField, MomentField):
                raise ContractError(f"{cls.__qualname__}.{one.name} is neither a day nor a moment: it can't be past")
            if one.rules.right:
                self._require_right(one)
            if one.rules.dictionary:
                self._require_dictionary(one)
            if one.rules.record and one.type not in (UUID, UUID | None):
                raise ContractError(f"{cls.__qualname__}.{one.name} names a record, so it is an id, or none")
            if one.name == TAGS and not one.rules.dictionary:
                raise ContractError(f"{cls.__qualname__}.{TAGS}: tags come from a dictionary")
            if one.rules.first is not KEPT and not one.required:
                raise ContractError(f"{cls.__qualname__}.{one.name}: what is something at first has no default besides")

        self._require_together()
        self._require_seen()
        if statuses:
            self._require_needed(statuses)
        if reached_through:
            self._require_parent()
        self._require_pool(path)
        self._require_mergeable()

    def _require_parent(self) -> None:
        """Who reaches a record is said by it or by the one that it belongs to, and not by both or by neither."""
        through = self._fields.get(self._through)
        if self._owned or through is None or not (through.rules.record and through.required):
            raise ContractError(
                f"{self._cls.__qualname__} is reached through {self._through}: that must name the record to which each "
                "belongs, and no owner of its own"
            )

    def _require_pool(self, path: str) -> None:
        """What waits in a pool may belong to people."""
        pool, name = self._pool, self._cls.__qualname__
        if (pool and not self._owned) or (self._statuses and self._statuses.pooled and not pool):
            raise ContractError(f"{name}: what waits in a pool belongs to somebody else, or to nobody")
        if pool:
            pool.require(name, path)

    def _require_mergeable(self) -> None:
        """What is merged belongs to people, and there is the right to it."""
        if self._merge and (not self._owned or self._merge not in RIGHTS):
            name = self._cls.__qualname__
            raise ContractError(f"{name}: what is merged belongs to somebody, and there is a right to that")

    def _require_needed(self, statuses: Statuses) -> None:
        """What a step needs are fields of the kind that whoever is refused the step may see."""
        for name in (name for step in statuses.steps for name in step.needs):
            if name not in self._fields or self._fields[name].rules.right:
                raise ContractError(f"{self._cls.__qualname__}: a step needs {name}, which it has not, or not for all")

    def _require_together(self) -> None:
        """What is unique together are several texts, none of them unique alone."""
        found = [self._fields.get(name) for name in self._together]
        if len(found) == 1 or not all(one and one.is_line and not one.rules.unique for one in found):
            raise ContractError(f"{self._cls.__qualname__}: {', '.join(self._together)} can't be unique together")

    def _require_seen(self) -> None:
        """What tells records apart needs no right, here or elsewhere by its name: who asks whether there is such a
        record already, or enters one, would be told what stands there."""
        kinds = [(kind.cls, _telling_apart(kind.fields, kind.together)) for kind in KINDS.values()]
        for cls, names in (*kinds, (self._cls, _telling_apart(self._fields, self._together))):
            if guarded := sorted(names & (FIELD_RIGHTS.keys() | self.rights.keys())):
                raise ContractError(
                    f"{cls.__qualname__}.{guarded[0]} tells records apart, so no field of that name needs a right"
                )

    def _require_right(self, one: Field) -> None:
        """A field that needs a right is hidden by its name, and told by no refusal."""
        right, place = one.rules.right, f"{self._cls.__qualname__}.{one.name}"
        if one.required or one.rules.unique or one.name in self._together:
            raise ContractError(f"{place} needs a right, so it can be neither required nor unique")
        shown_as = [one.name, f"{one.name}_currency"] if one.one is Money else [one.name]
        if right not in RIGHTS or any(FIELD_RIGHTS.get(name, right) != right for name in shown_as):
            raise ContractError(f"{place}: there is no right {right}, or such a field needs another one elsewhere")
        self.rights |= dict.fromkeys(shown_as, right)

    def _require_dictionary(self, one: Field) -> None:
        """What is picked from a dictionary is a text, or several, and told by no other means what it is."""
        place = f"{self._cls.__qualname__}.{one.name}"
        if one.rules.dictionary not in PREPARED:
            raise ContractError(f"{place}: there is no dictionary {one.rules.dictionary}")
        if not (isinstance(one.checked_by, type) and issubclass(one.checked_by, TextField)) or one.rules.unique:
            raise ContractError(f"{place}: what is picked from a dictionary is a text that several records may have")

    def kind(
        self,
        *,
        tells_changes_always: bool,
        wanted: Sequence[str],
        verb: str,
        entered_with: type | None,
        pools: Kind | None,
    ) -> Kind:
        if unknown := set(wanted) - self._fields.keys():
            raise ContractError(f"{self._cls.__qualname__}: it has no field {', '.join(sorted(unknown))}")
        a = f"{'An' if self._what[0] in 'aeiou' else 'A'} {self._what}"
        one, item = a[0].lower() + a[1:], f"{self._path}/{{{self._key}}}"
        given = {name: field.given for name, field in self._fields.items()}
        first = {
            one.name: self._first(one)
            for one in fields(self._cls)
            if one.default is not MISSING and one.name in self._fields
        }
        first |= {name: field.rules.first for name, field in self._fields.items() if field.rules.first is not KEPT}
        if self._owned:
            given[OWNER], first[OWNER] = UUID | None, KEPT
        if self._pool:
            given[POOL_ID], first[POOL_ID] = UUID | None, None
        kept = {name: field.given if field.required else field.given | None for name, field in self._fields.items()}
        given[OWN], first[OWN] = self._own_given, ""
        kept[OWN] = self._own_given | None
        owner = {"owner": Person} if self._owned else {}
        since = self._since[0] | ({POOL_ID: UUID | None} if self._pool else {})
        status = {STATUS: self._statuses.type} if self._statuses else {}
        told, lacking = self._layout.in_events()
        given, first = self._layout.entered(given, first)
        if entered_with:
            given |= get_type_hints(entered_with, include_extras=True)
            first |= {one.name: one.default for one in fields(entered_with) if one.default is not MISSING}
        kept = self._layout.changed(kept)
        return Kind(
            cls=self._cls,
            name=self._name,
            what=self._what,
            summary=(self._cls.__doc__ or "").strip().partition("\n")[0],
            service=self._service,
            key=self._key,
            path=self._path,
            view=self._view,
            owned=self._owned,
            reached_through=self._through,
            wanted=tuple(wanted),
            fields=self._fields,
            layout=self._layout,
            together=self._together,
            pools=pools,
            index=self._index or ".".join([self._service, self._what, *self._together]),
            create=self._command(
                verb, f"Enter {one}.", f"POST {self._path}", given, first, creates=True
            ),
            edit=self._command(
                "Edit",
                f"Change {one}; a field left out keeps its value.",
                f"PATCH {item}",
                kept,
                dict.fromkeys(kept, KEPT),
            ),
            delete=self._command("Delete", f"Take {one} away; it can be restored.", f"DELETE {item}"),
            restore=self._command("Restore", f"Bring back {one} that was deleted.", f"POST {item}/restore"),
            revert=self._command(
                "Revert",
                f"Put back what {one} was at an earlier version: all that the caller may give, or the fields named.",
                f"POST {item}/revert",
                {"version": Quantity, "fields": tuple[Literal[tuple([*self._fields, OWN])], ...]},  # type: ignore[misc]
                {"fields": KEPT},
            ),
            created=self._event(
                f"{verb.removesuffix('e')}ed",
                f"{a} was entered.",
                {**told, **owner, **status, **since},
                {**lacking, **self._begins, **dict.fromkeys(since)},
            ),
            edited=self._event(
                "Edited", f"{a} changed: all that is known of it now, and which fields changed.",
                {**told, "changed": tuple[Name, ...]},
                {**lacking, **({} if tells_changes_always else {"changed": ()})},
            ),
            deleted=self._event("Deleted", f"{a} was deleted."),
            restored=self._event("Restored", f"{a} that was deleted is there again."),
            **(self._owners(one, a, item) if self._owned else {}),
            **(self._with_pool(self._pool, one, a, item) if self._pool else {}),
            **(self._with_merges(one, a, item) if self._merge else {}),
            **(self._tags(one, item) if TAGS in self._fields else {}),
            **(self._with_statuses(self._statuses, one, a, item) if self._statuses else {}),
        )  # fmt: skip

    def _tags(self, one: str, item: str) -> dict[str, Any]:
        """What there is besides where records have tags: some are added or taken away, whatever others there are."""
        return {
            "tag": self._command(
                "Tag", f"Add tags to {one}, or take some away, and leave its others (CUS-08).", f"POST {item}/tags",
                {"add": tuple[Tag, ...], "remove": tuple[Tag, ...]}, {"add": (), "remove": ()},
            ),
        }  # fmt: skip

    def _with_statuses(self, statuses: Statuses, one: str, a: str, item: str) -> dict[str, Any]:
        """What there is besides where records have statuses: one command makes each step."""
        since, first_day = self._since
        return {
            "statuses": statuses,
            "set_status": self._command(
                "Set", f"Take {one} to another status, by a step that leads there from the one it has.",
                f"PUT {item}/status", {STATUS: statuses.type, REASON: self._note}, {REASON: ""}, ending="Status",
            ),
            "status_set": self._event(
                "StatusSet", f"{a} has another status: the one before, and why where somebody said so.",
                {"before": statuses.type, STATUS: statuses.type, REASON: self._note, **since},
                {REASON: "", **first_day},
            ),
        }  # fmt: skip

    @property
    def _since(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What an event tells of the day since which a record with a pool is worked on: where it begins, or begins
        anew; and what holds where it tells none."""
        return ({OWNER_SINCE: Day | None}, {OWNER_SINCE: None}) if self._pool else ({}, {})

    def _owners(self, one: str, a: str, item: str) -> dict[str, Any]:
        """What there is besides where records belong to people: they may be given to others."""
        return {
            "assign": self._command(
                "Assign", f"Give {one} to somebody else, or to nobody.", f"PUT {item}/owner", {OWNER: UUID | None},
                {OWNER: KEPT},
            ),
            "assigned": self._event(
                "Assigned",
                f"{a} belongs to somebody else now, or to nobody.",
                {"owner": Person, "before": Person, **(self._changes_hands if self._pool else {})},
                {OWNER_SINCE: None, CAME_BY: "ASSIGNED", REASON: "", POOL_ID: None, **self._begins}
                if self._pool
                else {},
            ),
            "share": self._command(
                "Share",
                f"Let a user, or a department, read or edit {one} too (COL-07); `until`: the last day.",
                f"PUT {item}/shares/{{with_id}}", {"with_id": UUID, "access": Access, "until": Day | None},
                {"access": "READ", "until": None},
            ),
            "unshare": self._command(
                "Unshare", f"Share {one} with a user or department no longer (COL-07).",
                f"DELETE {item}/shares/{{with_id}}", {"with_id": UUID}, permission=self._view,
            ),
            "shared": self._event(
                "Shared", f"With whom {one} is shared changed (COL-07): all of them.", {SHARES: tuple[Share, ...]}
            ),
        }  # fmt: skip

    @property
    def _changes_hands(self) -> dict[str, Any]:
        """What there is to tell besides of a record with a pool that changes hands."""
        status = {STATUS: self._statuses.type} if self._statuses else {}
        return {OWNER_SINCE: Day | None, CAME_BY: How, REASON: self._note, POOL_ID: UUID | None, **status}

    @property
    def _begins(self) -> dict[str, Any]:
        """The status that a record begins with, where it has statuses."""
        return {STATUS: self._statuses.first} if self._statuses else {}

    def _with_pool(self, pool: Pool, one: str, a: str, item: str) -> dict[str, Any]:
        """What there is besides where records wait in a pool while they belong to nobody."""
        reason: Any = Personal[Reason] if self._note is not Note else Reason
        return {
            "pool": pool,
            "recycling_near": self._event(
                "RecyclingNear",
                f"{a} goes back to the pool on a day, by the rule that is named, unless somebody works on it.",
                {"owner": Person, DUE_ON: Day, REASON: Note, POOL_ID: UUID | None}, {POOL_ID: None},
            ),
            "claim": self._command(
                "Claim", f"Take {one} out of the pool: it is the caller's then, unless somebody else was first.",
                f"POST {item}/claim", permission=pool.claim,
            ),
            "give_back": self._command(
                "Return", f"Give {one} back to the pool that it comes from, or to another one, and say why.",
                f"POST {item}/return", {REASON: reason, POOL_ID: UUID | None}, {POOL_ID: KEPT},
            ),
            "assign_in_turn": self._command(
                "Assign",
                f"Give {one} out of the pool to the next of some people, who is there and may have more.",
                f"POST {item}/assign-in-turn", {AMONG: tuple[User, ...]}, permission=pool.assign, ending="InTurn",
            ),
            "move": self._command(
                "Move", f"Put {one} into another pool, or null: into the one that is always there.",
                f"PUT {item}/pool", {POOL_ID: UUID | None}, {POOL_ID: KEPT},
                permission=pool.assign,
            ),
            "moved": self._event(
                "Moved", f"{a} is in another pool: where it waits, or goes back to.",
                {POOL_ID: UUID | None, "before": UUID | None},
            ),
        }  # fmt: skip

    def _with_merges(self, one: str, a: str, item: str) -> dict[str, Any]:
        """What there is besides where two records may be merged."""
        names = tuple(name for name in [*self._fields, OWN] if name != TAGS)
        taken: Any = tuple[Literal[names], ...]  # type: ignore[valid-type]
        return {
            "merge": self._command(
                "Merge",
                f"Let another {self._what} go into this one, which takes its values of the fields named, and its tags.",
                f"POST {item}/merge", {DUPLICATE: UUID, TAKE: taken}, {TAKE: ()}, permission=self._merge,
            ),
            "unmerge": self._command(
                "Unmerge", f"Take {one} out again of the one into which it went.", f"POST {item}/unmerge",
                permission=self._merge,
            ),
            "merged": self._event("Merged", f"{a} went into another one.", {MERGED_INTO: UUID}),
            "unmerged": self._event(
                "Unmerged", f"{a} was taken out again of the one into which it went.", {"was_in": UUID}
            ),
            "joined": self._event(
                "Joined",
                f"Which others went into {one} changed: all of them, and the fields that it took from the last.",
                {MERGED_IDS: tuple[UUID, ...], "changed": tuple[Name, ...]}, {"changed": ()},
            ),
        }  # fmt: skip

    def _first(self, of: "DataclassField[Any]") -> Any:
        """What is given when nothing is: None where commands may say that it is nothing, and events can't."""
        given = self._fields[of.name].rules.given
        return None if None.__class__ in get_args(given) else of.default

    def _command(
        self,
        verb: str,
        text: str,
        route: str,
        annotations: Mapping[str, Any] | None = None,
        defaults: Mapping[str, Any] | None = None,
        *,
        creates: bool = False,
        ending: str = "",
        permission: str = "",
    ) -> type:
        id = {self._key: field(default_factory=new_id)} if creates else {}
        made = self._class(
            f"{verb}{self._name}{ending}", text, {self._key: UUID, **(annotations or {})}, {**(defaults or {}), **id}
        )
        return self._beside(command(route, permission=permission or self._edit, key=self._key, creates=creates)(made))

    def _event(
        self,
        verb: str,
        text: str,
        annotations: Mapping[str, Any] | None = None,
        defaults: Mapping[str, Any] | None = None,
    ) -> type:
        made = self._class(
            f"{self._name}{verb}",
            text,
            {self._key: UUID, **(annotations or {}), "by": Person},
            {**(defaults or {}), "by": SALESTREAM},
        )
        happened = "-".join([self._stem, *map(str.lower, _WORD.findall(verb))])
        return self._beside(event(f"salestream.{self._service}.{happened}.v1", key=self._key)(made))

    def _class(self, name: str, text: str, annotations: Mapping[str, Any], defaults: Mapping[str, Any]) -> type:
        head, dot, rest = text.partition(".")
        return type(
            name,
            (),
            {
                "__module__": self._cls.__module__,
                "__doc__": f"{head}{self._features}{dot}{rest}",
                "__annotations__": dict(annotations),
                **defaults,
            },
        )

    def _beside(self, made: type) -> type:
        setattr(sys.modules[self._cls.__module__], made.__name__, made)
        return made
