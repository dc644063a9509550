"""Queries of what changed about keys. Functions named ..._for_worker reach over all users."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, String, and_, cast, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.credentials.change_models import CredentialChange, CredentialWatch
from app.credentials.models import Credential, CredentialBalances


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """A change with what names its key. `label` and `exchange` are the key's own of now."""

    id: str
    credential_id: str
    user_id: str
    label: str
    exchange: str
    at: datetime
    kind: str
    phase: str
    facts: dict[str, str]


@dataclass(frozen=True, slots=True)
class AgedBalances:
    """A key whose balances have become old, or fresh again. `fetched_at` is None when they were never read."""

    credential_id: str
    fetched_at: datetime | None


async def get_watch(session: AsyncSession, credential_id: str, *, user_id: str) -> CredentialWatch | None:
    query = select(CredentialWatch).join(Credential, Credential.id == CredentialWatch.credential_id)
    query = query.where(Credential.id == credential_id, Credential.user_id == user_id)
    return await session.scalar(query.execution_options(populate_existing=True))


async def list_watches_for_worker(session: AsyncSession, credential_ids: Sequence[str]) -> dict[str, CredentialWatch]:
    """Return what is known of these keys, by id: for checks that are stored many at a time."""
    query = select(CredentialWatch).where(CredentialWatch.credential_id.in_(credential_ids))
    return {row.credential_id: row for row in await session.scalars(query.execution_options(populate_existing=True))}


async def put_watch(session: AsyncSession, row: CredentialWatch) -> None:
    """Write what is known of a key, over what was known before."""
    session.add(row)
    await session.flush()


async def add_change(session: AsyncSession, row: CredentialChange, *, keep: int) -> None:
    """Write a change down; of a key's history the newest `keep` stay, and all that nobody was told of yet."""
    session.add(row)
    await session.flush()
    own = CredentialChange.credential_id == row.credential_id
    newest = select(CredentialChange.id).where(own).order_by(CredentialChange.at.desc(), CredentialChange.id.desc()).limit(keep)
    old = (own, CredentialChange.told_at.is_not(None), CredentialChange.id.not_in(newest.scalar_subquery()))
    await session.execute(delete(CredentialChange).where(*old).execution_options(synchronize_session=False))


async def list_changes(session: AsyncSession, credential_id: str, *, user_id: str, limit: int) -> list[ChangeRow]:
    """Return a key's newest changes."""
    query = select(*_COLUMNS).join(Credential, Credential.id == CredentialChange.credential_id)
    query = query.where(Credential.id == credential_id, Credential.user_id == user_id)
    query = query.order_by(CredentialChange.at.desc(), CredentialChange.id.desc()).limit(limit)
    return [ChangeRow(*row) for row in await session.execute(query)]


async def take_untold_for_worker(session: AsyncSession, *, now: datetime, limit: int) -> list[ChangeRow]:
    """Return changes nobody was told of, oldest first, marked as told in this same unit of work.

    Two processes never take the same: the rows are locked on PostgreSQL, the whole database is on SQLite.
    """
    untold = select(CredentialChange.id).where(CredentialChange.told_at.is_(None))
    untold = untold.order_by(CredentialChange.at, CredentialChange.id).limit(limit).with_for_update(skip_locked=True)
    taken = list(await session.scalars(untold))
    if not taken:
        return []
    query = select(*_COLUMNS).join(Credential, Credential.id == CredentialChange.credential_id)
    query = query.where(CredentialChange.id.in_(taken)).order_by(CredentialChange.at, CredentialChange.id)
    rows = [ChangeRow(*row) for row in await session.execute(query)]
    statement = update(CredentialChange).where(CredentialChange.id.in_(taken)).values(told_at=now)
    await session.execute(statement.execution_options(synchronize_session=False))
    return rows


async def has_untold_for_worker(session: AsyncSession) -> bool:
    """Return whether there is anything to take, without a lock."""
    query = select(CredentialChange.id).where(CredentialChange.told_at.is_(None))
    return await session.scalar(query.limit(1)) is not None


async def list_aged_for_worker(
    session: AsyncSession, *, before: datetime, settled_before: datetime, limit: int
) -> list[AgedBalances]:
    """Return keys whose balances were last read before the moment and that were not noted as such.

    Left out: paused and quarantined keys, keys connected after the moment, keys noted as dead (that says it all), and keys
    that were changed after `settled_before`: one that was resumed just now has yet to be read.
    """
    old = and_(CredentialBalances.fetched_at.is_not(None), CredentialBalances.fetched_at < before)
    never = and_(CredentialBalances.fetched_at.is_(None), Credential.created_at < before)
    query = (
        select(CredentialBalances.credential_id, CredentialBalances.fetched_at)
        .join(Credential, Credential.id == CredentialBalances.credential_id)
        .join(CredentialWatch, CredentialWatch.credential_id == Credential.id)
        .where(old | never, CredentialWatch.balances_old_since.is_(None))
        .where(Credential.paused_at.is_(None), Credential.quarantined_at.is_(None), Credential.updated_at <= settled_before)
        .where(cast(CredentialWatch.conditions, String).not_like('%"stopped_working"%'))
        .order_by(CredentialBalances.credential_id)
        .limit(limit)
    )
    return [AgedBalances(*row) for row in await session.execute(query)]


async def list_refreshed_for_worker(session: AsyncSession, *, limit: int) -> list[AgedBalances]:
    """Return keys that were noted as having old balances, and whose balances were read since."""
    query = (
        select(CredentialBalances.credential_id, CredentialBalances.fetched_at)
        .join(CredentialWatch, CredentialWatch.credential_id == CredentialBalances.credential_id)
        .where(CredentialWatch.balances_old_since.is_not(None))
        .where(CredentialBalances.fetched_at >= CredentialWatch.balances_old_since)
        .order_by(CredentialBalances.credential_id)
        .limit(limit)
    )
    return [AgedBalances(*row) for row in await session.execute(query)]


async def note_age_for_worker(session: AsyncSession, credential_id: str, *, since: datetime | None) -> bool:
    """Note since when balances are old, or that they are not any more. False when it was noted already."""
    is_other: ColumnElement[bool] = CredentialWatch.balances_old_since.is_(None)
    if since is None:
        is_other = CredentialWatch.balances_old_since.is_not(None)
    statement = update(CredentialWatch).where(CredentialWatch.credential_id == credential_id, is_other)
    returned = statement.values(balances_old_since=since).returning(CredentialWatch.credential_id)
    return (await session.execute(returned, execution_options={"synchronize_session": False})).first() is not None


_COLUMNS = (
    CredentialChange.id,
    CredentialChange.credential_id,
    Credential.user_id,
    Credential.label,
    Credential.exchange,
    CredentialChange.at,
    CredentialChange.kind,
    CredentialChange.phase,
    CredentialChange.facts,
)
