"""Every statement about counted tries: one atomic upsert, the same on SQLite and PostgreSQL."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import case, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.attempt_models import AttemptCount

SWEPT_AT_ONCE = 20  # rows; more than a try can add, so the table never outgrows what is running


@dataclass(frozen=True, slots=True)
class CountedTry:
    """One budget's row: which, and when its window ends."""

    key: str
    ends_at: datetime


async def count_tries(session: AsyncSession, rows: Sequence[tuple[str, int, datetime]], *, now: datetime) -> list[CountedTry]:
    """Count one try of each (key, most, end of a window that begins now), and return those that had room.

    A window that is over begins anew. The keys are sorted, so that two transactions never wait for each other in a ring.
    """
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    statement = insert(AttemptCount).values(
        [{"key": key, "tries": 1, "most": most, "ends_at": ends_at} for key, most, ends_at in sorted(rows)]
    )
    is_over = AttemptCount.ends_at <= now
    counting = statement.on_conflict_do_update(
        index_elements=[AttemptCount.key],
        set_={
            "tries": case((is_over, 1), else_=AttemptCount.tries + 1),
            "most": statement.excluded.most,
            "ends_at": case((is_over, statement.excluded.ends_at), else_=AttemptCount.ends_at),
        },
        where=or_(is_over, AttemptCount.tries < statement.excluded.most),
    )
    counted = await session.execute(counting.returning(AttemptCount.key, AttemptCount.ends_at))
    return [CountedTry(key, ends_at) for key, ends_at in counted]


async def list_full(session: AsyncSession, keys: Sequence[str], *, now: datetime) -> list[datetime]:
    """Return when the windows end of those budgets that are used up."""
    query = select(AttemptCount.ends_at).where(
        AttemptCount.key.in_(keys), AttemptCount.ends_at > now, AttemptCount.tries >= AttemptCount.most
    )
    return list((await session.execute(query)).scalars())


async def uncount_try(session: AsyncSession, counted: CountedTry) -> None:
    """Take one try back, if its window still runs."""
    await session.execute(
        update(AttemptCount)
        .where(AttemptCount.key == counted.key, AttemptCount.ends_at == counted.ends_at, AttemptCount.tries > 0)
        .values(tries=AttemptCount.tries - 1)
        .execution_options(synchronize_session=False)
    )


async def sweep(session: AsyncSession, *, now: datetime) -> None:
    """Remove a few rows whose windows are over; one that somebody else holds is left to the next."""
    over = select(AttemptCount.key).where(AttemptCount.ends_at <= now).limit(SWEPT_AT_ONCE).with_for_update(skip_locked=True)
    await session.execute(delete(AttemptCount).where(AttemptCount.key.in_(over)).execution_options(synchronize_session=False))
