"""Support's look-ups: the status of a customer's keys and why it is so. Each one is written to the customer's activity."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.current_user import Principal
from app.audit import record_event
from app.clock import Clock
from app.credentials.service import Credentials
from app.credentials.views import NEEDS_ATTENTION, SupportCredentialView
from app.support import repository

SHORTEST_QUERY = 4
LONGEST_QUERY = 254
SHOWN_AT_MOST = 20
VIEWED = "support.viewed_status"
SEARCHED = "support.searched"


class LookUpState(StrEnum):
    """How a look-up ended; `empty` before anything was asked."""

    EMPTY = "empty"
    TOO_SHORT = "too_short"
    NO_MATCH = "no_match"
    FOUND = "found"


@dataclass(frozen=True, slots=True)
class LookUp:
    """What a look-up found, most severe first; `left_out` counts matches beyond the first 20."""

    state: LookUpState
    query: str = ""
    cases: tuple[SupportCredentialView, ...] = ()
    left_out: int = 0

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

    async def look_up(self, principal: Principal, query: str) -> LookUp:
        """Find credentials by the owner's e-mail or the credential's id, and record who looked at whose."""
        asked = query.strip()
        if len(asked) < SHORTEST_QUERY or len(asked) > LONGEST_QUERY:
            return LookUp(LookUpState.TOO_SHORT, asked[:LONGEST_QUERY])
        found = await self._credentials.find_for_support(asked)
        shown = tuple(found[:SHOWN_AT_MOST])
        await self._record(principal, shown)
        state = LookUpState.FOUND if shown else LookUpState.NO_MATCH
        return LookUp(state, asked, shown, len(found) - len(shown))

    async def _record(self, principal: Principal, cases: Sequence[SupportCredentialView]) -> None:
        """Write one event for each customer whose status was seen; one without an owner when nothing was found."""
        owners = await repository.list_owner_ids_for_support(self._session, [case.id for case in cases])
        seen: dict[str, list[str]] = {}
        for case in cases:
            if case.id in owners:
                seen.setdefault(owners[case.id], []).append(case.id)
        at = self._clock()
        for owner_id, ids in seen.items():
            record_event(
                self._session,
                VIEWED,
                at=at,
                actor_id=principal.user_id,
                owner_id=owner_id,
                object_id=ids[0] if len(ids) == 1 else None,
                actor_ip=principal.ip,
                detail={"credentials": str(len(ids))},
            )
        if not seen:
            record_event(self._session, SEARCHED, at=at, actor_id=principal.user_id, owner_id=None, actor_ip=principal.ip)
