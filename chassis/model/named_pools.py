"""The pools of a kind of record that a company has besides the one that is always there (LED-01, CUS-12, ADR 0065).

A pool is a record itself: who claims from it, who looks after it, what limits it sets and by which rule records go back
to it.  Who may do what with it is said here once, for the records that wait in it and for the lists that show them.
"""

from collections.abc import Collection, Mapping
from functools import cache
from types import SimpleNamespace
from typing import Any, ClassVar, Self
from uuid import UUID

from chassis.model.context import NOBODYS, Context
from chassis.model.deciding import Caller
from chassis.model.pools import Limits
from chassis.model.records import Record
from contracts.errors import Refused
from contracts.pools import ADMINISTRATORS, MEMBERS
from contracts.records import Kind, kind_of


def named_as(caller: Caller) -> frozenset[UUID]:
    """The ids under which somebody may be named: their own, those of whose place they have taken, their departments."""
    found = {id for one in caller.ids for id in caller.organisation.stood_in_by(one)}
    return frozenset(found | {id for one in caller.ids for id in caller.organisation.departments_of(one)})


def has_every_pool(kind: Kind, caller: Caller) -> bool:
    """Whether somebody looks after all pools of a kind: whose right to assign its records reaches everybody's."""
    assert kind.pool is not None, f"{kind.what} has no pool"
    return caller.reach(kind.pool.assign).everybody


def pools_seen(kind: Kind, caller: Caller) -> Mapping[str, Any]:
    """The condition of the pools of a kind that somebody sees: those of which they are a member or look after."""
    if has_every_pool(kind, caller):
        return {}
    ids = sorted(map(str, named_as(caller)))
    return {"$or": [{name: {"$in": ids}} for name in (MEMBERS, ADMINISTRATORS)]}


class PoolRecord(Record):
    """A pool; `pool_of` makes the class of each kind whose records wait in such pools, `pooled`."""

    pooled: ClassVar[Kind]

    @classmethod
    def on_page(cls, row: Mapping[str, Any]) -> Self:
        record = super().on_page(row)
        named = {name: tuple(map(UUID, row.get(name) or ())) for name in (MEMBERS, ADMINISTRATORS)}
        record.data = SimpleNamespace(**{**{name: row.get(name) for name in cls.kind.fields}, **named})
        return record

    # -- who may do what with it

    def is_for(self, context: Context) -> bool:
        """Whether the caller is a member of it, and so claims from it."""
        return not named_as(Caller.of(context)).isdisjoint(self.data.members)

    def is_looked_after(self, context: Context) -> bool:
        """Whether the caller looks after it: one of its administrators, or who looks after all."""
        caller = Caller.of(context)
        named = not named_as(caller).isdisjoint(self.data.administrators)
        return has_every_pool(self.pooled, caller) or (named and context.may(self._edit_right))

    def is_seen(self, context: Context) -> bool:
        """Whether the caller sees the pool, and what waits in it."""
        caller = Caller.of(context)
        named = not named_as(caller).isdisjoint({*self.data.members, *self.data.administrators})
        return context.may(self.kind.view) and (named or has_every_pool(self.pooled, caller))

    def require_may(self, command: type, context: Context) -> None:
        """Raises Refused FORBIDDEN for who does not look after it."""
        super().require_may(command, context)
        if not self.is_looked_after(context):
            raise Refused("pools.not_looked_after", field=self.kind.key)

    @property
    def cool_down_days(self) -> int:
        """After how many days who had a record of it may claim it again, if that is not sooner than for all."""
        return self.data.cool_down_days or 0

    @property
    def limits(self) -> Limits:
        """Those for what comes from it, which hold besides those for all."""
        return Limits(self.data.most_owned or 0, self.data.most_claims_a_day or 0, self.data.name)

    def require_claimable(self, context: Context) -> None:
        """Raises Refused where the caller may claim nothing from it now."""
        if not self.is_for(context):
            raise Refused("pools.not_a_member", kind=self.pooled.what, field=self.pooled.key)
        if not self.data.active:
            raise Refused("pools.off", pool=self.data.name, field=self.pooled.key, state="OFF")

    def require_open(self, field: str) -> None:
        """Raises Refused where nothing is put into it: it is switched off."""
        if not self.data.active:
            raise Refused("pools.takes_nothing", pool=self.data.name, field=field, state="OFF")

    # -- what it may be

    def create(self, command: Any, context: Context, settings: Any = None) -> None:
        """Enter a pool: who looks after all does.  Raises Refused."""
        if not has_every_pool(self.pooled, Caller.of(context)):
            raise Refused("pools.not_looked_after", field=self.kind.key)
        super().create(command, context, settings)

    def check(self, data: Any, given: Collection[str], context: Context, settings: Any) -> None:
        """Raises Refused naming the field: nobody has heard of a member, or the rule can't be kept."""
        for name in (MEMBERS, ADMINISTRATORS):
            before = getattr(self.data, name) if self.data else ()
            for one in getattr(data, name) if name in given else ():
                if one not in before:
                    self._require_named(name, one, context)
        if data.rule == "OWN" and data.idle_days is None:
            raise Refused("pools.rule_wants_days", field="idle_days")
        if data.remind_days is not None and data.idle_days is not None and data.remind_days > data.idle_days:
            field = "remind_days" if "remind_days" in given else "idle_days"
            raise Refused(
                "pools.reminded_too_early", remind_days=data.remind_days, idle_days=data.idle_days, field=field
            )

    def _require_named(self, name: str, id: UUID, context: Context) -> None:
        """Raises Refused naming the field for who can't be a member, or look after the pool."""
        organisation = context.organisation
        person = organisation.person(id)
        if person is None and name == ADMINISTRATORS:
            raise Refused("records.no_such_user", field=name)
        if person is None and organisation.department(id) is None:
            raise Refused("pools.no_such_member", field=name)
        if name == ADMINISTRATORS and person and organisation.reach_of(id, self._edit_right) == NOBODYS:
            raise Refused("pools.lacks_right", name=person.name, right=self._edit_right, field=name)

    def require_childless(self, children: Mapping[str, int]) -> None:
        """Raises Refused INVALID_STATE while it holds records: how many, and what to do."""
        if (count := children.get(self.pooled.what, 0)) > 0:
            raise Refused(
                "pools.holds_records", kind=self.pooled.what, count=count, field=self.kind.key, state="IN_USE"
            )


def pool_of(kind: Kind) -> type[PoolRecord]:
    """The aggregate of the pools of a kind of record."""
    return _pool_of(kind.cls)


@cache
def _pool_of(cls: type) -> type[PoolRecord]:
    kind = kind_of(cls)
    assert kind.pools is not None, f"{kind.what} has no pool"
    about = {"kind": kind.pools, "pooled": kind, "__doc__": f"A pool of {kind.what}s."}
    made: type[PoolRecord] = type(f"{kind.name}PoolRecord", (PoolRecord,), about)
    return made
