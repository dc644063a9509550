"""How far an exchange's clock is from ours, learned from its own answers and used for signing only.

Bounded: an answer that is off by more than ten minutes is our clock's or their fault to be told, not to be followed.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

OFFSET_CAP_SECONDS = 600.0
_DOUBT_SECONDS = 1.0  # an answer that was under way for twice as long is no measure any more
_NOISE_SECONDS = 1.0  # a Date header tells whole seconds
_GOOD_FOR_SECONDS = 3600.0  # by then our own clock may have been put right


class ClockOffset:
    """The offset of one exchange site. Positive: ours is ahead."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._ahead_seconds = 0.0
        self._learned_at: float | None = None

    @property
    def ahead_seconds(self) -> float | None:
        """What is known now; None when nothing was learned within the hour."""
        if self._learned_at is None or self._monotonic() - self._learned_at > _GOOD_FOR_SECONDS:
            return None
        return self._ahead_seconds

    def learn(self, ahead_seconds: float, *, doubt_seconds: float = 0.0) -> bool:
        """Keep what the exchange's clock showed; return False, and forget what was known, when it is beyond the cap.

        `doubt_seconds`: by how much it may be wrong, half the time the answer was under way. A doubtful answer moves what
        is known only as far as nothing else explains it: one that was held up by ourselves teaches nothing.
        """
        if not abs(ahead_seconds) - doubt_seconds <= OFFSET_CAP_SECONDS:
            self.forget()
            return False
        if doubt_seconds > _DOUBT_SECONDS:
            known = self.ahead_seconds or 0.0
            ahead_seconds = min(max(known, ahead_seconds - doubt_seconds), ahead_seconds + doubt_seconds)
        self._ahead_seconds = ahead_seconds
        self._learned_at = self._monotonic()
        return True

    def forget(self) -> None:
        """Drop what was learned: the exchange refused a moment that was made with it."""
        self._learned_at = None

    def correct(self, moment: datetime) -> datetime:
        """Return the moment as the exchange's clock has it; differences within the noise are left alone."""
        ahead = self.ahead_seconds
        return moment if ahead is None or abs(ahead) <= _NOISE_SECONDS else moment - timedelta(seconds=ahead)
