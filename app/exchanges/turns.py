"""Whose turn it is: one call at a time per key, numbers that only rise, and never faster than the exchange allows.

Some exchanges demand a number with each call that is greater than the last one they saw for this key: two calls at
once could overtake each other on the way and the later number would spoil the earlier call.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol

from app.exchanges.errors import RateLimited
from app.exchanges.types import Call, CallLimit, Exchange

Sleep = Callable[[float], Awaitable[object]]
_KEYS_CAP = 10_000
WAIT_CAP_SECONDS = 3.0
"""How long a call waits for its place below a limit before it is refused unsent."""
_GAP_SECONDS = 1.0  # another process does not know of our calls of this second


class TurnKeeper(Protocol):
    """Keeps the turns of keys over several processes: `Traffic` says what each act does."""

    async def take_turn(self, key_id: str) -> int: ...

    async def end_turn(self, key_id: str, *, last_number: int, gap_seconds: float) -> None: ...


class KeyTurn:
    """The turn of one key; kept between checks, so that the number rises over all of them.

    Calls of this process line up here; `keeper` says when it is this process' turn, None for an exchange played in
    process: there is no other, and no limit over a longer time.
    """

    def __init__(self, *, sleep: Sleep = asyncio.sleep, key_id: str = "", keeper: TurnKeeper | None = None) -> None:
        self._sleep = sleep
        self._key_id = key_id
        self._keeper = keeper
        self._lock = asyncio.Lock()
        self._last_number = 0
        self._ends: deque[float] = deque()
        self._by_call: dict[str, KeyTurn] = {}

    @property
    def is_taken(self) -> bool:
        return self._lock.locked() or any(turn.is_taken for turn in self._by_call.values())

    def next_number(self, now_ms: int) -> int:
        """Return the milliseconds since the epoch, or one more than the last number where that is greater."""
        self._last_number = max(self._last_number + 1, now_ms)
        return self._last_number

    @asynccontextmanager
    async def take_for(self, call: Call, *, exchange: Exchange) -> AsyncIterator[None]:
        """Wait until the call may be made with this key: at its own pace where it has one, then one after the other.

        Raises RateLimited, with nothing sent, when that is farther away than WAIT_CAP_SECONDS.
        """
        async with AsyncExitStack() as turns:
            if call.calls_per_second:
                own = self._by_call.setdefault(call.label, self._make_own(call))
                await turns.enter_async_context(own.take(CallLimit(call.calls_per_second), call=call.label))
            if exchange.one_call_at_a_time:
                pace = [CallLimit(exchange.calls_per_second)] if exchange.calls_per_second else []
                longer = [exchange.key_limit] if exchange.key_limit and self._keeper else []
                await turns.enter_async_context(self.take(*pace, *longer, call=call.label))
            yield

    @asynccontextmanager
    async def take(self, *limits: CallLimit, call: str = "") -> AsyncIterator[None]:
        """Wait for the turn, and until each of the limits allows another call. Raises RateLimited as `take_for` does."""
        async with self._lock:
            wait = self._measure_wait(limits)
            if wait > WAIT_CAP_SECONDS:
                raise RateLimited(call=call, retry_after_seconds=wait)
            if wait > 0:
                await self._sleep(wait)
            async with self._keep(_GAP_SECONDS if limits else 0.0):
                try:
                    yield
                finally:
                    self._ends.append(asyncio.get_running_loop().time())

    def _make_own(self, call: Call) -> "KeyTurn":
        return KeyTurn(sleep=self._sleep, key_id=f"{self._key_id} {call.path}", keeper=self._keeper)

    def _measure_wait(self, limits: tuple[CallLimit, ...]) -> float:
        """Return the seconds until every limit allows another call, counted from the ends of the earlier ones."""
        now = asyncio.get_running_loop().time()
        longest = max((limit.seconds for limit in limits), default=0.0)
        while self._ends and self._ends[0] <= now - longest:
            self._ends.popleft()
        full = [limit for limit in limits if limit.calls <= len(self._ends)]
        return max((self._ends[-limit.calls] + limit.seconds - now for limit in full), default=0.0)

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
