"""How often signing in may be tried, such that guessing ends early and the owner still gets in.

Strangers' tries share the account's budget. Browsers and networks that this person signed in from before have budgets of
their own, which strangers cannot use up; a passkey needs no budget at all. An address without an account is counted alike.

What comes back one by one keeps every wait short and still bounds a day: see the sum in decision 12 before changing a figure.
"""

from app.accounts import familiar_repository
from app.accounts.entry import Visit
from app.accounts.limits import HOUR, MINUTE, Budget, Limit, Limits, Refused, Taken, Trickle, group_address
from app.accounts.places import BROWSER, FAMILIAR_FOR, NETWORK, Places, mark_address
from app.accounts.tokens import create_token, hash_token
from app.masking import Secret

STRANGE_SIGN_IN = Limit(
    "sign_in",
    (
        Trickle(("account", "place"), most=8, each=90 * MINUTE),
        Trickle(("account",), most=12, each=HOUR),
        Trickle(("place",), most=30, each=5 * MINUTE),
        Budget((), most=1000, seconds=5 * MINUTE),
    ),
)
KNOWN_SIGN_IN = {
    BROWSER: Limit("browser_sign_in", (Trickle(("account",), most=5, each=2 * HOUR),)),
    NETWORK: Limit("network_sign_in", (Trickle(("account",), most=6, each=2 * HOUR),)),
}
FAILURE_EVENT = Limit("sign_in_failed_event", (Budget(("owner",), most=60, seconds=HOUR),))
REFUSAL_EVENT = Limit("sign_in_refused_event", (Budget(("owner",), most=1, seconds=HOUR),))
_NOBODY = "nobody"
_LONGEST_ACCOUNT = 254


class Gate(Places):
    """Counts tries to sign in, and remembers from where it succeeded."""

    async def _ask_gate(self, visit: Visit, *, email: str, user_id: str | None) -> Taken | Refused:
        """Count a try to sign in, committed at once. A refusal is on record once an hour."""
        known = await self._list_known(visit, user_id=user_id)
        await self._session.rollback()
        limits, account, refusals = Limits(self._session, clock=self._clock), _name_account(email), []
        for limit in (*(KNOWN_SIGN_IN[kind] for kind in known), STRANGE_SIGN_IN):
            answer = await limits.take(limit, account=account, place=group_address(visit.ip))
            if isinstance(answer, Taken):
                return answer
            refusals.append(answer)
        if isinstance(await limits.take(REFUSAL_EVENT, owner=user_id or _NOBODY), Taken):
            self._record("user.sign_in_refused", owner_id=user_id, visit=visit, by_owner=False)
            await self._session.commit()
        return min(refusals, key=lambda refused: refused.retry_after_seconds)

    async def _begin_anew(self, email: str) -> None:
        """Forget what known places tried at a password that is gone: who just chose another one gets in with it at once."""
        limits = Limits(self._session, clock=self._clock)
        for limit in KNOWN_SIGN_IN.values():
            await limits.forget(limit, account=_name_account(email))

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
        for kind, place in ((BROWSER, mark), (NETWORK, mark_address(user_id, visit.ip))):
            await familiar_repository.note_place(
                self._session, place, user_id=user_id, kind=kind, now=now, since=now - FAMILIAR_FOR
            )
        return token


def _name_account(email: str) -> str:
    return email.strip().lower()[:_LONGEST_ACCOUNT]
