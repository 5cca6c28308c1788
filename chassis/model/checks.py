"""What a service declares in its `verification.py`: what must hold of its facts, beyond what the chassis knows itself.

LEDGER = Ledger("stock", entry=StockMoved, account=lambda fact: fact.product_id, kept_by=StockItem, ...)
RULE = Rule("goods of an order", state=Goods, key=..., folds={StockDeducted: deducted}, never=impossible)
CHECKS = (LEDGER, RULE)
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from uuid import UUID

from chassis.model.aggregates import Aggregate

A = TypeVar("A", bound=Aggregate)
S = TypeVar("S")


def _holds(_state: Any) -> str:
    return ""


@dataclass(frozen=True)
class Ledger(Generic[A]):
    """Accounts: each `entry` (a fact with `change` and `balance`) leads from the balance before it to its own.

    The balance starts at 0 and is never below.  The aggregate `kept_by`, found under `id(account)`, shows the last
    balance as `figure`; so do the documents of the views in `shown`, in the field named there.
    """

    name: str
    entry: type
    account: Callable[[Any], UUID]
    kept_by: type[A]
    id: Callable[[UUID], UUID]
    figure: Callable[[A], int]
    shown: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Rule(Generic[S]):
    """What must hold of everything the stores tell about one key, whichever services told it.

    `folds` gather facts into a `state` for each `key`.  `never` tells what can't be right whatever else is still
    under way, `at_rest` what must not last; both answer "" when there is nothing to tell.
    """

    name: str
    state: Callable[[], S]
    key: Callable[[Any], Hashable | None]  # None: the fact is about no key of this rule
    folds: Mapping[type, Callable[[S, Any], None]]
    never: Callable[[S], str] = _holds
    at_rest: Callable[[S], str] = _holds


Check = Ledger[Any] | Rule[Any]
