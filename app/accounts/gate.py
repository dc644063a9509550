"""How often signing in may be tried, such that guessing ends early and the owner still gets in.

Strangers' tries share the account's budget. A browser or network that this person signed in from before has one of its
own, which strangers cannot use up; a passkey needs no budget at all. An address without an account is counted alike.
"""

import hashlib
from datetime import timedelta

from app.accounts import familiar_repository
from app.accounts.entry import Visit
from app.accounts.limits import DAY, HOUR, MINUTE, Budget, Limit, Limits, Refused, Taken, group_address
from app.accounts.tokens import create_token, hash_token
from app.accounts.work import AccountWork
from app.masking import Secret

FAMILIAR_FOR = timedelta(days=90)
STRANGE_SIGN_IN = Limit(
    "sign_in",
    (
        Budget(("account", "place"), most=10, seconds=5 * MINUTE),
        Budget(("account", "place"), most=15, seconds=HOUR),
        Budget(("account",), most=20, seconds=HOUR),
        Budget(("account",), most=80, seconds=DAY),
        Budget(("place",), most=30, seconds=5 * MINUTE),
        Budget(("place",), most=300, seconds=DAY),
        Budget((), most=1000, seconds=5 * MINUTE),
    ),
)
FAMILIAR_SIGN_IN = Limit(
    "familiar_sign_in",
    (Budget(("account", "mark"), most=10, seconds=5 * MINUTE), Budget(("account", "mark"), most=60, seconds=DAY)),
)
FAILURE_EVENT = Limit("sign_in_failed_event", (Budget(("owner",), most=60, seconds=HOUR),))
REFUSAL_EVENT = Limit("sign_in_refused_event", (Budget(("owner",), most=1, seconds=HOUR),))
_NOBODY = "nobody"
_LONGEST_ACCOUNT = 254


class Gate(AccountWork):
    """Counts tries to sign in, and remembers from where it succeeded."""

    async def _ask_gate(self, visit: Visit, *, email: str, user_id: str | None) -> Taken | Refused:
        """Count a try to sign in, committed at once. A refusal is on record once an hour."""
        address_mark = _mark_address(user_id or _NOBODY, visit.ip)
        familiar = await familiar_repository.list_familiar(
            self._session, [visit.device_mark, address_mark], user_id=user_id or _NOBODY, since=self._clock() - FAMILIAR_FOR
        )
        await self._session.rollback()
        limits, account = Limits(self._session, clock=self._clock), email.strip().lower()[:_LONGEST_ACCOUNT]
        if familiar:
            mark = visit.device_mark if visit.device_mark in familiar else address_mark
            answer = await limits.take(FAMILIAR_SIGN_IN, account=account, mark=mark)
        else:
            answer = await limits.take(STRANGE_SIGN_IN, account=account, place=group_address(visit.ip))
        if isinstance(answer, Refused) and isinstance(await limits.take(REFUSAL_EVENT, owner=user_id or _NOBODY), Taken):
            self._record("user.sign_in_refused", owner_id=user_id, visit=visit, by_owner=False)
            await self._session.commit()
        return answer

    async def _note_failure(self, visit: Visit, *, user_id: str | None) -> None:
        """Put a wrong password on record; of those for addresses that have no account, a bounded number."""
        limits = Limits(self._session, clock=self._clock)
        if isinstance(await limits.take(FAILURE_EVENT, owner=user_id or _NOBODY), Taken):
            self._record("user.sign_in_failed", owner_id=user_id, visit=visit, by_owner=False)

    async def _return_try(self, taken: Taken) -> None:
        await Limits(self._session, clock=self._clock).give_back(taken)

    async def _note_arrival(self, user_id: str, visit: Visit) -> Secret | None:
        """Remember browser and network of a person who is in; returns the token for a browser that has none of ours yet."""
        now, token, mark = self._clock(), None, visit.device_mark
        if not mark or not await familiar_repository.is_issued(self._session, mark):
            token = create_token()
            mark = hash_token(token)
        for kind, place in (("device", mark), ("address", _mark_address(user_id, visit.ip))):
            await familiar_repository.note_place(
                self._session, place, user_id=user_id, kind=kind, now=now, since=now - FAMILIAR_FOR
            )
        return token


def _mark_address(user_id: str, ip: str) -> str:
    return hashlib.sha256(f"address\0{user_id}\0{group_address(ip)}".encode()).hexdigest()
