"""Quiet hours: when an alert that may wait is sent. Pure arithmetic in the person's own time zone."""

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from app.clock import as_utc

UTC_NAME = "UTC"
_MINUTE = timedelta(minutes=1)
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
    return _find_moment(datetime.combine(day, time(end // 60, end % 60), tzinfo=zone), now=now)


def choose_due(quiet: QuietHours | None, *, is_urgent: bool, at: datetime) -> datetime:
    """Return when something that is ready at a moment goes out: then, or where it may wait at the end of quiet hours."""
    if quiet is None or is_urgent:
        return at
    return find_end(quiet, now=at) or at


def _find_moment(local: datetime, *, now: datetime) -> datetime:
    """Return the first moment after `now` at which clocks show the time, or have leapt over it."""
    first, second = as_utc(local), as_utc(local.replace(fold=1))
    if second < first:  # never shown: the clock leaps over it, somewhere between the two
        return _find_leap(second, first, zone=local.tzinfo)
    return first if first > now else second


def _find_leap(before: datetime, after: datetime, *, zone: tzinfo | None) -> datetime:
    """Return the minute in which the zone's clock leaps, between a moment before and one after."""
    offset = after.astimezone(zone).utcoffset()
    while after - before > _MINUTE:
        middle = before + (after - before) // _MINUTE // 2 * _MINUTE
        if middle.astimezone(zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after


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
