"""Every statement about counted tries: atomic upserts, the same on SQLite and PostgreSQL."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import case, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.attempt_models import AttemptCount, AttemptTrickle

SWEPT_AT_ONCE = 20  # rows; more than a try can add, so the table never outgrows what is running


@dataclass(frozen=True, slots=True)
class CountedTry:
    """One budget's row: which, and when its window ends."""

    key: str
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class TrickleRow:
    """One trickle's row: which, how many tries it holds, and after how many milliseconds one comes back."""

    key: str
    most: int
    step: int


async def count_tries(session: AsyncSession, rows: Sequence[tuple[str, int, datetime]], *, now: datetime) -> list[CountedTry]:
    """Count one try of each (key, most, end of a window that begins now), and return those that had room.

    A window that is over begins anew. The keys are sorted, so that two transactions never wait for each other in a ring.
    """
    if not rows:
        return []
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


async def count_trickles(session: AsyncSession, rows: Sequence[TrickleRow], *, now: datetime) -> int:
    """Count one try of each of these, sorted by key, and return how many had room.

    A row says when the last of its tries will have come back: each try moves that on by a step, at most `most` steps from now.
    """
    if not rows:
        return 0
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    start = _read_milliseconds(now)
    statement = insert(AttemptTrickle).values(
        [{"key": row.key, "most": row.most, "step": row.step, "empty_at": start + row.step} for row in rows]
    )
    new, is_empty = statement.excluded, AttemptTrickle.empty_at <= start
    counting = statement.on_conflict_do_update(
        index_elements=[AttemptTrickle.key],
        set_={
            "most": new.most,
            "step": new.step,
            "empty_at": case((is_empty, new.empty_at), else_=AttemptTrickle.empty_at + new.step),
        },
        where=AttemptTrickle.empty_at <= start + (new.most - 1) * new.step,
    )
    return len((await session.execute(counting.returning(AttemptTrickle.key))).all())


async def list_trickle_waits(session: AsyncSession, rows: Sequence[TrickleRow], *, now: datetime) -> list[timedelta]:
    """Return how long it takes until those that have no room have some."""
    by_key, start = {row.key: row for row in rows}, _read_milliseconds(now)
    query = select(AttemptTrickle.key, AttemptTrickle.empty_at).where(AttemptTrickle.key.in_(by_key))
    waits = [empty_at - start - (by_key[key].most - 1) * by_key[key].step for key, empty_at in await session.execute(query)]
    return [timedelta(milliseconds=wait) for wait in waits if wait > 0]


async def uncount_trickle(session: AsyncSession, row: TrickleRow) -> None:
    """Take one try back. One that has come back by itself meanwhile changes nothing that is full of room."""
    await session.execute(
        update(AttemptTrickle)
        .where(AttemptTrickle.key == row.key)
        .values(empty_at=AttemptTrickle.empty_at - row.step)
        .execution_options(synchronize_session=False)
    )


async def forget_trickles(session: AsyncSession, keys: Sequence[str]) -> None:
    await session.execute(delete(AttemptTrickle).where(AttemptTrickle.key.in_(keys)).execution_options(synchronize_session=False))


async def sweep(session: AsyncSession, *, now: datetime) -> None:
    """Remove a few rows that count nothing any more; one that somebody else holds is left to the next."""
    for table, is_over in (
        (AttemptCount, AttemptCount.ends_at <= now),
        (AttemptTrickle, AttemptTrickle.empty_at <= _read_milliseconds(now)),
    ):
        over = select(table.key).where(is_over).limit(SWEPT_AT_ONCE).with_for_update(skip_locked=True)
        await session.execute(delete(table).where(table.key.in_(over)).execution_options(synchronize_session=False))


def _read_milliseconds(now: datetime) -> int:
    return int(now.timestamp() * 1000)
