"""Whose turn it is: one call at a time per key, numbers that only rise, and never faster than the exchange allows.

Some exchanges demand a number with each call that is greater than the last one they saw for this key: two calls at
once could overtake each other on the way and the later number would spoil the earlier call.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Protocol

Sleep = Callable[[float], Awaitable[object]]
_KEYS_CAP = 10_000
_GAP_SECONDS = 1.0  # another process does not know of our calls of this second


class TurnKeeper(Protocol):
    """Keeps the turns of keys over several processes: `Traffic` says what each act does."""

    async def take_turn(self, key_id: str) -> int: ...

    async def end_turn(self, key_id: str, *, last_number: int, gap_seconds: float) -> None: ...


class KeyTurn:
    """The turn of one key; kept between checks, so that the number rises over all of them.

    Calls of this process line up here; `keeper` says when it is this process' turn, None where there is no other.
    """

    def __init__(self, *, sleep: Sleep = asyncio.sleep, key_id: str = "", keeper: TurnKeeper | None = None) -> None:
        self._sleep = sleep
        self._key_id = key_id
        self._keeper = keeper
        self._lock = asyncio.Lock()
        self._last_number = 0
        self._ends: deque[float] = deque()

    @property
    def is_taken(self) -> bool:
        return self._lock.locked()

    def next_number(self, now_ms: int) -> int:
        """Return the milliseconds since the epoch, or one more than the last number where that is greater."""
        self._last_number = max(self._last_number + 1, now_ms)
        return self._last_number

    @asynccontextmanager
    async def take(self, calls_per_second: int) -> AsyncIterator[None]:
        """Wait for the turn, and until another call within this second is allowed (0: any number is)."""
        async with self._lock:
            now = asyncio.get_running_loop().time()
            while self._ends and self._ends[0] <= now - 1.0:
                self._ends.popleft()
            if 0 < calls_per_second <= len(self._ends):
                await self._sleep(self._ends[-calls_per_second] + 1.0 - now)
            async with self._keep(_GAP_SECONDS if calls_per_second else 0.0):
                try:
                    yield
                finally:
                    self._ends.append(asyncio.get_running_loop().time())

    @asynccontextmanager
    async def _keep(self, gap_seconds: float) -> AsyncIterator[None]:
        """Hold the turn over all processes, and go on from the last number that any of them sent.

        Another process that comes next waits `gap_seconds`: it does not know of our calls of this second.
        """
        if self._keeper is None:
            yield
            return
        self._last_number = max(self._last_number, await self._keeper.take_turn(self._key_id))
        try:
            yield
        finally:
            await self._keeper.end_turn(self._key_id, last_number=self._last_number, gap_seconds=gap_seconds)


class KeyTurns:
    """The turns of all keys in use, by fingerprint; the longest unused are forgotten first."""

    def __init__(self, *, sleep: Sleep = asyncio.sleep) -> None:
        self._sleep = sleep
        self._turns: OrderedDict[str, KeyTurn] = OrderedDict()

    def get(self, key_id: str, *, keeper: TurnKeeper | None = None) -> KeyTurn:
        turn = self._turns.setdefault(key_id, KeyTurn(sleep=self._sleep, key_id=key_id, keeper=keeper))
        self._turns.move_to_end(key_id)
        if len(self._turns) > _KEYS_CAP:
            oldest = next(iter(self._turns))
            if not self._turns[oldest].is_taken:
                del self._turns[oldest]
        return turn
