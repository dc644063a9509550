"""Tells a process that stood still from an exchange that kept silent: stopped by a signal, asleep with its machine, starved.

Such a process finds every deadline over when it goes on, whatever came meanwhile: that is nobody's silence but its own.
"""

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

STILL_SECONDS = 1.0
"""A loop that comes round so much later than it was asked to has stood still."""

_BEAT_SECONDS = 0.5


class Stillness:
    """Watches the event loop while a call is out. Enter it around the call; afterwards `was_met` tells.

    Both clocks are looked at: the loop's own stands still itself while the machine is asleep.
    """

    def __init__(self, *, wall_clock: Callable[[], float] = time.time) -> None:
        self._wall_clock = wall_clock
        self._late_seconds = 0.0

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._wait()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._timer.cancel()
        self._note()

    @property
    def was_met(self) -> bool:
        """Whether this process stood still since it entered."""
        return self._late_seconds > STILL_SECONDS

    def _wait(self) -> None:
        self._due_at = self._loop.time() + _BEAT_SECONDS
        self._due_on_wall = self._wall_clock() + _BEAT_SECONDS
        self._timer = self._loop.call_at(self._due_at, self._beat)

    def _beat(self) -> None:
        self._note()
        self._wait()

    def _note(self) -> None:
        self._late_seconds = max(self._late_seconds, self._loop.time() - self._due_at, self._wall_clock() - self._due_on_wall)
