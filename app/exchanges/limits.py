"""Keeps this server below each exchange's limits: a call waits a little for its place, or is refused before it leaves.

The limits are the exchange's own facts (`Exchange.host_limits`) and count per address that calls go out from: one
`ExchangeHttp` is one way out.
"""

from bisect import insort
from collections.abc import Callable, Hashable, Sequence

from app.exchanges.errors import RateLimited
from app.exchanges.turns import Sleep
from app.exchanges.types import CallLimit

WAIT_CAP_SECONDS = 3.0


class HostLimits:
    """The calls of the last seconds, and those that already have a place in the next ones, per lane and limit.

    A rolling window and not a leaking bucket: a full bucket plus its refill could send twice the limit in one window.
    """

    def __init__(self, *, monotonic: Callable[[], float], sleep: Sleep, wait_cap_seconds: float = WAIT_CAP_SECONDS) -> None:
        self._monotonic = monotonic
        self._sleep = sleep
        self._wait_cap_seconds = wait_cap_seconds
        self._places: dict[tuple[Hashable, CallLimit], list[float]] = {}

    async def wait_for_place(self, lane: Hashable, *, limits: Sequence[CallLimit], call: str, within_seconds: float) -> None:
        """Take the next place that every limit allows, and wait for it.

        Raises RateLimited, with nothing taken, when the place is farther away than `within_seconds` or the cap.
        """
        now = self._monotonic()
        windows = [(limit, self._forget_old((lane, limit), now)) for limit in limits]
        place = max((_find_place(times, limit, now) for limit, times in windows), default=now)
        wait = place - now
        if wait > min(within_seconds, self._wait_cap_seconds):
            raise RateLimited(call=call, retry_after_seconds=wait)
        for _, times in windows:
            insort(times, place)
        if wait > 0:
            await self._sleep(wait)

    def _forget_old(self, key: tuple[Hashable, CallLimit], now: float) -> list[float]:
        times = self._places.setdefault(key, [])
        while times and times[0] <= now - key[1].seconds:
            times.pop(0)
        return times


def _find_place(times: list[float], limit: CallLimit, now: float) -> float:
    """Return the first moment from now at which fewer than `calls` of the places lie within the window before it."""
    if len(times) < limit.calls:
        return now
    return max(now, times[-limit.calls] + limit.seconds)
