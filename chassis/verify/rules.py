"""Ledgers and rules that services declare, kept while the stores are read: one small state an account or key."""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from uuid import UUID

from chassis.model.checks import Ledger, Rule
from chassis.store.event_store import EventStore
from chassis.store.events import Notification, Unreadable
from chassis.verify.findings import Difference, EventRef
from chassis.verify.read_models import Views


@dataclass
class Account:
    """The balance of an account so far, and in the views that show it the balance of the last entry they had."""

    stream: UUID
    balance: int = 0
    version: int = 0
    position: int = 0
    shown: dict[str, int] = field(default_factory=dict)


@dataclass
class LedgerCheck:
    """One ledger."""

    service: str
    ledger: Ledger[Any]
    accounts: dict[UUID, Account] = field(default_factory=dict)

    def take(self, event: Notification, source: str, fact: Any, views: Views | None) -> Iterator[Difference]:
        """An entry."""
        account = self.accounts.setdefault(self.ledger.account(fact), Account(event.aggregate_id))
        if fact.balance != account.balance + fact.change or fact.balance < 0:
            yield Difference(
                self._name,
                str(self.ledger.account(fact)),
                f"the balance was {account.balance}, the entry changes it by {fact.change} and says {fact.balance}",
                EventRef(self.service, event.position, event.type, f"{event.aggregate_id}/{event.version}"),
            )
        account.balance, account.version, account.position = fact.balance, event.version, event.position
        for view in self.ledger.shown:
            if views and views.includes(view, event, source):
                account.shown[view] = fact.balance

    @property
    def _name(self) -> str:
        return f"{self.ledger.name} ledger"

    def compare(self, store: EventStore, views: Views | None) -> Iterator[Difference]:
        """The last balances against the aggregates and the documents that show them."""
        for id, account in self.accounts.items():
            try:
                yield from self._compare(id, account, store, views)
            except Unreadable as damage:
                yield Difference(self._name, str(id), str(damage), EventRef(self.service, account.position))

    def _compare(self, id: UUID, account: Account, store: EventStore, views: Views | None) -> Iterator[Difference]:
        aggregate = store.load(self.ledger.kept_by, self.ledger.id(id))
        balance = self._balance_at(store, account, aggregate.version) if aggregate else account.balance
        figure = self.ledger.figure(aggregate) if aggregate else None
        event = EventRef(self.service, account.position)
        if figure != balance:
            message = f"the entries come to {balance}, the {self.ledger.kept_by.__name__} has {figure}"
            yield Difference(self._name, str(id), message, event)
        for view, name in self.ledger.shown.items():
            if views and view in account.shown:
                shown = (views.documents.live(view, str(id)) or {}).get(name)
                if shown != account.shown[view]:
                    message = f"the entries come to {account.shown[view]}, {view}.{name} is {shown}"
                    yield Difference(self._name, str(id), message, event)

    def _balance_at(self, store: EventStore, account: Account, version: int) -> int:
        """The balance at a version of the aggregate: entries come while the log and the aggregate are read."""
        later = islice(store.facts(account.stream, after=account.version), max(0, version - account.version))
        entries = [fact for fact in later if isinstance(fact, self.ledger.entry)]
        newest: Any = entries[-1] if entries else account
        balance: int = newest.balance
        return balance


@dataclass
class Kept:
    """The state of one key, and the last event that changed it."""

    state: Any
    service: str = ""
    position: int = 0


@dataclass
class RuleCheck:
    """One rule."""

    rule: Rule[Any]
    kept: dict[Hashable, Kept] = field(default_factory=dict)

    def take(self, service: str, event: Notification, fact: Any) -> None:
        key = self.rule.key(fact)
        if key is None:
            return
        kept = self.kept.setdefault(key, Kept(self.rule.state()))
        self.rule.folds[type(fact)](kept.state, fact)
        kept.service, kept.position = service, event.position

    def impossible(self) -> Iterator[Difference]:
        """What can't be right whatever is still under way."""
        for key, kept in self.kept.items():
            if message := self.rule.never(kept.state):
                yield self._difference(key, message)

    def unsettled(self, among: "set[Hashable] | None" = None) -> set[Hashable]:
        """The keys that are not (yet) as they must be at rest."""
        return {key for key in (self.kept if among is None else among) if self.rule.at_rest(self.kept[key].state)}

    def difference(self, key: Hashable) -> Difference:
        return self._difference(key, self.rule.at_rest(self.kept[key].state))

    def _difference(self, key: Hashable, message: str) -> Difference:
        kept = self.kept[key]
        about = " ".join(map(str, key)) if isinstance(key, tuple) else str(key)
        return Difference(self.rule.name, about, message, EventRef(kept.service, kept.position))
