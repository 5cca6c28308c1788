"""Who decides what waits for a decision, asked of one person when they decide, and of all rows when somebody looks.

Both are answered here from the same rules, so that one sees what one may decide (ADR 0023, ADR 0044).  A row that can
be decided holds, beside what it shows, `right`, `submitter_id`, and the marks of who decides its nodes
(`Decider.mark`): `deciders` those of all, `due_deciders` those of the node that is due.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args
from uuid import UUID

from chassis.model.context import ALONE, NOBODYS, AccessScope, Context, Organisation
from chassis.model.principal import Principal
from contracts.deciders import CaseRight, Decider, Node
from contracts.errors import Refused, lacks_right
from contracts.permissions import LEADERSHIP, RIGHTS
from contracts.reasons import Some, Why

Condition = dict[str, Any]
BY_PEOPLE = "^(SUPERIOR|ROLE|USER):"
"""The marks of nodes that who leads everybody decides too: else they would wait for ever where nobody is left."""
NAMES_TOLD = 5
"""So many of those whose turn it is a refusal names at most."""


@dataclass(frozen=True)
class Caller:
    """Who asks, as the rules need it."""

    id: UUID | None
    roles: Collection[str]
    reach: Callable[[str], AccessScope]
    organisation: Organisation

    @classmethod
    def of(cls, asking: Context | Principal) -> "Caller":
        if isinstance(asking, Principal):
            return cls(asking.user_id, asking.roles, asking.reach, asking.organisation)
        return cls(asking.user.user_id, asking.roles, asking.reach_of, asking.organisation)

    @property
    def ids(self) -> set[UUID]:
        """The caller, and for a program who answers for it."""
        return set() if self.id is None else {self.id, self.organisation.person_behind(self.id)}

    @property
    def leads_everybody(self) -> bool:
        return self.reach(LEADERSHIP).everybody


NOBODY = Caller(None, (), lambda _: NOBODYS, ALONE)
"""Who decides nothing."""


@dataclass(frozen=True)
class Matter:
    """What waits: who asked, the right that deciding it needs besides ("": none), and who was above them then."""

    submitter_id: UUID | None
    right: str = ""
    superior_id: UUID | None = None

    @property
    def rights(self) -> Sequence[str]:
        """What one must hold to decide as somebody's superior."""
        return (self.right, LEADERSHIP) if self.right else (LEADERSHIP,)

    def leader(self, organisation: Organisation) -> UUID | None:
        """Who is above the submitter now, of those who may decide; None: whoever leads everybody."""
        if self.submitter_id is None:
            return self.superior_id
        return organisation.leader_of(self.submitter_id, *self.rights, otherwise=self.superior_id)

    def is_reached(self, caller: Caller) -> bool:
        """Whether the caller's right to decide reaches it: it belongs to who is above the submitter."""
        return not self.right or caller.reach(self.right).covers(self.leader(caller.organisation))

    def holder(self, decider: Decider, organisation: Organisation) -> UUID | None:
        """The one person who decides, where it is one; None: nobody in particular, so whoever leads everybody."""
        if decider.kind == "SUPERIOR":
            if decider.user_id is None:
                return self.leader(organisation)
            return organisation.leader_of(decider.user_id, *self.rights)
        assert decider.user_id is not None, f"{decider.mark} is no person"
        return organisation.acting_for(decider.user_id, *([self.right] if self.right else []))

    def is_for(self, deciders: Iterable[Decider], caller: Caller) -> bool:
        """Whether one of these is the caller."""
        return any(self._is_for(decider, caller) for decider in deciders)

    def _is_for(self, decider: Decider, caller: Caller) -> bool:
        return (caller.leads_everybody and decider.kind != "RIGHT") or self.names(decider, caller)

    def names(self, decider: Decider, caller: Caller) -> bool:
        """Whether a decider is the caller, and not only as somebody who leads everybody."""
        if decider.kind == "RIGHT":
            return caller.reach(decider.right).covers(self.submitter_id)
        if decider.kind == "ROLE":
            return decider.role in caller.roles
        if decider.kind == "SUPERIOR" and caller.reach(LEADERSHIP) == NOBODYS:
            return False
        return caller.id is not None and self.holder(decider, caller.organisation) == caller.id

    def is_own(self, caller: Caller) -> bool:
        """Whether the caller asked for it, or took over from who did."""
        asked = self.submitter_id
        return asked is not None and not caller.ids.isdisjoint({asked, caller.organisation.standing_in(asked)})


@dataclass(frozen=True)
class Word:
    """What somebody said of a node, and who was still to decide it then."""

    node: str
    by: UUID | None
    awaited: Sequence[Decider] = ()


