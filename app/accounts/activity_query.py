"""What a person asks of their activity: which kind of events, how far back, and which words. Read from an address."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self
from urllib.parse import urlencode

LONGEST_TEXT = 100
USUAL_DAYS = 30


@dataclass(frozen=True, slots=True)
class Kind:
    """A group of events. `nouns` are the first words of their actions; with `is_rest` all that no other kind names."""

    name: str
    words: str
    nouns: tuple[str, ...]
    is_rest: bool = False


_NAMED = (
    Kind("keys", "Keys", ("credential",)),
    Kind("support", "Support", ("support",)),
)
KINDS = (_NAMED[0], Kind("access", "Sign-in and account", tuple(noun for kind in _NAMED for noun in kind.nouns), True), _NAMED[1])
PERIODS = ((30, "Last 30 days"), (90, "Last 90 days"), (365, "One year"), (0, "All time"))


@dataclass(frozen=True, slots=True)
class ActivityQuery:
    """`days` is 0 for all time; `kind` is None for every kind."""

    text: str = ""
    kind: Kind | None = None
    days: int = USUAL_DAYS

    @classmethod
    def read(cls, values: Mapping[str, str]) -> Self:
        """Return what an address asks for; what it does not offer counts as not asked."""
        kind = next((one for one in KINDS if one.name == values.get("kind", "")), None)
        days = next((days for days, _ in PERIODS if str(days) == values.get("days", "")), USUAL_DAYS)
        return cls(values.get("q", "").strip()[:LONGEST_TEXT], kind, days)

    @property
    def is_narrowed(self) -> bool:
        """Tell whether this leaves out events that the page shows by itself."""
        return bool(self.text) or self.kind is not None or self.days != USUAL_DAYS

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(self.text.lower().split())

    def since(self, now: datetime) -> datetime | None:
        return now - timedelta(days=self.days) if self.days else None

    def locate(self, path: str, *, before: str | None = None) -> str:
        """Return the address that asks this again, from another event on if one is given."""
        asked = {
            "q": self.text,
            "kind": self.kind.name if self.kind else "",
            "days": "" if self.days == USUAL_DAYS else str(self.days),
            "before": before or "",
        }
        given = urlencode({name: value for name, value in asked.items() if value})
        return f"{path}?{given}" if given else path
