"""Who of the staff looked at customers' keys, and how often: counts by person, nothing of any customer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import case, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.models import User
from app.audit import AuditEvent

SEEN_FOR = timedelta(days=1)
SEARCHED, LIMITED = "support.searched", "support.limited"


@dataclass(frozen=True, slots=True)
class StaffLookUps:
    """One person's look-ups of the last day; `limited` counts the hours in which they were stopped."""

    email: str
    count: int
    limited: int
    newest_at: datetime


async def list_look_ups_for_operations(session: AsyncSession, *, now: datetime) -> Sequence[StaffLookUps]:
    """Return who looked up customers in the last day, those who were stopped first."""
    refused = func.sum(case((AuditEvent.action == LIMITED, 1), else_=0))
    statement = (
        select(User.email, func.count() - refused, refused, func.max(AuditEvent.at))
        .join(User, User.id == AuditEvent.actor_id)
        .where(AuditEvent.at >= now - SEEN_FOR, AuditEvent.action.in_((SEARCHED, LIMITED)))
        .group_by(User.email)
        .order_by(refused.desc(), func.count().desc(), User.email)
    )
    return [StaffLookUps(*row) for row in await session.execute(statement)]