@dataclass(frozen=True)
class Course:
    """How far a matter has come that is decided node by node (APR-02, APR-08..12).

    `words` are those that were said of its nodes so far; `status` is OPEN as long as somebody is to decide, and NEW or
    CLOSED where nobody ever will.
    """

    status: str
    nodes: Sequence[Node]
    words: Sequence[Word]
    matter: Matter

    @property
    def decided(self) -> Sequence[Node]:
        """The nodes that need nobody any more."""
        return [node for node in self.nodes if not self.awaited(node)]

    @property
    def due(self) -> Node | None:
        """The node that is to be decided now."""
        return next((node for node in self.nodes if self.awaited(node)), None) if self.status == "OPEN" else None

    def awaited(self, node: Node) -> Sequence[Decider]:
        """Who is still to decide a node: one of these, or all of them where it needs all."""
        said = [word for word in self.words if word.node == node.key]
        return said[-1].awaited if said else node.deciders

    def left_by(self, node: Node, caller: Caller) -> Sequence[Decider]:
        """Who is still to decide a node once the caller has agreed.

        Who is named by none of its deciders, and leads everybody, agrees for all of whom they decide where nobody is
        left; so never for the holders of a right that they lack.
        """
        if not node.all_of:
            return ()
        awaited, matter = self.awaited(node), self.matter
        others = [decider for decider in awaited if not matter.names(decider, caller)]
        if len(others) < len(awaited):
            return others
        return [decider for decider in awaited if not matter.is_for([decider], caller)]

    @property
    def decided_by(self) -> Sequence[UUID]:
        """Who decided before."""
        return [word.by for word in self.words if word.by is not None]

    def meant(self, caller: Caller, named: str | None = None) -> Node:
        """The due node, if it is the one `named`, or where none is named one of the caller's.

        Raises Refused: FORBIDDEN for whom no node means, VALIDATION for a node that there is not, ALREADY_DECIDED, or
        INVALID_STATE where it is over or others have to decide first.
        """
        self._require_reached(caller)
        own = [node for node in self.nodes if self.matter.is_for(node.deciders, caller)]
        if self.nodes and not own:
            raise Refused("approvals.not_yours", field="case_id")
        of_that_name = [node for node in self.nodes if node.key == named]
        if named is not None and self.nodes and not of_that_name:
            raise Refused("approvals.no_such_node", node=named, field="node")
        return self._require_due(own if named is None else of_that_name, named, caller)

    def require_decider(self, due: Node, caller: Caller) -> None:
        """Nobody decides another's node, nor what they asked for or took over, nor two nodes (APR-12).

        A program counts as the person who answers for it.  Raises Refused FORBIDDEN.
        """
        if not self.matter.is_for(due.deciders, caller):
            raise Refused("approvals.node_not_yours", node=due.called, field="node")
        if self.matter.is_own(caller):
            raise Refused("approvals.own_order", field="case_id")
        if has_decided(self.decided_by, caller):
            raise Refused("approvals.decided_by_you", field="case_id")
        if not self.matter.is_for(self.awaited(due), caller):
            raise Refused("approvals.agreed_for_you", node=due.called, who=self._whose(due, caller), field="node")

    def refusal(self, caller: Caller) -> Refused | None:
        """Why the caller may not decide now; None where they may."""
        try:
            self.require_decider(self.meant(caller), caller)
        except Refused as refusal:
            return refusal
        return None

    def told(self, node: Node, organisation: Organisation) -> list[dict[str, Any]]:
        """For whom a node waits, by decider: its kind, the person's id where it is one, and names, theirs or of roles.

        `vacant`: nobody is there now who may, so who leads everybody decides.
        """
        return [self._told(decider, organisation) for decider in self.awaited(node)]

    def _told(self, decider: Decider, organisation: Organisation) -> dict[str, Any]:
        asked = self.matter.submitter_id
        barred = {*self.decided_by, asked, organisation.standing_in(asked) if asked else None}
        holder, names = None, [decider.role]
        if decider.kind == "RIGHT":  # administrators hold every right
            names = [*organisation.roles_with(decider.right)]
            is_there = bool(names)
        elif decider.kind == "ROLE":
            is_there = bool({*organisation.people({decider.role})} - barred)
        else:
            holder = self.matter.holder(decider, organisation)
            person = organisation.person(holder) if holder else None
            names, is_there = [person.name] if person else [], holder not in {*barred, None}
        return {"kind": decider.kind, "names": names, "user_id": holder, "vacant": not is_there}

    def _require_reached(self, caller: Caller) -> None:
        """How far the right to decide reaches says whose cases are the caller's (SEC-18).  Raises Refused FORBIDDEN."""
        right = self.matter.right
        if right and not self.matter.is_reached(caller):
            if caller.reach(right) == NOBODYS:
                raise lacks_right(right, caller.organisation.roles_with(right))
            raise Refused("records.out_of_reach", field="case_id")
        if not self.nodes and not caller.leads_everybody:
            raise Refused("records.out_of_reach", field="case_id")

    def _require_due(self, meant: Sequence[Node], named: str | None, caller: Caller) -> Node:
        decided, due = self.decided, self.due
        if self.status not in ("NEW", "CLOSED") and all(node in decided for node in meant):
            if named is None and due is not None:
                raise Refused("approvals.turn_of_others", node=due.called, who=self._whose(due, caller), state=due.key)
            raise Refused("approvals.decided", node=meant[-1].called, field="node", state=meant[-1].key)
        if due is None:
            raise Refused("approvals.closed", state=self.status)
        if due not in meant:
            raise Refused("approvals.too_early", node=due.called, who=self._whose(due, caller), state=due.key)
        return due

    def _whose(self, node: Node, caller: Caller) -> Why:
        """Who decides a node now, as a refusal names them."""
        told = self.told(node, caller.organisation)
        names = [name for one in told if not one["vacant"] for name in one["names"]]
        return Why("approvals.whose", names=Some(names, NAMES_TOLD)) if names else Why("approvals.of_nobody")


