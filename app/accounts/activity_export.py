"""Writes activity as CSV that no spreadsheet takes for a formula."""

import csv
import io
from collections.abc import Iterable

from app.accounts.activity import ActivityView
from app.clock import as_utc

HEAD = ("time (UTC)", "event", "detail", "by", "address", "action", "id")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def write_csv(events: Iterable[ActivityView]) -> str:
    """Return one line per event, newest first, under a head."""
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(HEAD)
    for event in events:
        at = as_utc(event.at).isoformat(timespec="seconds").replace("+00:00", "Z")
        cells = (at, event.title, event.detail, event.who, event.ip or "", event.action, event.id)
        writer.writerow([disarm(cell) for cell in cells])
    return text.getvalue()


def disarm(text: str) -> str:
    """Return the text with an apostrophe before it if a spreadsheet would run it: labels are what people typed."""
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA_STARTS) or text.startswith(_FORMULA_STARTS) else text
