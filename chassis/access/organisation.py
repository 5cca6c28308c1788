"""Who acts in whose place, and who leads whom, at one moment (SEC-14, SEC-18, APR-12).

People leave, are moved, and lose roles while things wait for them.  So no record freezes whose turn it is: it names the
person it began with, and this chart says who that means now.  Whoever left is replaced by the one who took over, along
chains; whoever may not act any more by the next one above who may.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Protocol
from uuid import UUID


class Placed(Protocol):
    """What the chart must know of a person."""

    @property
    def id(self) -> UUID: ...

    @property
    def active(self) -> bool: ...

    @property
    def superior_id(self) -> UUID | None: ...

    @property
    def successor_id(self) -> UUID | None: ...


class Chart:
    """The people of a company as they stand to each other; made anew when one of them changes.

    `responsible` names the person behind each program.  `may` says whether somebody holds some rights, and, where that
    is asked, whether they reach those one leads.
    """

    def __init__(
        self,
        people: Iterable[Placed],
        responsible: Mapping[UUID, UUID],
        may: Callable[[Placed, Sequence[str], bool], bool],
    ) -> None:
        self._people = {person.id: person for person in people}
        self._responsible = dict(responsible)
        self._may = may
        self._leaders: dict[tuple[UUID, tuple[str, ...], bool], UUID | None] = {}
        self._waiting: dict[tuple[str, ...], dict[UUID, list[UUID]]] = {}
        self._acting: dict[tuple[str, ...], dict[UUID, list[UUID]]] = {}
        self._led: dict[UUID, list[UUID]] = defaultdict(list)
        self._left: dict[UUID, list[UUID]] = defaultdict(list)
        for person in self._people.values():
            if person.successor_id is not None:
                self._left[person.successor_id].append(person.id)
        for program, person_id in self._responsible.items():
            self._left[person_id].append(program)
        self._above: dict[UUID, UUID | None] = {}
        for id in sorted(person.id for person in self._people.values() if person.successor_id is None):
            self._above[id] = self._superior_of(id)
        for id, above in self._above.items():
            if above is not None:
                self._led[above].append(id)

    def _superior_of(self, person: UUID) -> UUID | None:
        """Who is above: one's own superior, or, for who took that place over or has none, that of whom one replaced.

        Who took over from somebody higher up stands there: who was above before, and is led from that place, is below
        now.  Nobody is above themselves, by whatever circle of replacements.
        """
        places = self._places_of(person)
        for place in places:
            superior = self._superior_on_paper(place)
            if superior is None or not places.keys().isdisjoint(self._chain(superior, self._superior_on_paper)):
                continue
            above = self.standing_in(superior)
            if person not in self._chain(above, self._above.get):
                return above
        return None

    def _places_of(self, person: UUID) -> dict[UUID, None]:
        """The places somebody has: their own, then those taken over, the nearest first."""
        found, new = {person: None}, deque([person])
        while new:
            taken_over = [place for place in self._left.get(new.popleft(), ()) if place not in found]
            found |= dict.fromkeys(taken_over)
            new.extend(taken_over)
        return found

    def _superior_on_paper(self, place: UUID) -> UUID | None:
        return self._people[place].superior_id if place in self._people else None

    @staticmethod
    def _chain(first: UUID, following: Callable[[UUID], UUID | None]) -> list[UUID]:
        """The first, who follows, who follows that one, and so on; circles end."""
        found: dict[UUID, None] = {}
        place: UUID | None = first
        while place is not None and place not in found:
            found[place] = None
            place = following(place)
        return list(found)

    def person_behind(self, caller: UUID) -> UUID:
        """Who answers for a program now; a person answers for themselves."""
        responsible = self._responsible.get(caller)
        return caller if responsible is None else self.standing_in(responsible)

    def standing_in(self, person: UUID) -> UUID:
        """Who has taken over from this person, along the whole chain; the person, while nobody has."""
        seen = {person}
        while (heir := self._heir(person)) is not None and heir not in seen:
            seen.add(heir)
            person = heir
        return person

    def _heir(self, person: UUID) -> UUID | None:
        known = self._people.get(person)
        return known.successor_id if known else self._responsible.get(person)

    def _is_able(self, person: UUID, rights: Sequence[str], for_others: bool = False) -> bool:
        known = self._people.get(person)
        if known is None:
            return True  # the news is on its way
        return known.active and self._may(known, rights, for_others)

    def acting_for(self, person: UUID, rights: Sequence[str]) -> UUID | None:
        """Who does what waits for this person (see `chassis.model.context.Organisation`)."""
        here = self.standing_in(person)
        return here if self._is_able(here, rights) else self._next_above(here, rights, for_others=True)

    def leader_of(self, person: UUID, rights: Sequence[str], otherwise: UUID | None = None) -> UUID | None:
        """The next one above who holds the rights (see `chassis.model.context.Organisation`)."""
        here = self.standing_in(person)
        if here in self._people:
            return self._next_above(here, rights, for_others=False)
        if otherwise is None or (stands := self.standing_in(otherwise)) in (person, here):
            return None
        return stands if self._is_able(stands, rights) else self._next_above(stands, rights, for_others=False)

    def _next_above(self, person: UUID, rights: Sequence[str], *, for_others: bool) -> UUID | None:
        """Step by step up, the first who may; circles end."""
        key = (person, tuple(rights), for_others)
        if key not in self._leaders:
            above, seen = self._above.get(person), {person}
            while above is not None and above not in seen and not self._is_able(above, rights, for_others):
                seen.add(above)
                above = self._above.get(above)
            self._leaders[key] = None if above in seen else above
        return self._leaders[key]

    def waiting_for(self, leaders: Collection[UUID], rights: Sequence[str]) -> set[UUID]:
        """Everybody whose next one above, of those who hold the rights, is one of these."""
        key = tuple(rights)
        if key not in self._waiting:
            found: dict[UUID, list[UUID]] = defaultdict(list)
            for person in (*self._people, *self._responsible):
                if leader := self.leader_of(person, rights):
                    found[leader].append(person)
            self._waiting[key] = found
        return {person for leader in leaders for person in self._waiting[key].get(leader, ())}

    def answered_for_by(self, person: UUID) -> set[UUID]:
        """The programs this person answers for now."""
        return {program for program in self._responsible if self.person_behind(program) == person}

    def acted_for_by(self, person: UUID, rights: Sequence[str]) -> set[UUID]:
        """Everybody whose work this person does, of those that are known (`acting_for`)."""
        key = tuple(rights)
        if key not in self._acting:
            found: dict[UUID, list[UUID]] = defaultdict(list)
            for known in (*self._people, *self._responsible):
                if acting := self.acting_for(known, rights):
                    found[acting].append(known)
            self._acting[key] = found
        return {*self._acting[key].get(person, ())}

    def led_by(self, leader: UUID) -> set[UUID]:
        """Everybody below: those one leads, those they lead, and so on."""
        found: set[UUID] = set()
        new = {leader}
        while new := {person for above in new for person in self._led.get(above, ())} - found:
            found |= new
        return found

    def with_heritage(self, people: Collection[UUID]) -> set[UUID]:
        """These people, those who have left their records to one of them, and the programs they answer for."""
        found, new = set(people), set(people)
        while new := {gone for heir in new for gone in self._left.get(heir, ())} - found:
            found |= new
        return found
