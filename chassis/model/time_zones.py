"""Time zones by name, as the company and people set them."""

from functools import cache
from zoneinfo import available_timezones

from contracts.errors import Refused

OF_A_MACHINE = {"localtime", "posixrules", "Factory"}


@cache
def zones() -> frozenset[str]:
    """The names of the zones there are."""
    return frozenset(available_timezones() - OF_A_MACHINE)


def require_time_zone(name: str) -> None:
    """Raises Refused VALIDATION, naming `time_zone`, for a zone that does not exist (SET-03).

    "localtime" and the like are files of a machine, and mean another zone on another one.
    """
    if name not in zones():
        raise Refused("company.time_zone", name=name[:60], field="time_zone")
