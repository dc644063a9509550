"""Stops asking an exchange that does not answer: after some failures in a row calls fail at once, one probe at a time.

Only weather counts: no answer, an answer that breaks our caps, or a 5xx. A refusal, a 4xx and a 429 are answers.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from app.exchanges.errors import NoWayOut, OutOfService, Resting, Unreachable

FAILURES_TO_OPEN = 5
PROBE_EVERY_SECONDS = 30.0


class BreakerState(StrEnum):
    """Closed: calls go out. Open: they fail at once. Probing: one call is out to see whether the exchange is back."""

    CLOSED = "closed"
    OPEN = "open"
    PROBING = "probing"


@dataclass(frozen=True, slots=True)
class BreakerReading:
    """A breaker as pages show it; seconds are counted from now. None where nothing fails or no probe is awaited."""

    state: BreakerState
    failures: int
    failing_for_seconds: float | None
    next_try_in_seconds: float | None


@dataclass(slots=True)
class Admission:
    """A call that may go out; `status` is the HTTP status of what came back, None while nothing did.

    `is_sent` is set right before the first byte leaves: a probe that never left may be given to somebody else at once.
    """

    is_probe: bool
    status: int | None = None
    is_sent: bool = False


class Breaker:
    """The breaker of one origin on one way out."""

    def __init__(
        self,
        *,
        monotonic: Callable[[], float],
        failures_to_open: int = FAILURES_TO_OPEN,
        probe_every_seconds: float = PROBE_EVERY_SECONDS,
    ) -> None:
        self._monotonic = monotonic
        self._failures_to_open = failures_to_open
        self._probe_every_seconds = probe_every_seconds
        self._failures = 0
        self._failing_since: float | None = None
        self._next_try_at: float | None = None  # None while closed
        self._is_probing = False

    def read(self) -> BreakerReading:
        now = self._monotonic()
        failing_for = None if self._failing_since is None else now - self._failing_since
        if self._next_try_at is None:
            return BreakerReading(BreakerState.CLOSED, self._failures, failing_for, None)
        state = BreakerState.PROBING if self._is_probing else BreakerState.OPEN
        return BreakerReading(state, self._failures, failing_for, max(0.0, self._next_try_at - now))

    @contextmanager
    def admit(self, *, call: str) -> Iterator[Admission]:
        """Let one call out and learn from how it ends. Raises Resting, at once, while the breaker is open.

        A call that ends without a verdict (cancelled, refused by ourselves, slept over) counts neither way; was it the
        probe and has it left, the next one waits its time all the same.
        """
        admission = Admission(is_probe=self._take_part(call))
        try:
            yield admission
        except (Unreachable, OutOfService, NoWayOut):
            self._note_failure(admission)
            raise
        except BaseException:
            if admission.is_probe and admission.is_sent and self._next_try_at is not None:
                self._next_try_at = self._monotonic() + self._probe_every_seconds
            raise
        finally:
            if admission.is_probe:
                self._is_probing = False
        if admission.status is not None and admission.status < 500:
            self._close()
        else:
            self._note_failure(admission)

    def _take_part(self, call: str) -> bool:
        """Return whether the call is the probe of an open breaker. Raises Resting when it may not go out."""
        if self._next_try_at is None:
            return False
        now = self._monotonic()
        if self._is_probing or now < self._next_try_at:
            since = 0.0 if self._failing_since is None else now - self._failing_since
            raise Resting(call=call, failing_for_seconds=since, retry_after_seconds=max(0.0, self._next_try_at - now))
        self._is_probing = True
        return True

    def _note_failure(self, admission: Admission) -> None:
        now = self._monotonic()
        if self._failing_since is None:
            self._failing_since = now
        self._failures += 1
        # a straggler that was sent before the breaker opened must not put the next probe off
        is_due = self._next_try_at is None and self._failures >= self._failures_to_open
        if is_due or admission.is_probe:
            self._next_try_at = now + self._probe_every_seconds

    def _close(self) -> None:
        self._failures = 0
        self._failing_since = None
        self._next_try_at = None
