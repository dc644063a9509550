"""Keeps this server below each exchange's limits: a call waits a little for its place, or is refused before it leaves.

The limits are the exchange's own facts (`Exchange.host_limits`) and count per address that calls go out from: one
`ExchangeHttp` is one way out.
"""

from collections.abc import Callable, Hashable, Sequence

from app.exchanges.errors import RateLimited
from app.exchanges.turns import WAIT_CAP_SECONDS, Sleep
from app.exchanges.types import CallLimit

_GOOD_SHARE = 0.1  # of the limit's window
_GOOD_CAP_SECONDS = 1.0


class HostLimits:
    """From which moment the next place is free, per lane and limit.

    Places lie `measure_spacing` apart and each is good for `measure_good`: calls that leave anywhere in their places
    never exceed the limit in any window. Calls in a crowd would, when they arrive late and together with the next crowd.
    """

    def __init__(self, *, monotonic: Callable[[], float], sleep: Sleep, wait_cap_seconds: float = WAIT_CAP_SECONDS) -> None:
        self._monotonic = monotonic
        self._sleep = sleep
        self._wait_cap_seconds = wait_cap_seconds
        self._free_at: dict[tuple[Hashable, CallLimit], float] = {}

    async def wait_for_place(self, lane: Hashable, *, limits: Sequence[CallLimit], call: str, within_seconds: float) -> None:
        """Take the next place that every limit allows, and wait for it.

        Raises RateLimited, with nothing taken, when the place is farther away than `within_seconds` or the cap. A call
        that wakes after its place has gone, because this process stood still, takes another one.
        """
        ends_at = self._monotonic() + min(within_seconds, self._wait_cap_seconds)
        good = min(map(measure_good, limits), default=0.0)
        while limits:
            now = self._monotonic()
            place = max(now, *[self._free_at.get((lane, limit), now) for limit in limits])
            if place > ends_at:
                raise RateLimited(call=call, retry_after_seconds=place - now)
            for limit in limits:
                self._free_at[lane, limit] = place + measure_spacing(limit)
            if place > now:
                await self._sleep(place - now)
            if self._monotonic() <= place + good:
                return


def measure_good(limit: CallLimit) -> float:
    """Return for how many seconds a place below the limit is good."""
    return min(limit.seconds * _GOOD_SHARE, _GOOD_CAP_SECONDS)


def measure_spacing(limit: CallLimit) -> float:
    """Return how many seconds lie between two places."""
    return (limit.seconds + measure_good(limit)) / limit.calls
