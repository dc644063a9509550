"""Support's look-ups: the status of a customer's keys and why it is so. Each one is written to the customer's activity."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.current_user import Principal
from app.accounts.limits import HOUR, Budget, Limit, Limits, Refused
from app.audit import record_event
from app.clock import Clock
from app.credentials.service import Credentials
from app.credentials.views import NEEDS_ATTENTION, SupportCredentialView
from app.support import repository
from app.web.errors import Problem

SHORTEST_QUERY = 4
LONGEST_QUERY = 254
LONGEST_TICKET = 40
SHOWN_AT_MOST = 20
LOOK_UPS = Limit("support.look_up", (Budget(("user",), most=200, seconds=HOUR),))
_WARNINGS = Limit("support.limited", (Budget(("user",), most=1, seconds=HOUR),))
VIEWED = "support.viewed_status"
SEARCHED = "support.searched"
LIMITED = "support.limited"
_log = logging.getLogger("keydeck.support")


class LookUpState(StrEnum):
    """How a look-up ended; `empty` before anything was asked."""

    EMPTY = "empty"
    TOO_SHORT = "too_short"
    NO_TICKET = "no_ticket"
    NO_MATCH = "no_match"
    FOUND = "found"


@dataclass(frozen=True, slots=True)
class LookUp:
    """What a look-up found, most severe first; `left_out` counts matches beyond the first 20."""

    state: LookUpState
    query: str = ""
    cases: tuple[SupportCredentialView, ...] = ()
    left_out: int = 0
    ticket: str = ""

    @property
    def attention(self) -> int:
        return sum(case.status in NEEDS_ATTENTION for case in self.cases)

    @property
    def owners(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(case.owner_email for case in self.cases))


class Support:
    """Needs a writing unit of work: what was seen and that it was seen are one transaction."""

    def __init__(self, session: AsyncSession, *, credentials: Credentials, clock: Clock) -> None:
        self._session = session
        self._credentials = credentials
        self._clock = clock

    async def look_up(self, principal: Principal, query: str, *, ticket: str, needs_ticket: bool = True) -> LookUp:
        """Find credentials by the owner's e-mail, the credential's id or the key's fingerprint; record who looked at whose.

        Raises Problem (429) after too many of them; that is recorded, too.
        """
        asked, reason = query.strip(), clean_ticket(ticket)
        if len(asked) < SHORTEST_QUERY or len(asked) > LONGEST_QUERY:
            return LookUp(LookUpState.TOO_SHORT, asked[:LONGEST_QUERY], ticket=reason)
        if needs_ticket and not reason:
            return LookUp(LookUpState.NO_TICKET, asked)
        await self._count(principal)
        found = await self._credentials.find_for_support(asked)
        shown = tuple(found[:SHOWN_AT_MOST])
        await self._record(principal, shown, ticket=reason)
        state = LookUpState.FOUND if shown else LookUpState.NO_MATCH
        return LookUp(state, asked, shown, len(found) - len(shown), reason)

    async def _count(self, principal: Principal) -> None:
        """Count the look-up against the person's hour. Raises Problem (429); the first refusal of an hour is recorded."""
        limits = Limits(self._session, clock=self._clock)
        answer = await limits.take(LOOK_UPS, user=principal.user_id)
        if not isinstance(answer, Refused):
            return
        if not isinstance(await limits.take(_WARNINGS, user=principal.user_id), Refused):
            _log.warning(
                "support look-ups of %s are refused: more than %s in one hour", principal.user_id, LOOK_UPS.budgets[0].most
            )
            self._note(principal, LIMITED, owner_id=principal.user_id)
            await self._session.commit()
        raise _refuse(answer)

    async def _record(self, principal: Principal, cases: Sequence[SupportCredentialView], *, ticket: str) -> None:
        """Write one event for each customer whose status was seen, and one to the activity of who looked."""
        owners = await repository.list_owner_ids_for_support(self._session, [case.id for case in cases])
        seen: dict[str, list[str]] = {}
        for case in cases:
            if case.id in owners:
                seen.setdefault(owners[case.id], []).append(case.id)
        given = {"ticket": ticket} if ticket else {}
        for owner_id, ids in seen.items():
            only = ids[0] if len(ids) == 1 else None
            self._note(principal, VIEWED, owner_id=owner_id, object_id=only, credentials=str(len(ids)), **given)
        self._note(principal, SEARCHED, owner_id=principal.user_id, credentials=str(len(cases)), **given)

    def _note(self, principal: Principal, action: str, *, owner_id: str, object_id: str | None = None, **detail: str) -> None:
        record_event(
            self._session,
            action,
            at=self._clock(),
            actor_id=principal.user_id,
            owner_id=owner_id,
            object_id=object_id,
            actor_ip=principal.ip,
            detail=detail,
        )


def clean_ticket(text: str) -> str:
    """Return the ticket's number as it may stand in a customer's activity: one short line of plain characters."""
    return "".join(character for character in text.strip()[:LONGEST_TICKET] if character.isprintable())


def _refuse(refused: Refused) -> Problem:
    return Problem(
        "rate_limited",
        status=429,
        title="Too many look-ups",
        detail=f"At most {LOOK_UPS.budgets[0].most} customers may be looked up in one hour. Operators see that it happened.",
        who_acts="operator",
        next_step=f"Wait {refused.wait}, then go on.",
        extra={"retry_after_seconds": refused.retry_after_seconds},
    )
