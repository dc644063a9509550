"""How moments, amounts and counts are written on pages; every page says the same thing the same way (Jinja filters)."""

from datetime import datetime, timedelta
from decimal import Decimal

from markupsafe import Markup

from app.clock import Clock, as_utc

_HUES = 8
_ZERO = "–"
_SIGNS = {"USD": "$", "EUR": "€", "GBP": "£"}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def write_exact(moment: datetime) -> str:
    """Return `21 Nov 2026, 14:31:28 UTC`."""
    utc = as_utc(moment)
    return f"{write_day(utc)}, {utc:%H:%M:%S} UTC"


def write_day(moment: datetime) -> str:
    """Return `30 Nov 2026` (UTC); month names never follow the server's locale."""
    utc = as_utc(moment)
    return f"{utc.day} {_MONTHS[utc.month - 1]} {utc.year}"


def write_age(moment: datetime, *, now: datetime) -> str:
    """Return `40 s ago`, `5 hours ago`, `in 2 min`, and the day beyond 24 hours (with its year when not this one)."""
    utc = as_utc(moment)
    seconds = (now - utc).total_seconds()
    if abs(seconds) >= timedelta(days=1).total_seconds():
        return write_day(utc) if utc.year != now.year else f"{utc.day} {_MONTHS[utc.month - 1]}"
    size = int(abs(seconds))
    if size == 0:
        return "now"
    if size < 60:
        words = f"{size} s"
    elif size < 3600:
        words = f"{size // 60} min"
    else:
        words = write_count(size // 3600, "hour")
    return f"{words} ago" if seconds > 0 else f"in {words}"


def write_moment(moment: datetime, *, now: datetime) -> str:
    """Return `14:31` today, `19 Nov, 14:31` this year, else `19 Nov 2025, 14:31`; all in UTC."""
    utc = as_utc(moment)
    if utc.date() == now.date():
        return f"{utc:%H:%M}"
    day = write_day(utc) if utc.year != now.year else f"{utc.day} {_MONTHS[utc.month - 1]}"
    return f"{day}, {utc:%H:%M}"


def write_amount(value: Decimal, *, decimals: int | None = None) -> Markup:
    """Return an amount in full precision; zero is an en dash, trailing zeros are dimmed and never dropped.

    `decimals` pads so that points line up in a column; it never cuts digits off.
    """
    if value == 0:
        return Markup('<span class="faint">–</span>')
    text = f"{value:,f}"
    whole, point, fraction = text.partition(".")
    if decimals is not None and len(fraction) < decimals:
        point, fraction = ".", fraction.ljust(decimals, "0")
    kept = fraction.rstrip("0")
    head = f"{whole}{point}{kept}" if kept else whole
    tail = f"{whole}{point}{fraction}"[len(head) :]
    head = head.replace("-", "−")
    return Markup('{}<span class="num__tail">{}</span>').format(head, tail) if tail else Markup("{}").format(head)


def write_money(value: Decimal, currency: str = "USD") -> str:
    """Return `$126,772.07`: two decimals, eight for BTC; never abbreviated."""
    size = f"{abs(value):,.{8 if currency == 'BTC' else 2}f}"
    sign = "−" if value < 0 else ""
    return f"{sign}{_SIGNS[currency]}{size}" if currency in _SIGNS else f"{sign}{size} {currency}"


def write_duration(milliseconds: float) -> str:
    """Return `1,840 ms` under ten seconds, else `12 s`."""
    return f"{round(milliseconds):,} ms" if milliseconds < 10_000 else f"{round(milliseconds / 1000):,} s"


def write_count(number: int, one: str, many: str | None = None) -> str:
    """Return `1 key`, `3 keys`, `1,200 keys`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def write_sentence(text: str) -> str:
    """Return the text with a capital first letter and a full stop, whatever it came with."""
    trimmed = text.strip()
    if not trimmed:
        return ""
    return trimmed[0].upper() + trimmed[1:] + ("" if trimmed[-1] in ".?:…" else ".")


def write_fingerprint(text: str) -> str:
    """Return three groups of four characters, `3C9A-71E0-B5F2`: enough to compare by eye."""
    shown = text[:12].upper()
    return "-".join(shown[start : start + 4] for start in range(0, len(shown), 4))


def write_hyphens(text: str) -> str:
    """Return a value as markup attributes write it: `invalid_key` as `invalid-key`."""
    return str(text).replace("_", "-")


def pick_hue(slug: str) -> int:
    """Return which of the eight monogram colours a slug gets; the same one everywhere, with no list to keep."""
    return sum(slug.encode()) % _HUES


class TimeFilters:
    """The filters that need to know what time it is."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def ago(self, moment: datetime | None, never: str = "never") -> Markup:
        """Relative time with the exact one on hover; a module keeps it fresh (`data-ago`)."""
        if moment is None:
            return Markup("{}").format(never)
        return self._tag(moment, write_age(moment, now=self._clock()), is_live=True)

    def moment(self, moment: datetime | None, never: str = _ZERO) -> Markup:
        """Time of day, with the day where it is not today, and the exact time on hover."""
        if moment is None:
            return Markup("{}").format(never)
        return self._tag(moment, write_moment(moment, now=self._clock()))

    def day(self, moment: datetime | None, never: str = _ZERO) -> Markup:
        """The day alone: `30 Nov 2026`."""
        if moment is None:
            return Markup("{}").format(never)
        return self._tag(moment, write_day(moment))

    def is_old(self, moment: datetime | None, seconds: int = 900) -> bool:
        """Tell whether a value is too old to be shown without its age (15 minutes)."""
        return moment is None or (self._clock() - as_utc(moment)).total_seconds() > seconds

    def _tag(self, moment: datetime, words: str, *, is_live: bool = False) -> Markup:
        stamp = as_utc(moment).isoformat(timespec="seconds").replace("+00:00", "Z")
        live = Markup(" data-ago") if is_live else Markup("")
        return Markup('<time datetime="{}" title="{}"{}>{}</time>').format(stamp, write_exact(moment), live, words)
