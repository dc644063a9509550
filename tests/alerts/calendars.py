"""A strict reader of RFC 5545 for tests, written from the standard and not from what Keydeck writes."""

import re
from dataclasses import dataclass, field

_LINE = re.compile(r"(?P<name>[A-Z-]+)(?P<parameters>(;[A-Z-]+=[A-Za-z0-9-]+)*):(?P<value>.*)", re.DOTALL)
_ESCAPED = {"\\\\": "\\", "\\;": ";", "\\,": ",", "\\n": "\n", "\\N": "\n"}
_NEEDED = {"UID", "DTSTAMP", "DTSTART"}


@dataclass
class Calendar:
    properties: dict[str, str] = field(default_factory=dict)
    events: list[dict[str, str]] = field(default_factory=list)


def read_calendar(content: bytes) -> Calendar:
    """Return the calendar. Raises AssertionError where the standard is not kept."""
    assert content.endswith(b"\r\n")
    physical = content.split(b"\r\n")[:-1]
    for line in physical:
        assert len(line) <= 75, line
        assert b"\n" not in line
        assert b"\r" not in line
        line.decode()  # no character is cut by folding
    logical: list[str] = []
    for line in physical:
        if line.startswith((b" ", b"\t")):
            logical[-1] += line[1:].decode()
        else:
            logical.append(line.decode())
    assert (logical[0], logical[-1]) == ("BEGIN:VCALENDAR", "END:VCALENDAR")
    calendar = Calendar()
    event: dict[str, str] | None = None
    for line in logical[1:-1]:
        found = _LINE.fullmatch(line)
        assert found is not None, line
        name, value = found["name"], found["value"]
        if (name, value) == ("BEGIN", "VEVENT"):
            assert event is None
            event = {}
        elif (name, value) == ("END", "VEVENT"):
            assert event is not None
            assert event.keys() >= _NEEDED
            calendar.events.append(event)
            event = None
        else:
            place = calendar.properties if event is None else event
            assert name not in place, name
            place[name] = read_text(value) if name in ("SUMMARY", "DESCRIPTION") else value
    assert event is None
    assert calendar.properties["VERSION"] == "2.0"
    assert calendar.properties["PRODID"]
    uids = [one["UID"] for one in calendar.events]
    assert len(set(uids)) == len(uids)
    return calendar


def read_text(value: str) -> str:
    """Return a TEXT value without its escapes. Raises AssertionError for a bare comma, semicolon or a wrong escape."""
    text, place = "", 0
    while place < len(value):
        if value[place] == "\\":
            text += _ESCAPED[value[place : place + 2]]
            place += 2
        else:
            assert value[place] not in ",;", value
            text += value[place]
            place += 1
    return text
