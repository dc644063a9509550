"""Time that passes only when everybody waits: an hour of rounds in seconds, in the order in which it would have happened."""

import asyncio
import heapq
import itertools
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, TypeVar

from tests.conftest import FakeClock

Result = TypeVar("Result")
_TURNS = 60


class VirtualTime:
    """A sleep that moves the clock to the next moment somebody waits for."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._number = itertools.count()

    def monotonic(self) -> float:
        return self.clock.now.timestamp()

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (self.monotonic() + seconds, next(self._number), future))
        await future

    async def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run something to its end, moving the clock whenever it only waits."""
        task = asyncio.ensure_future(work)
        while not task.done():
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            if self._waiting and not task.done():
                at, _, future = heapq.heappop(self._waiting)
                self.clock.now += timedelta(seconds=max(0.0, at - self.monotonic()))
                if not future.done():
                    future.set_result(None)
            else:
                await asyncio.sleep(0.001)
        return task.result()
