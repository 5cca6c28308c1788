"""By which clock the company counts its days in a run, and when the run begins: shortly before some midnight."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

ZONES = tuple(map(ZoneInfo, ("Asia/Shanghai", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kathmandu")))
"""+08:00, +14:00, -11:00 and +05:45: in none of them is it the day of UTC for long."""

EVENINGS = (datetime(2026, 3, 3), datetime(2026, 12, 31), datetime(2028, 2, 29))
LONGEST_BEFORE = 40.0
"""Seconds before midnight; people work for about as long."""


@dataclass(frozen=True)
class Calendar:
    """`zone` is the company's as long as nobody sets another; `start` is when the run begins."""

    zone: ZoneInfo
    start: datetime

    @classmethod
    def draw(cls, random: Random) -> "Calendar":
        """Mostly the midnight that comes is the company's, in some runs that of UTC."""
        zone = random.choice(ZONES)
        of = random.choice((zone, zone, zone, UTC))
        midnight = (random.choice(EVENINGS) + timedelta(days=1)).replace(tzinfo=of)
        return cls(zone, midnight.astimezone(UTC) - timedelta(seconds=random.random() * LONGEST_BEFORE))
