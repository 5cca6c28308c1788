"""Time zones by name, as the company and people set them."""

from zoneinfo import ZoneInfo

from contracts.errors import Refused


def require_time_zone(name: str) -> None:
    """Raises Refused VALIDATION, naming `time_zone`, for a zone that does not exist (SET-03)."""
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:
        raise Refused("company.time_zone", name=name[:60], field="time_zone") from error
