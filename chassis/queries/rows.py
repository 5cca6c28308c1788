"""What somebody sees of the documents of a view: the fields they may see, what is worked out, and labels."""

from collections.abc import Callable, Container, Iterable, Iterator, Sequence, Set
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

from bson import Decimal128

from chassis.access.company import CompanySettings
from chassis.model.deciding import Caller
from chassis.model.principal import Principal
from chassis.model.views import CALLER, COMPANY_CURRENCY, LABELS, LANGUAGE, LISTS, NAMED, NOW, View
from chassis.projections.documents import stored, told_of_lists
from chassis.projections.versions import OF
from chassis.queries import amounts, formulas
from chassis.queries.grouping import Label
from chassis.queries.parents import Names
from chassis.queries.view_now import ViewNow
from contracts.custom_fields import OWN
from contracts.languages import LANGUAGES, Language
from contracts.permissions import FIELD_RIGHTS

Document = dict[str, Any]
NOTHING_NAMED: Names = {}


class Rows:
    """The rows of one view, as callers see them."""

    def __init__(
        self,
        view: View,
        company: CompanySettings,
        now: ViewNow,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._view, self._company, self._now, self._clock = view, company, now, clock
        self._laid_under = {key: stored(values) for key, values in view.defaults.items()}
        self._names = [item.name for item in fields(view.row)]
        self._lists = {name for name, kind in view.types.items() if kind.kind == "list"}

    def names(self, principal: Principal) -> list[str]:
        """The fields of the row that somebody may see."""
        return [name for name in self._names if self.may_see(name, principal)]

    def may_see(self, name: str, principal: Principal) -> bool:
        right = self._view.hidden.get(name) or FIELD_RIGHTS.get(name.removeprefix(f"{OWN}."))
        return right is None or principal.may(right)

    def may_search(self, name: str, principal: Principal) -> bool:
        """Whether words are looked for in a field: not in what holds things of any kind, some of them unseen."""
        holds_anything = name in self._view.holds_anything
        return self.may_see(name, principal) and not (holds_anything and self.unseen(principal))

    def unseen(self, principal: Principal) -> Set[str]:
        """The names of the fields that somebody may not see, wherever they stand (`unseen_by`)."""
        return unseen_by(principal, self._company)

    def without_unseen(self, documents: Iterable[Document], principal: Principal) -> Iterator[Document]:
        """The documents without the values of own fields that somebody may not see."""
        keys = self._now.seen(principal).keys
        for document in documents:
            own = document.get(OWN) if self._view.kind else None
            yield {**document, OWN: {key: own[key] for key in own if key in keys}} if own else document

    def shown(
        self, document: Document, caller: Caller, language: str = LANGUAGES[0], called: Names = NOTHING_NAMED
    ) -> Document:
        """A document with its id and what is worked out from it, once; of an earlier version that isn't known."""
        document = {**self._laid_under.get(document["_id"], {}), **document}
        known = {
            **document,
            COMPANY_CURRENCY: self._company.currency,
            CALLER: caller,
            LANGUAGE: language,
            NAMED: called,
            NOW: self._clock(),
        }
        shown = {**document, "id": document["_id"]}
        for name, compute in self._view.computed.items() if OF not in document else ():
            shown[name] = stored(compute(known))
        return formulas.tidied(shown, self._now.fields)

    def told(
        self,
        documents: Iterable[Document],
        principal: Principal,
        language: str = LANGUAGES[0],
        called: Names = NOTHING_NAMED,
    ) -> list[Document]:
        """What somebody sees of documents; `called` tells the names of the records that those name."""
        names, unseen = self.names(principal), self.unseen(principal)
        caller = Caller.of(principal)
        rows = []
        for document in self.without_unseen(documents, principal):
            row = self._row(self.shown(document, caller, language, called), names, unseen)
            if self._view.picked or self._view.parents or self._own_people(principal):
                row[LABELS] = self.labels(document, names, principal, language, called)
            rows.append(row)
        return rows

    def labels(
        self,
        document: Document,
        names: Sequence[str],
        principal: Principal,
        language: str,
        called: Names = NOTHING_NAMED,
    ) -> Document:
        """What is called what a document has picked from dictionaries, of the fields named: a text, or one of each.

        So are the records that it names, one that the caller does not see called nothing, and the people whom fields
        name that the company has added.
        """
        found: Document = {
            name: called.get(name, {}).get(document.get(name) or "", "") for name in self._view.parents if name in names
        }
        for name, dictionary in self._view.picked.items():
            if name in names:
                tree, value = principal.dictionaries.of(dictionary), document.get(name)
                values = [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)]
                labels = [tree.label(one, cast(Language, language)) if one else "" for one in values]
                found[name] = labels if isinstance(value, list) else "".join(labels)
        for path in self._own_people(principal) if OWN in names else ():
            id = value_at(document, path)
            person = principal.organisation.person(UUID(id)) if id else None
            found[path] = person.name if person else ""
        return found

    def _own_people(self, principal: Principal) -> Sequence[str]:
        """The fields that the company has added whose values are users."""
        return [one.path for one in self._now.seen(principal).fields if one.type == "person"]

    def entries(self, field: str | None, principal: Principal, language: str) -> Label:
        """What tells the code of the entry that a value of a field means, and what it is called."""
        tree = principal.dictionaries.of(self._view.picked[str(field)])

        def label(value: str) -> tuple[str, str]:
            entry = tree.meant(value)
            return (entry.code if entry else value), tree.label(value, cast(Language, language))

        return label

    def _row(self, shown: Document, names: Sequence[str], unseen: Set[str]) -> Document:
        row = {
            name: plain(shown.get(name, [] if name in self._lists else None), () if name == OWN else unseen)
            for name in names
        }
        if growing := [name for name in self._view.growing_lists if name in row]:
            row[LISTS] = told_of_lists(shown, growing)  # some of them are worked out
        return row


def unseen_by(principal: Principal, company: CompanySettings) -> Set[str]:
    """The names of the fields that somebody may not see, wherever they stand.

    The values of a record's own fields are among them, all together, where one of those needs a right that is lacking:
    what commands gave, and how a record was, tells them as one text.
    """
    found = {name for name, right in FIELD_RIGHTS.items() if not principal.may(right)}
    return found if all(map(principal.may, company.custom_fields.rights)) else found | {OWN}


def value_at(document: Document, path: str) -> Any:
    """What a document holds at a dotted path; None for nothing."""
    outer, _, inner = path.partition(".")
    held = document.get(outer)
    return held.get(inner) if inner and isinstance(held, dict) else held


def plain(value: Any, unseen: Container[str] = frozenset()) -> Any:
    """A stored value as JSON shows it: amounts as text, moments in RFC 3339, and of its parts none that is `unseen`."""
    if isinstance(value, str):
        return value
    if isinstance(value, Decimal128):
        return amounts.told(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, dict):
        seen = {name: inner for name, inner in value.items() if not name.startswith("_") and name not in unseen}
        return {name: plain(inner, unseen) for name, inner in seen.items()}
    if isinstance(value, list):
        return [plain(inner, unseen) for inner in value]
    return value
