"""By which ways somebody is told besides their list, and at which hours not (NTF-03)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from uuid import NAMESPACE_URL, UUID, uuid5
from zoneinfo import ZoneInfo

from chassis.model.aggregates import Aggregate, applies
from chassis.model.context import Context
from chassis.model.identity import Named
from contracts.declare import KEPT
from contracts.errors import Refused
from contracts.notices import (
    ChooseNoticeWays,
    NoticeWaysChosen,
    NoticeWaysSet,
    OccasionWays,
    QuietHours,
    SetNoticeWays,
)
from contracts.occasions import GROUPS, TO_MANY, Occasion, Way
from contracts.settings import DEFAULTS

SETTINGS = Named("settings_id", "notices")


def chosen_id(user_id: UUID) -> UUID:
    """Under which what somebody has chosen stands."""
    return uuid5(NAMESPACE_URL, f"salestream:notice-ways:{user_id}")


def _by_occasion(ways: Sequence[OccasionWays]) -> dict[Occasion, tuple[Way, ...]]:
    return {one.occasion: one.ways for one in ways}


def _require_no_robot_for_many(ways: Sequence[OccasionWays]) -> None:
    """Raises Refused VALIDATION: thousands of messages into one group would take hours, and hold up all others."""
    for index, one in enumerate(ways):
        if one.occasion in TO_MANY and not set(GROUPS).isdisjoint(one.ways):
            raise Refused("notices.no_robot_for_many", names=GROUPS, field=f"ways.{index}.ways")


@dataclass
class CompanyWays(Aggregate):
    """By which ways the company has people told who have chosen nothing."""

    ways: Mapping[Occasion, tuple[Way, ...]] = field(default_factory=lambda: _by_occasion(DEFAULTS["notices"]["ways"]))

    def set(self, command: SetNoticeWays, context: Context) -> None:
        """Nothing happens where it was so.  Raises Refused for a robot where many are told."""
        if command.ways is not KEPT and _by_occasion(command.ways) != self.ways:
            _require_no_robot_for_many(command.ways)
            self.record(NoticeWaysSet(settings_id="notices", ways=command.ways, by=context.user))

    @applies(NoticeWaysSet)
    def _set(self, fact: NoticeWaysSet) -> None:
        self.ways = _by_occasion(fact.ways)


@dataclass
class ChosenWays(Aggregate):
    """What one person has chosen: ways by occasion, the company's where nothing is chosen, and quiet hours."""

    ways: Mapping[Occasion, tuple[Way, ...]] = field(default_factory=dict)
    quiet: QuietHours | None = None

    def choose(self, command: ChooseNoticeWays, context: Context) -> None:
        """Raises Refused FORBIDDEN for somebody else's, and for a robot where many are told."""
        if command.user_id != context.user.user_id:
            raise Refused("notices.own_ways", field="user_id")
        if (_by_occasion(command.ways), command.quiet) != (self.ways, self.quiet):
            _require_no_robot_for_many(command.ways)
            self.record(NoticeWaysChosen(user_id=command.user_id, ways=command.ways, quiet=command.quiet))

    def ways_for(self, occasion: Occasion, company: CompanyWays, ways: Sequence[Way] = ()) -> Sequence[Way]:
        """Those that one has chosen, else those of what has one told, else the company's.

        A robot for what many are told may have been chosen before that was refused.
        """
        found = self.ways.get(occasion, tuple(ways) or company.ways.get(occasion, ()))
        return [way for way in found if occasion not in TO_MANY or way not in GROUPS]

    def from_when(self, now: datetime, zone: ZoneInfo) -> datetime:
        """When something of now is sent: at once, or when the quiet hours of the person's zone are over."""
        if self.quiet is None:
            return now
        begins, ends = time.fromisoformat(self.quiet.begins), time.fromisoformat(self.quiet.ends)
        local = now.astimezone(zone)
        at = local.time().replace(tzinfo=None)
        over_night = begins > ends
        if not ((at >= begins or at < ends) if over_night else begins <= at < ends):
            return now
        day = local.date() + timedelta(days=1 if over_night and at >= begins else 0)
        end = datetime.combine(day, ends, zone).replace(fold=local.fold)  # an hour that comes twice is quiet twice
        return max(now, end.astimezone(UTC))

    @applies(NoticeWaysChosen)
    def _chosen(self, fact: NoticeWaysChosen) -> None:
        self.ways, self.quiet = _by_occasion(fact.ways), fact.quiet
