"""Values that one record may hold: a mobile number, a name and model.  Claimed in the transaction of the record."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from unicodedata import normalize
from uuid import NAMESPACE_URL, UUID, uuid5

from chassis.model.aggregates import Aggregate, applies, internal_event
from contracts.text import key, keys, normal, phone_keys


@internal_event("chassis.index-claimed")
class IndexClaimed:
    """A unique value belongs to a record now."""

    holder: UUID


@internal_event("chassis.index-released")
class IndexReleased:
    """A unique value is free again."""


def _index_id(index: str, keys: Iterable[str]) -> UUID:
    return uuid5(NAMESPACE_URL, "\x1f".join(["salestream:index", index, *keys]))


@dataclass(frozen=True)
class UniqueValue:
    """A value that one record may hold, as ids of its index.

    Who has it holds all of `taken`; under `former` ones earlier releases may have kept it, in the forms they knew.
    """

    taken: tuple[UUID, ...]
    former: tuple[UUID, ...] = ()

    @property
    def ids(self) -> tuple[UUID, ...]:
        return (*self.taken, *self.former)


@dataclass
class UniqueIndex(Aggregate):
    """One unique value (a mobile number, a product's name and model) and the record that holds it.

    Saved in the same transaction as the record, so two records can never hold one value.
    """

    holder: UUID | None = None

    @staticmethod
    def id_of(index: str, *parts: str) -> UUID:
        """The index aggregate's id of a value; what `contracts.text.key` takes for the same is one value."""
        return _index_id(index, [key(part) for part in parts])

    @staticmethod
    def of_text(index: str, *parts: str) -> UniqueValue:
        """A value of texts: the same as every other that reads the same (`contracts.text.keys`).

        Former releases knew letter case and outer blanks only, and took each Unicode form for another value.
        """
        taken = [_index_id(index, reading) for reading in product(*map(keys, parts))]
        forms: list[list[str]] = [list(parts)]
        forms += [[normalize(form, normal(part)) for part in parts] for form in ("NFC", "NFD")]
        former = [_index_id(index, [part.strip().casefold() for part in form]) for form in forms]
        return UniqueValue(tuple(dict.fromkeys(taken)), tuple(dict.fromkeys(id for id in former if id not in taken)))

    @classmethod
    def of_phone(cls, index: str, number: str) -> UniqueValue:
        """A phone number: the same however it is written (`contracts.text.phone_keys`)."""
        now, *before = (cls.of_text(index, form) for form in phone_keys(number))
        former = dict.fromkeys((*now.former, *(id for value in before for id in value.ids)))
        return UniqueValue(now.taken, tuple(id for id in former if id not in now.taken))

    def claim(self, holder: UUID) -> None:
        """Take the value for `holder`.  That no other record has it is asked before (`chassis.model.service.hold`)."""
        if self.holder != holder:
            self.record(IndexClaimed(holder=holder))

    def release(self, holder: UUID) -> None:
        """Free the value if `holder` has it."""
        if self.holder == holder:
            self.record(IndexReleased())

    @applies(IndexClaimed)
    def _claimed(self, fact: IndexClaimed) -> None:
        self.holder = fact.holder

    @applies(IndexReleased)
    def _released(self, fact: IndexReleased) -> None:
        self.holder = None
