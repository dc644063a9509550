"""How often a code may be wrong: 5 in 5 minutes, 20 in an hour, 50 in a day for one account, wherever the tries come from.

Only who holds the password or a session gets this far, so a stranger can shut nobody out; a passkey is never counted.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from app.accounts import factor_repository
from app.accounts.current_user import Principal
from app.accounts.entry import EntryRefused, Visit
from app.accounts.factor_models import FactorTry
from app.accounts.work import AccountWork
from app.identifiers import create_id

LIMITS = ((5, timedelta(minutes=5)), (20, timedelta(hours=1)), (50, timedelta(days=1)))
_LONGEST = LIMITS[-1][1]


class FactorRefused(EntryRefused):
    """A proof that was not accepted. Routes answer it themselves, so that the unit of work which counted it is kept."""


class FactorTries(AccountWork):
    """Counts wrong codes and passwords of people who are half or wholly signed in."""

    async def _admit_try(self, user_id: str, *, field: str) -> None:
        """Hold the person's row and let the try pass. Raises FactorRefused once there were too many."""
        await factor_repository.lock_person(self._session, user_id)
        now = self._clock()
        tries = await factor_repository.list_tries(self._session, user_id=user_id, since=now - _LONGEST)
        free_at = _find_end(tries, now=now)
        if free_at is not None:
            raise FactorRefused(field, f"Too many tries. The next is possible in {_write_wait(free_at - now)}.")

    async def _refuse_try(self, user_id: str, *, asker: Principal | Visit, field: str, words: str) -> FactorRefused:
        """Count a wrong try, put it on record, and return what to tell: the words and how many tries are left."""
        now = self._clock()
        self._session.add(FactorTry(id=create_id("try"), user_id=user_id, at=now))
        self._note("user.proof_failed", user_id=user_id, asker=asker)
        await self._session.flush()
        tries = await factor_repository.list_tries(self._session, user_id=user_id, since=now - _LONGEST)
        return FactorRefused(field, f"{words} {_write_left(tries, now=now)}")

    async def _forget_tries(self, user_id: str) -> None:
        """A right try clears the wrong ones before it."""
        await factor_repository.delete_tries(self._session, user_id=user_id, until=self._clock())

    def _note(self, action: str, *, user_id: str, asker: Principal | Visit) -> None:
        """Record an event by the signed-in person, or by whoever stands at the door and is not proved to be them."""
        if isinstance(asker, Principal):
            self._record(action, owner_id=user_id, actor=asker)
        else:
            self._record(action, owner_id=user_id, visit=asker, by_owner=False)


def _find_end(tries: Sequence[datetime], *, now: datetime) -> datetime | None:
    """Return when the next try may be made, or None when it may be made now. `tries` are newest first."""
    ends = [tries[most - 1] + span for most, span in LIMITS if len(tries) >= most]
    return max((end for end in ends if end > now), default=None)


def _write_left(tries: Sequence[datetime], *, now: datetime) -> str:
    left = min(most - sum(1 for at in tries if at > now - span) for most, span in LIMITS)
    if left <= 0:
        end = _find_end(tries, now=now)
        return f"The next try is possible in {_write_wait((end or now) - now)}."
    return "1 try left." if left == 1 else f"{left} tries left."


def _write_wait(span: timedelta) -> str:
    minutes = max(1, -(-int(span.total_seconds()) // 60))
    if minutes >= 120:
        return f"{-(-minutes // 60)} hours"
    return "1 minute" if minutes == 1 else f"{minutes} minutes"
