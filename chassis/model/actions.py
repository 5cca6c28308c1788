"""What a caller may do with what a row shows, and the reason why not, as the command would be refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from chassis.model.aggregates import Aggregate
from contracts.declare import REGISTRY, CommandSpec
from contracts.errors import Refused
from contracts.permissions import PASSWORD, PUBLIC, SELF


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the caller may give a command of the record now; `code`, `reason` and `params` say why not.

    What a command says may still be refused, and so may what has changed since.  `status`: of a command that takes the
    record to another status, the one that it is about; there is one such action for each.
    """

    command: str
    allowed: bool
    status: str | None = None
    code: str | None = None
    reason: str | None = None
    params: dict[str, Any] = {}

    @classmethod
    def of(cls, command: str, why: Refused | None, status: str | None = None) -> "Action":
        """What is told of a command that would be refused so, or that would not be."""
        if why is None:
            return cls(command=command, allowed=True, status=status)
        told: dict[str, Any] = why.why.told()
        return cls(command=command, allowed=False, status=status, code=why.code, **told)

    def told(self) -> dict[str, Any]:
        """As a row holds it."""
        return msgspec.structs.asdict(self)


FOR_THEMSELVES = frozenset({PUBLIC, PASSWORD, SELF})
"""What somebody does for themselves alone is nothing that the page of a record offers."""


@dataclass(frozen=True)
class Page:
    """The page of one record: the aggregate that it shows, and the commands that change such a record."""

    aggregate: type[Aggregate]
    commands: Sequence[CommandSpec]

    @classmethod
    def of(cls, service: str, path: str, aggregate: type[Aggregate]) -> "Page":
        """The page at a path that ends with what names the record (`/orders/{order_id}`), or is that of a record that
        has a name (`/settings/devices`): the commands of that one stand below the path."""
        offered = [spec for spec in REGISTRY.commands_of(service) if is_offered(spec)]
        if "{" in path:
            key = aggregate.named_by or path.rpartition("{")[2].rstrip("}")
            return cls(aggregate, [spec for spec in offered if spec.key == key])
        return cls(aggregate, [spec for spec in offered if f"{spec.path}/".startswith(f"{path}/")])


def is_offered(spec: CommandSpec) -> bool:
    """Whether a command is one that the page of a record tells of."""
    return spec.is_public and not spec.creates and spec.permission not in FOR_THEMSELVES


@dataclass(frozen=True)
class Pages:
    """The pages of single records, by their path: those of all at a path, and those of some that have a name."""

    by_path: Mapping[str, Page]

    def of(self, path: str, id: str) -> Page | None:
        """The page of a record, at a path that ends with what names it; None where there is none."""
        return self.by_path.get(path) or self.by_path.get(f"{_above(path)}/{id}")

    def tell(self, path: str) -> bool:
        """Whether records at a path have such pages."""
        return path in self.by_path or _above(path) in {_above(one) for one in self.by_path if "{" not in one}


def _above(path: str) -> str:
    return path.rpartition("/")[0]


NO_PAGES = Pages({})