def has_decided(decided: Iterable[UUID], caller: Caller) -> bool:
    """Whether the caller decided before, by themselves or through a program they answer for."""
    ids = set(decided)
    return not caller.ids.isdisjoint(ids | {caller.organisation.person_behind(id) for id in ids})


# -- the same of all rows


def rows_seen(caller: Caller) -> Condition:
    """The condition of rows that the caller may see: those their right reaches, and those where a node is theirs."""
    if not caller.leads_everybody:
        return _any_of(_by_right(caller, "deciders"))
    sees_all = all(caller.reach(right).everybody for right in get_args(CaseRight))
    return {} if sees_all else _any_of(_by_right(caller, ""))


def rows_to_decide(caller: Caller, decided: str) -> Condition:
    """The condition of rows whose due node the caller may decide; `decided` is the path of who decided before."""
    if caller.id is None:
        return _NONE
    taken_over = {id for one in caller.ids for id in caller.organisation.stood_in_by(one)}
    programs = {id for one in caller.ids for id in caller.organisation.answered_for_by(one)}
    return {
        "$and": [
            {"submitter_id": {"$nin": _texts(caller.ids | taken_over)}},
            {decided: {"$nin": _texts(caller.ids | programs)}},
            _any_of(_by_right(caller, "due_deciders", always=True)),
        ]
    }


_NONE: Condition = {"_id": {"$in": []}}


def _by_right(caller: Caller, place: str, *, always: bool = False) -> Iterator[Condition]:
    """For each right that deciding may need: the rows that the caller reaches by it.

    Those that need none, and with `always` all, only where a mark at `place` is the caller's; "" stands for all rows.
    """
    for right in ("", *get_args(CaseRight)):
        parts: list[Condition] = [{"right": right}]
        matter = Matter(None, right)
        if right:
            reach = caller.reach(right)
            if reach == NOBODYS:
                continue
            if not reach.everybody:
                led = caller.organisation.waiting_for(reach.people, *matter.rights)
                parts.append({"submitter_id": {"$in": _texts(led)}})
        if place and (always or not right):
            parts.append(_any_of(_marked(caller, matter, place)))
        yield parts[0] if len(parts) == 1 else {"$and": parts}


def _marked(caller: Caller, matter: Matter, place: str) -> Iterator[Condition]:
    """The rows where a mark at `place` means the caller."""
    held = {right: caller.reach(right) for right in RIGHTS}
    if of_all := [right for right, reach in held.items() if reach.everybody]:
        yield {place: {"$in": [Decider(kind="RIGHT", right=right).mark for right in of_all]}}
    of_some: dict[frozenset[UUID], list[str]] = {}
    for right, reach in held.items():
        if not reach.everybody and reach.people:
            of_some.setdefault(reach.people, []).append(Decider(kind="RIGHT", right=right).mark)
    for people, marks in of_some.items():
        yield {"$and": [{place: {"$in": marks}}, {"submitter_id": {"$in": _texts(people)}}]}
    if caller.leads_everybody:
        yield {place: {"$regex": BY_PEOPLE}}
        return
    marks = [Decider(kind="ROLE", role=role).mark for role in caller.roles]
    if caller.id is not None:
        acting = caller.organisation.acted_for_by(caller.id, *([matter.right] if matter.right else []))
        marks += [Decider(kind="USER", user_id=id).mark for id in acting]
        if caller.reach(LEADERSHIP) != NOBODYS:
            led = caller.organisation.waiting_for({caller.id}, *matter.rights)
            marks += [Decider(kind="SUPERIOR", user_id=id).mark for id in led]
            above = Decider(kind="SUPERIOR").mark
            yield {"$and": [{place: above}, {"submitter_id": {"$in": _texts(led)}}]}
    yield {place: {"$in": sorted(marks)}}


def _any_of(conditions: Iterable[Condition]) -> Condition:
    found = [*conditions]
    return found[0] if len(found) == 1 else {"$or": found} if found else _NONE


def _texts(ids: Iterable[UUID]) -> list[str]:
    return sorted(map(str, ids))
