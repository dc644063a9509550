"""When a stored key is looked at again, and which keys are due now.

A working key comes round after the usual interval, a dead one once an hour, one that has just changed soon, and after
bad weather soon and then ever later. Each key has a place of its own in the interval, and every wait draws it there by
a tenth at most: keys that were connected together, or waited for an exchange together, spread evenly all by themselves.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import Clock
from app.credentials import schedule_repository
from app.credentials.check_run import CheckOutcome
from app.credentials.schedule_repository import ANY_WAY, ClaimedCheck, Ways
from app.credentials.status import CHECK_TIME, STATUS_OF_CODE, tells_of_key
from app.credentials.views import Status

SCHEDULED = "schedule"
"""The reason of a check that nobody asked for."""

BACK_OFF_SECONDS = (60, 120, 300, 900)
BALANCES_RETRY_SECONDS = 300
CHANGED_SECONDS = 120
"""How soon a key is looked at again whose rights or validity just changed."""
DEAD_SECONDS = 3600
WAITING_STEPS = ((3600, 60), (24 * 3600, 600))
"""A key that waits for its trader's e-mail: (until so old, look this often), in seconds."""
SPREAD = 0.1
_DEAD = frozenset({Status.INVALID_KEY, Status.KEY_EXPIRED, Status.LOCKED})


@dataclass(frozen=True, slots=True)
class DueSite:
    """A site with credentials, and how many of them are due, counted up to what was asked for."""

    exchange: str
    environment: str
    count: int


class Schedule:
    """Claims due checks and gives them back, in one unit of work (a writing session but for `list_due`)."""

    def __init__(self, session: AsyncSession, *, clock: Clock) -> None:
        self._session = session
        self._clock = clock

    async def list_due(self, *, most: int) -> list[DueSite]:
        """Return the sites where something is due, each counted up to `most`. Takes no lock: looking must hold up nobody."""
        now, found = self._clock(), []
        for exchange, environment in await schedule_repository.list_sites_for_worker(self._session):
            count = await schedule_repository.count_due_for_worker(
                self._session, exchange=exchange, environment=environment, now=now, stale_before=now - CHECK_TIME, most=most
            )
            found.append(DueSite(exchange, environment, count))
        return [site for site in found if site.count]

    async def claim(self, exchange: str, environment: str, *, limit: int, ways: Ways = ANY_WAY) -> list[ClaimedCheck]:
        """Mark up to `limit` due credentials of a site as being checked, the longest due first; nobody else can claim them."""
        now = self._clock()
        return await schedule_repository.claim_due_for_worker(
            self._session, exchange=exchange, environment=environment, now=now, stale_before=now - CHECK_TIME, limit=limit,
            ways=ways,
        )  # fmt: skip

    async def retake(self, claims: Sequence[ClaimedCheck]) -> list[ClaimedCheck]:
        """Return those of a killed process's claims that are still as it left them, marked anew."""
        now = self._clock()
        return await schedule_repository.retake_claims_for_worker(self._session, claims, now=now, stale_before=now - CHECK_TIME)

    async def give_back(self, claim: ClaimedCheck) -> None:
        """Take the mark away from a check that was not made: it is due at once, for whoever comes first."""
        await schedule_repository.end_claim_for_worker(self._session, claim)

    async def put_off(self, claim: ClaimedCheck, *, seconds: float) -> None:
        """Take the mark away from a check that could not be made, and let the credential wait."""
        wait = spread(seconds, credential_id=claim.credential_id, at=claim.marked_at)
        again_at = self._clock() + timedelta(seconds=wait)
        if not await schedule_repository.end_claim_for_worker(self._session, claim, again_at=again_at):
            await schedule_repository.end_claim_for_worker(self._session, claim)  # paused meanwhile: nothing to put off


def choose_next_check(
    outcome: CheckOutcome,
    *,
    credential_id: str,
    interval_seconds: float,
    earlier_failures: int = 0,
    former_code: str | None = None,
    waiting_seconds: float | None = None,
) -> datetime:
    """Return when to look again. A wait that the exchange asked for is never cut short.

    `earlier_failures`: how many scheduled checks before this one said nothing of the key. `former_code`: what the check
    before came to. `waiting_seconds`: for how long the key has waited for its trader's e-mail, None when it does not.
    """
    at = outcome.finished_at
    wait = _choose_wait(outcome, interval_seconds=interval_seconds, earlier_failures=earlier_failures)
    if waiting_seconds is not None:
        wait = min([wait, *[step for until, step in WAITING_STEPS if waiting_seconds < until]])
    elif has_changed(former_code, outcome.code):
        wait = min(wait, CHANGED_SECONDS)
    draw = align if wait == interval_seconds else spread
    return at + timedelta(seconds=_heed(outcome, draw(wait, credential_id=credential_id, at=at), credential_id=credential_id))


def choose_next_balances(
    *, credential_id: str, at: datetime, next_check_at: datetime, interval_seconds: float, asked_seconds: float | None = None
) -> datetime | None:
    """Return when to fetch the balances alone; None where the next check comes about as soon and fetches them anyway."""
    wait = align(interval_seconds, credential_id=credential_id, at=at)
    moment = at + timedelta(seconds=max(wait, asked_seconds or 0.0))
    return moment if moment + timedelta(seconds=interval_seconds / 4) < next_check_at else None


def choose_next_of_locked(*, credential_id: str, at: datetime, interval_seconds: float) -> datetime:
    """Return when to try again to open secrets that did not open: their key ring may come back."""
    wait = max(interval_seconds, DEAD_SECONDS)
    return at + timedelta(seconds=spread(wait, credential_id=credential_id, at=at))


def has_changed(former_code: str | None, code: str) -> bool:
    """Return whether two checks that follow each other say different things of the key; bad weather says nothing."""
    return former_code is not None and former_code != code and tells_of_key(former_code) and tells_of_key(code)


def spread(seconds: float, *, credential_id: str, at: datetime) -> float:
    """Return the wait made up to a tenth shorter or longer, by the credential and the moment: never two in step for long."""
    return seconds * (1 - SPREAD + 2 * SPREAD * _draw(f"{credential_id} {at.isoformat()}"))


def align(seconds: float, *, credential_id: str, at: datetime) -> float:
    """Return the wait made up to a tenth shorter or longer, towards the credential's own place in the interval.

    The farther away it is, the more: ten rounds take nine tenths of any distance, so that a crowd spreads evenly.
    """
    ends_at = (at.timestamp() / seconds) % 1
    distance = (_draw(credential_id) - ends_at + 0.5) % 1 - 0.5
    return seconds * (1 + 2 * SPREAD * distance)


def _draw(text: str) -> float:
    """Return a number from 0 to 1 that belongs to the text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def _heed(outcome: CheckOutcome, seconds: float, *, credential_id: str) -> float:
    asked = outcome.error.retry_after_seconds if outcome.error is not None else None
    if not asked:
        return seconds
    return max(seconds, spread(asked / (1 - SPREAD), credential_id=credential_id, at=outcome.finished_at))


def _choose_wait(outcome: CheckOutcome, *, interval_seconds: float, earlier_failures: int) -> float:
    if STATUS_OF_CODE.get(outcome.code) in _DEAD:
        return max(interval_seconds, DEAD_SECONDS)
    if not tells_of_key(outcome.code):
        step = BACK_OFF_SECONDS[min(earlier_failures, len(BACK_OFF_SECONDS) - 1)]
        return min(interval_seconds, step)
    return interval_seconds
