"""The places that this process holds below some limits: moments at which a call may leave, taken in small lots.

Places lie `spacing` apart and each is good for a little while. The spacing is so wide that even calls that leave at the
end of one place and at the beginning of another never exceed the limit in any window of its length.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from app.exchanges.limits import measure_good, measure_spacing
from app.exchanges.types import CallLimit

_LOT_CAP = 8
_AHEAD_CAP = 4
_LOT_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Place:
    """A moment from which a call may leave, on this process' own clock.

    Until `ends_at` it may be taken; a call that leaves after `gone_at` (this process stood still) may break the limit.
    """

    opens_at: float
    ends_at: float
    gone_at: float


@dataclass(slots=True)
class Places:
    """What is left of the lots for calls that keep the same limits. `line` is held by who asks for the next lot."""

    limits: tuple[CallLimit, ...]
    monotonic: Callable[[], float]
    line: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0
    _free: deque[Place] = field(default_factory=deque)
    _ahead: int = 1

    @property
    def good_seconds(self) -> float:
        """How long a place is good for."""
        return min(map(measure_good, self.limits))

    @property
    def spacing_seconds(self) -> float:
        return max(map(measure_spacing, self.limits))

    def take(self) -> Place | None:
        """Take the first place that is still good; None when none is left."""
        now = self.monotonic()
        while self._free and self._free[0].ends_at < now:
            self._free.popleft()
            self._ahead = 1
        if not self._free:
            return None
        place = self._free.popleft()
        if place.opens_at > now:
            self._ahead = 1
        elif not self._free:
            self._ahead = min(self._ahead + 1, _AHEAD_CAP)
        return place

    def count_wanted(self) -> int:
        """Return how many places to ask for: one for each who waits, or a few ahead for calls that follow each other.

        Ahead only while every place is used in time and none must be waited for: a place that nobody uses is lost to all.
        """
        widest = int(_LOT_SECONDS / self.spacing_seconds) + 1
        return min(max(self.waiting, self._ahead), widest, _LOT_CAP)

    def add_lot(self, count: int, *, first_in: float, asked_at: float, told_at: float) -> None:
        """Add places that begin `first_in` seconds after a moment between `asked_at` and `told_at`: the strict end of both."""
        for number in range(count):
            offset = first_in + number * self.spacing_seconds
            opens_at = told_at + offset
            ends_at = max(asked_at + offset + self.good_seconds / 2, opens_at)
            self._free.append(Place(opens_at, ends_at, ends_at + self.good_seconds / 2))
