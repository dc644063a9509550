"""Quiet hours: when an alert that may wait is sent. Pure arithmetic in the person's own time zone."""

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from app.clock import as_utc

UTC_NAME = "UTC"
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_ODD_ZONES = ("Etc/", "SystemV/", "US/", "posix/", "right/")


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From one minute of the day to another, over midnight where the first is the later one."""

    from_minute: int
    to_minute: int
    time_zone: str


def find_end(quiet: QuietHours, *, now: datetime) -> datetime | None:
    """Return when the quiet hours that `now` falls into end; None outside of them."""
    zone = ZoneInfo(quiet.time_zone)
    local = now.astimezone(zone)
    minute = local.hour * 60 + local.minute
    start, end = quiet.from_minute, quiet.to_minute
    if start == end:
        return None
    is_inside = start <= minute < end if start < end else minute >= start or minute < end
    if not is_inside:
        return None
    day = local.date() + timedelta(days=1 if start > end and minute >= start else 0)
    return as_utc(datetime.combine(day, time(end // 60, end % 60), tzinfo=zone))


def parse_minute(text: str) -> int | None:
    """Return the minute of the day of `22:30`; None for anything else."""
    found = _TIME.fullmatch(text)
    return int(found[1]) * 60 + int(found[2]) if found else None


def write_minute(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


@cache
def list_time_zones() -> tuple[str, ...]:
    """Return the names to choose from: places, and UTC."""
    places = {name for name in available_timezones() if "/" in name and not name.startswith(_ODD_ZONES)}
    return (UTC_NAME, *sorted(places))
