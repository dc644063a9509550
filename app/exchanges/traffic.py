"""What is counted about calls by way out and origin: places below the limits, rests after failures, turns of keys.

`LocalTraffic` counts in memory, for one process. Several processes that share a database share the counts too: they
hand in another form of `Traffic`, and nothing else in this library changes.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from app.exchanges.breaker import Admission, Breaker, BreakerReading, BreakerState
from app.exchanges.limits import HostLimits
from app.exchanges.turns import Sleep
from app.exchanges.types import CallLimit

FORGET_SECONDS = 3600
"""How often old turns are worth forgetting."""


@dataclass(frozen=True, slots=True)
class Lane:
    """A way out and an origin (scheme://host[:port]): what limits and rests are counted by."""

    way: str
    origin: str


class Traffic(Protocol):
    """The counts, wherever they are kept."""

    def admit(
        self, lane: Lane, *, limits: Sequence[CallLimit], call: str, within_seconds: float
    ) -> AbstractAsyncContextManager[Admission]:
        """Let one call out and learn from how it ends; the caller puts the answer's status into the admission.

        Raises, with nothing sent: Resting while the lane rests, RateLimited when no place is near, LimitsUnknown when
        the counts are out of reach.
        """

    def read(self, lane: Lane) -> BreakerReading:
        """Return what is known here of a lane, without asking anyone."""

    async def list_rests(self) -> Mapping[Lane, BreakerReading]:
        """Return the lanes that do not answer as they should, over all processes."""

    async def take_turn(self, key_id: str) -> int:
        """Wait until nobody else uses the key; return the last number that was sent with it (0: none is known)."""

    async def end_turn(self, key_id: str, *, last_number: int, gap_seconds: float) -> None:
        """Give the turn back. No other process takes it before `gap_seconds` are over."""

    async def forget_old(self) -> None:
        """Drop what nobody needs any more."""


class LocalTraffic:
    """The counts of this process alone."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic, sleep: Sleep = asyncio.sleep) -> None:
        self._monotonic = monotonic
        self._limits = HostLimits(monotonic=monotonic, sleep=sleep)
        self._breakers: dict[Lane, Breaker] = {}

    @asynccontextmanager
    async def admit(
        self, lane: Lane, *, limits: Sequence[CallLimit], call: str, within_seconds: float
    ) -> AsyncIterator[Admission]:
        with self._get_breaker(lane).admit(call=call) as admission:
            await self._limits.wait_for_place(lane, limits=limits, call=call, within_seconds=within_seconds)
            yield admission

    def read(self, lane: Lane) -> BreakerReading:
        return self._get_breaker(lane).read()

    async def list_rests(self) -> Mapping[Lane, BreakerReading]:
        readings = {lane: breaker.read() for lane, breaker in self._breakers.items()}
        return {
            lane: reading for lane, reading in readings.items() if reading.failures or reading.state is not BreakerState.CLOSED
        }

    async def take_turn(self, key_id: str) -> int:
        return 0  # one process: the key's own lock is enough

    async def end_turn(self, key_id: str, *, last_number: int, gap_seconds: float) -> None:
        """Nobody else is waiting."""

    async def forget_old(self) -> None:
        """What is kept in memory forgets by itself."""

    def _get_breaker(self, lane: Lane) -> Breaker:
        return self._breakers.setdefault(lane, Breaker(monotonic=self._monotonic))
