"""When a stored key is looked at again, and which keys are due now.

A working key comes round after the usual interval, a dead one once an hour, and after bad weather soon and then ever
later. Every wait is spread by a tenth, so that keys connected together do not stay together.
"""

import hashlib
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import Clock
from app.credentials import schedule_repository
from app.credentials.check_run import CheckOutcome
from app.credentials.schedule_repository import ClaimedCheck
from app.credentials.status import CHECK_TIME, STATUS_OF_CODE, tells_of_key
from app.credentials.views import Status

SCHEDULED = "schedule"
"""The reason of a check that nobody asked for."""

BACK_OFF_SECONDS = (60, 120, 300, 900)
BALANCES_RETRY_SECONDS = 300
DEAD_SECONDS = 3600
SPREAD = 0.1
_DEAD = frozenset({Status.INVALID_KEY, Status.KEY_EXPIRED, Status.LOCKED})


class Schedule:
    """Claims due checks and gives them back, in one unit of work (a writing session but for `has_due`)."""

    def __init__(self, session: AsyncSession, *, clock: Clock) -> None:
        self._session = session
        self._clock = clock

    async def has_due(self) -> bool:
        """Return whether a claim would find something."""
        now = self._clock()
        return await schedule_repository.is_any_due_for_worker(self._session, now=now, stale_before=now - CHECK_TIME)

    async def claim(self, *, limit: int) -> list[ClaimedCheck]:
        """Mark up to `limit` due credentials as being checked, the longest due first; nobody else can claim them meanwhile."""
        now = self._clock()
        stale_before = now - CHECK_TIME
        return await schedule_repository.claim_due_for_worker(self._session, now=now, stale_before=stale_before, limit=limit)

    async def give_back(self, claim: ClaimedCheck) -> None:
        """Take the mark away from a check that was not made: it is due at once, for whoever comes first."""
        await schedule_repository.end_claim_for_worker(self._session, claim)

    async def put_off(self, claim: ClaimedCheck, *, seconds: float) -> None:
        """Take the mark away from a check that could not be made, and let the credential wait."""
        wait = spread(seconds, credential_id=claim.credential_id, at=claim.marked_at)
        next_check_at = self._clock() + timedelta(seconds=wait)
        if not await schedule_repository.end_claim_for_worker(self._session, claim, next_check_at=next_check_at):
            await schedule_repository.end_claim_for_worker(self._session, claim)  # paused meanwhile: nothing to put off


def choose_next_check(
    outcome: CheckOutcome, *, credential_id: str, interval_seconds: float, earlier_failures: int = 0
) -> datetime:
    """Return when to look again. `earlier_failures`: how many scheduled checks before this one said nothing of the key.

    A wait that the exchange asked for is never cut short.
    """
    wait = _choose_wait(outcome, interval_seconds=interval_seconds, earlier_failures=earlier_failures)
    asked = outcome.error.retry_after_seconds if outcome.error is not None else None
    at = outcome.finished_at
    seconds = spread(wait, credential_id=credential_id, at=at)
    if asked:
        seconds = max(seconds, spread(asked / (1 - SPREAD), credential_id=credential_id, at=at))
    return at + timedelta(seconds=seconds)


def choose_next_of_locked(*, credential_id: str, at: datetime, interval_seconds: float) -> datetime:
    """Return when to try again to open secrets that did not open: their key ring may come back."""
    wait = max(interval_seconds, DEAD_SECONDS)
    return at + timedelta(seconds=spread(wait, credential_id=credential_id, at=at))


def spread(seconds: float, *, credential_id: str, at: datetime) -> float:
    """Return the wait made up to a tenth shorter or longer, by the credential and the moment: never two in step for long."""
    digest = hashlib.sha256(f"{credential_id} {at.isoformat()}".encode()).digest()
    share = int.from_bytes(digest[:8], "big") / 2**64
    return seconds * (1 - SPREAD + 2 * SPREAD * share)


def _choose_wait(outcome: CheckOutcome, *, interval_seconds: float, earlier_failures: int) -> float:
    if STATUS_OF_CODE.get(outcome.code) in _DEAD:
        return max(interval_seconds, DEAD_SECONDS)
    if not tells_of_key(outcome.code):
        step = BACK_OFF_SECONDS[min(earlier_failures, len(BACK_OFF_SECONDS) - 1)]
        return min(interval_seconds, step)
    if outcome.balances_code is not None and not tells_of_key(outcome.balances_code):
        return min(interval_seconds, BALANCES_RETRY_SECONDS)
    return interval_seconds
