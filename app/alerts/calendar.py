"""The calendar of keys that end, as RFC 5545 wants it: escaped, folded, with CRLF. Pure.

Calendars are often kept by other companies: an event names the exchange and leads to the key's page, it holds no label.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from app.clock import as_utc
from app.web.formats import write_exact

MEDIA_TYPE = "text/calendar; charset=utf-8"
_LINE_OCTETS = 75
_ESCAPES = str.maketrans({"\\": "\\\\", ";": "\\;", ",": "\\,", "\n": "\\n", "\r": ""})


@dataclass(frozen=True, slots=True)
class EndingEvent:
    """A key's end. `told_at` is when its exchange told it."""

    credential_id: str
    exchange_name: str
    rule: str
    ends_at: datetime
    told_at: datetime


def write_calendar(events: Sequence[EndingEvent], *, public_url: str) -> str:
    """Return the calendar's text."""
    host = urlsplit(public_url).hostname or "keydeck"
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Keydeck//Keys that end//EN",
        "CALSCALE:GREGORIAN",
        "METHOD:PUBLISH",
        "X-WR-CALNAME:Keydeck: keys that end",
        "REFRESH-INTERVAL;VALUE=DURATION:PT6H",
        "X-PUBLISHED-TTL:PT6H",
    ]
    for event in events:
        lines += _write_event(event, host=host, public_url=public_url)
    return "".join(f"{fold(line)}\r\n" for line in [*lines, "END:VCALENDAR"])


def escape(text: str) -> str:
    """Return a text value with what has a meaning in the format escaped, and without control characters."""
    return "".join(letter for letter in text if letter.isprintable() or letter == "\n").translate(_ESCAPES)


def fold(line: str) -> str:
    """Return the line broken after at most 75 octets, never inside a character."""
    pieces, piece, size = [], "", 0
    for letter in line:
        octets = len(letter.encode())
        if size + octets > _LINE_OCTETS:
            pieces.append(piece)
            piece, size = "", 1  # the space that a continued line begins with
        piece, size = piece + letter, size + octets
    return "\r\n ".join([*pieces, piece])


def _write_event(event: EndingEvent, *, host: str, public_url: str) -> list[str]:
    day = as_utc(event.ends_at).date()
    link = f"{public_url}/credentials/{event.credential_id}"
    detail = f"It ends on {write_exact(event.ends_at)}. {event.rule}".strip()
    return [
        "BEGIN:VEVENT",
        f"UID:{event.credential_id}@{host}",
        f"DTSTAMP:{as_utc(event.told_at):%Y%m%dT%H%M%SZ}",
        f"DTSTART;VALUE=DATE:{day:%Y%m%d}",
        f"DTEND;VALUE=DATE:{day + timedelta(days=1):%Y%m%d}",
        f"SUMMARY:{escape(f'A key at {event.exchange_name} ends')}",
        f"DESCRIPTION:{escape(f'{detail}' + chr(10) + link)}",
        f"URL:{link}",
        "TRANSP:TRANSPARENT",
        "END:VEVENT",
    ]
