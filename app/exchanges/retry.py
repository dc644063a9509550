"""When a call that failed may be tried again: reads only, twice at most, within one deadline and a budget.

Passing weather is waited for, with jitter; a number that came too late only needs a later one, once.

Without a budget every client repeats into an outage and makes it worse; with one, repeats stay a tenth of the calls.
"""

import random
from collections import deque
from collections.abc import Callable

from app.exchanges.errors import ExchangeError, ExchangeUnavailable, KeyRefused, OutOfService, RateLimited, Resting, Unreachable
from app.exchanges.turns import Sleep

RETRIES_CAP = 2
RETRY_AFTER_CAP_SECONDS = 3.0  # an exchange that asks for a longer wait is not tried again within the call
_WINDOW_SECONDS = 60.0
_SHARE = 0.1
_FLOOR = 3
_BASE_SECONDS = 0.25
_RATE_LIMITED_BASE_SECONDS = 1.0
_LEAST_SHARE = 0.1  # of the deadline that a further attempt needs
Draw = Callable[[float, float], float]


class RetryBudget:
    """Counts one origin's calls and retries of the last minute."""

    def __init__(self, *, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._calls: deque[float] = deque()
        self._retries: deque[float] = deque()

    def count(self) -> tuple[int, int]:
        """Return (calls, retries among them) of the last minute."""
        start = self._monotonic() - _WINDOW_SECONDS
        for moments in (self._calls, self._retries):
            while moments and moments[0] <= start:
                moments.popleft()
        return len(self._calls), len(self._retries)

    def note_call(self) -> None:
        self._calls.append(self._monotonic())

    def take_retry(self) -> bool:
        """Take one retry from the budget; False when it is used up. A few a minute are always allowed."""
        calls, retries = self.count()
        if retries >= max(_FLOOR, calls * _SHARE):
            return False
        self._retries.append(self._monotonic())
        return True


class Attempts:
    """The attempts of one call: one deadline over all of them and the waits between. Make it, use it for one call.

    What is no read is never made again. `budget` is None for an exchange played in process: it has no weather.
    """

    def __init__(
        self,
        *,
        is_read: bool,
        budget: RetryBudget | None,
        deadline_seconds: float,
        monotonic: Callable[[], float],
        sleep: Sleep,
        draw: Draw = random.uniform,
    ) -> None:
        self._is_read = is_read
        self._budget = budget
        self._deadline_seconds = deadline_seconds
        self._monotonic = monotonic
        self._sleep = sleep
        self._draw = draw
        self._started_at: float | None = None
        self._retries = 0
        self._is_repeated = False
        self.met: ExchangeError | None = None
        """What the call ends by where this attempt comes to nothing: what the one before met."""

    def take_seconds(self) -> float:
        """Return the seconds that are left; the first question starts the clock, so waiting for a turn is not counted."""
        if self._started_at is None:
            self._started_at = self._monotonic()
        return self._deadline_seconds - (self._monotonic() - self._started_at)

    async def wait_to_retry(self, error: ExchangeError, *, is_answered: bool) -> bool:
        """Wait and return True when the call may be made once more; return False, at once, when it may not.

        `is_answered` tells whether the exchange answered at all: a body above our caps is not asked for again.
        """
        if self._budget is None or not _is_passing(error, is_answered=is_answered):
            return False
        wait = self._choose_wait(error)
        if wait is None or not self._take_retry(after_seconds=wait):
            return False
        self.met = error
        await self._sleep(wait)
        return True

    def repeat_or_raise(self, error: ExchangeError) -> None:
        """Return, once, when the call may be made again at once with a later number; else raise what it ended with.

        It is a retry like any other: of a read, in time, and within the budget where there is one. Where time or budget
        ended before a refusal was heard twice, it may still be the number: that is no verdict on the key.
        """
        is_verdict = self._is_repeated or not self._is_read or not isinstance(error, KeyRefused)
        self.met = error if is_verdict else Unreachable(error.told, call=error.call)
        if self._is_repeated or not self._take_retry(after_seconds=0.0):
            raise self.met from None
        self._is_repeated = True

    def _take_retry(self, *, after_seconds: float) -> bool:
        if not self._is_read or self._retries >= RETRIES_CAP:
            return False
        if after_seconds + self._deadline_seconds * _LEAST_SHARE > self.take_seconds():
            return False
        if self._budget is not None and not self._budget.take_retry():
            return False
        self._retries += 1
        return True

    def _choose_wait(self, error: ExchangeError) -> float | None:
        """Return the seconds to wait: full jitter over a doubling span, never less than the exchange asked for."""
        least = error.retry_after_seconds or 0.0
        if least > RETRY_AFTER_CAP_SECONDS:
            return None
        first = _RATE_LIMITED_BASE_SECONDS if isinstance(error, RateLimited) else _BASE_SECONDS
        return least + self._draw(0.0, first * 2**self._retries)


def _is_passing(error: ExchangeError, *, is_answered: bool) -> bool:
    """Whether the same question may get a better answer soon: weather that the exchange itself made, and no verdict."""
    if not isinstance(error, ExchangeUnavailable) or isinstance(error, Resting):
        return False
    return is_answered if isinstance(error, OutOfService | RateLimited) else is_answered or isinstance(error, Unreachable)
