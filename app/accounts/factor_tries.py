"""How often a code, or a password in an open session, may be wrong: some at once, then one more each while, pool by pool.

Each pool is counted for itself, so nobody who holds less than the owner uses up what the owner has: see decision 11. A
passkey is never counted. Recovery codes cannot be guessed; what limits them is the work, per person and address.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.accounts import factor_repository
from app.accounts.current_user import Principal
from app.accounts.entry import EntryRefused, Visit
from app.accounts.factor_models import FactorTry
from app.accounts.limits import HOUR, MINUTE, Budget, Limit, Limits, Refused, Taken, Trickle, group_address
from app.accounts.places import Places
from app.identifiers import create_id

_KEPT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Pool:
    """Tries that are counted together, for one account: `most` at once, then one more every `each`."""

    name: str
    most: int
    each: timedelta


STRANGE = Pool("strange", 5, timedelta(minutes=30))  # codes at a half-open sign-in from anywhere
KNOWN = Pool("known", 5, timedelta(minutes=30))  # the same from a browser or network that signed in before
OPEN = Pool("open", 5, timedelta(minutes=30))  # codes in an open session
PASSWORD = Pool("password", 5, timedelta(hours=1))  # passwords in an open session; a part of the sum in decision 12
RECOVERY = Limit("recovery_code", (Trickle(("user", "place"), most=20, each=MINUTE),))
FAILURE_EVENT = Limit("recovery_failed_event", (Budget(("user",), most=60, seconds=HOUR),))


class FactorRefused(EntryRefused):
    """A proof that was not accepted. Routes answer it themselves, so that the unit of work which counted it is kept."""


class FactorTries(Places):
    """Counts wrong codes and passwords of people who are half or wholly signed in."""

    async def _find_pool(self, user_id: str, *, asker: Principal | Visit) -> Pool:
        """Return where codes of this asker are counted."""
        if isinstance(asker, Principal):
            return OPEN
        return KNOWN if await self._list_known(asker, user_id=user_id) else STRANGE

    async def _admit_try(self, user_id: str, pool: Pool, *, field: str) -> None:
        """Hold the person's row and let the try pass. Raises FactorRefused once there were too many."""
        await factor_repository.lock_person(self._session, user_id)
        now = self._clock()
        wait = _find_wait(await self._list_tries(user_id, pool, now=now), pool, now=now)
        if wait is not None:
            raise FactorRefused(field, f"Too many tries. The next is possible in {_write_wait(wait)}.")

    async def _refuse_try(
        self, user_id: str, pool: Pool, *, asker: Principal | Visit, field: str, words: str, action: str = "user.proof_failed"
    ) -> FactorRefused:
        """Count a wrong try, put it on record, and return what to tell: the words and how many tries are left."""
        now = self._clock()
        await factor_repository.delete_tries(self._session, user_id=user_id, until=now - _KEPT)
        self._session.add(FactorTry(id=create_id("try"), user_id=user_id, pool=pool.name, at=now))
        self._note(action, user_id=user_id, asker=asker)
        await self._session.flush()
        return FactorRefused(field, f"{words} {_write_left(await self._list_tries(user_id, pool, now=now), pool, now=now)}")

    async def _admit_recovery(self, user_id: str, *, asker: Principal | Visit, field: str) -> None:
        """Count the try by person and address, committed at once, and hold the person's row. Raises FactorRefused."""
        limits = Limits(self._session, clock=self._clock)
        answer = await limits.take(RECOVERY, user=user_id, place=group_address(asker.ip))
        if isinstance(answer, Refused):
            raise FactorRefused(field, f"Too many tries. The next is possible in {answer.wait}.")
        await factor_repository.lock_person(self._session, user_id)

    async def _refuse_recovery(self, user_id: str, *, asker: Principal | Visit, field: str, words: str) -> FactorRefused:
        """Put a wrong recovery code on record, of many in an hour a bounded number, and return what to tell."""
        if isinstance(await Limits(self._session, clock=self._clock).take(FAILURE_EVENT, user=user_id), Taken):
            self._note("user.proof_failed", user_id=user_id, asker=asker)
        return FactorRefused(field, words)

    async def _forget_tries(self, user_id: str, *, asker: Principal | Visit) -> None:
        """A right proof clears the wrong ones of where it came from. Strangers' stay counted: they were not the owner's."""
        pools = [OPEN, PASSWORD] if isinstance(asker, Principal) else [await self._find_pool(user_id, asker=asker)]
        names = [pool.name for pool in pools if pool != STRANGE]
        await factor_repository.delete_tries(self._session, user_id=user_id, until=self._clock(), pools=names)

    async def _forget_all_tries(self, user_id: str) -> None:
        """A new password makes worthless what let strangers try codes at all: everybody begins anew."""
        await factor_repository.delete_tries(self._session, user_id=user_id, until=self._clock())

    async def _list_tries(self, user_id: str, pool: Pool, *, now: datetime) -> Sequence[datetime]:
        return await factor_repository.list_tries(self._session, user_id=user_id, pool=pool.name, since=now - _KEPT)

    def _note(self, action: str, *, user_id: str, asker: Principal | Visit) -> None:
        """Record an event by the signed-in person, or by whoever stands at the door and is not proved to be them."""
        if isinstance(asker, Principal):
            self._record(action, owner_id=user_id, actor=asker)
        else:
            self._record(action, owner_id=user_id, visit=asker, by_owner=False)


def _find_full_return(tries: Sequence[datetime], pool: Pool, *, now: datetime) -> timedelta:
    """Return how long it takes until all tries have come back; `tries` are oldest first."""
    end = now
    for number, at in enumerate(tries):
        end = (at if number == 0 else max(end, at)) + pool.each
    return max(end - now, timedelta())


def _find_wait(tries: Sequence[datetime], pool: Pool, *, now: datetime) -> timedelta | None:
    """Return how long to wait for the next try, or None when it may be made now."""
    wait = _find_full_return(tries, pool, now=now) - (pool.most - 1) * pool.each
    return wait if wait > timedelta() else None


def _write_left(tries: Sequence[datetime], pool: Pool, *, now: datetime) -> str:
    wait = _find_wait(tries, pool, now=now)
    if wait is not None:
        return f"The next try is possible in {_write_wait(wait)}."
    left = pool.most - -(-_find_full_return(tries, pool, now=now) // pool.each)
    return "1 try left." if left == 1 else f"{left} tries left."


def _write_wait(span: timedelta) -> str:
    return Refused(max(1, math.ceil(span.total_seconds()))).wait
