"""Who waits for changes in this process: a seat for each open stream, woken when something of its person has changed."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

MOST_PER_USER = 8
MOST_PER_PROCESS = 400


class Crowded(Exception):
    """No seat is free. `is_own`: the person has too many open; else this process has."""

    def __init__(self, *, is_own: bool) -> None:
        super().__init__("no seat is free")
        self.is_own = is_own


class Seat:
    """One open stream's place. It sleeps until it is woken, or until its time is up."""

    def __init__(self, user_id: str) -> None:
        self.user_id = user_id
        self._woken = asyncio.Event()

    def wake(self) -> None:
        self._woken.set()

    async def wait(self, seconds: float) -> bool:
        """Wait to be woken, at most `seconds`; return whether it was. A wake-up before this call counts."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        woken = self._woken.is_set()
        self._woken.clear()
        return woken


@dataclass(frozen=True, slots=True)
class Limits:
    """How many streams may be open at once."""

    per_user: int = MOST_PER_USER
    per_process: int = MOST_PER_PROCESS


class Hub:
    """All seats of this process. `stop()` wakes everyone for the last time."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._seats: dict[str, set[Seat]] = {}
        self.is_stopping = False
        self.occupied = asyncio.Event()
        """Set while somebody sits here: without anybody nothing needs to be listened for."""

    @property
    def count(self) -> int:
        return sum(len(seats) for seats in self._seats.values())

    def take_seat(self, user_id: str) -> Seat:
        """Return a seat. Raises Crowded."""
        own = self._seats.get(user_id, set())
        if len(own) >= self._limits.per_user:
            raise Crowded(is_own=True)
        if self.count >= self._limits.per_process:
            raise Crowded(is_own=False)
        seat = Seat(user_id)
        self._seats.setdefault(user_id, set()).add(seat)
        self.occupied.set()
        return seat

    def leave(self, seat: Seat) -> None:
        """Give a seat back; safe to call again."""
        own = self._seats.get(seat.user_id, set())
        own.discard(seat)
        if not own:
            self._seats.pop(seat.user_id, None)
        if not self._seats:
            self.occupied.clear()

    def wake(self, user_ids: Iterable[str] | None = None) -> None:
        """Wake these people's seats; everyone's without a list."""
        for user_id in self._seats if user_ids is None else user_ids:
            for seat in self._seats.get(user_id, ()):
                seat.wake()

    def stop(self) -> None:
        """Let every stream end now; safe to call again."""
        self.is_stopping = True
        self.wake()
