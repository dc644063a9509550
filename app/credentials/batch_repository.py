"""Reads a whole batch of claimed credentials at once, and stores its balances at once: three statements, however many.

Functions named ..._for_worker reach over all users; each row is named by its owner as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Integer, String, cast, column, select, update, values
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from app.credentials.models import Credential, CredentialBalances, CredentialSecret
from app.credentials.repository import CredentialRow
from app.db import UtcDateTime

_COLUMNS = tuple(column.name for column in Credential.__table__.columns)


@dataclass(frozen=True, slots=True)
class Refresh:
    """What one fetch of balances leaves: when they are due again, and the columns of the newest ones.

    It counts only while our mark is there and the key is the one that was asked with.
    """

    credential_id: str
    user_id: str
    secret_version: int
    marked_at: datetime
    next_balances_at: datetime | None
    balances: dict[str, Any]


async def list_sealed_for_worker(
    session: AsyncSession, credential_ids: Sequence[str]
) -> dict[str, tuple[CredentialRow, CredentialSecret | None]]:
    """Return the credentials, without their balances, each with its sealed secrets, by id."""
    query = select(Credential.__table__, CredentialSecret).outerjoin(
        CredentialSecret, CredentialSecret.credential_id == Credential.id
    )
    rows = await session.execute(query.where(Credential.id.in_(credential_ids)))
    return {row[0]: (CredentialRow(**dict(zip(_COLUMNS, row, strict=False))), row[-1]) for row in rows}


async def store_refreshes_for_worker(session: AsyncSession, refreshes: Sequence[Refresh]) -> list[Refresh]:
    """Take the marks away, plan the next fetches and store the balances; return those that still had their mark."""
    if not refreshes:
        return []
    ended = await _end_claims(session, refreshes)
    kept = [refresh for refresh in refreshes if refresh.credential_id in ended]
    if kept:
        insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
        statement = insert(CredentialBalances)
        changed = {name: statement.excluded[name] for name in kept[0].balances}
        rows = [{"credential_id": refresh.credential_id, **refresh.balances} for refresh in kept]
        key = [CredentialBalances.credential_id]
        await session.execute(statement.values(rows).on_conflict_do_update(index_elements=key, set_=changed))
    return kept


async def _end_claims(session: AsyncSession, refreshes: Sequence[Refresh]) -> frozenset[str]:
    columns = (
        column("id", String),
        column("user_id", String),
        column("secret_version", Integer),
        column("marked_at", UtcDateTime),
        column("next_balances_at", UtcDateTime),
    )
    rows = [(row.credential_id, row.user_id, row.secret_version, row.marked_at, row.next_balances_at) for row in refreshes]
    ended = values(*columns, name="ended").data(sorted(rows, key=lambda row: row[0])).cte()
    statement = update(Credential).where(
        Credential.id == ended.c.id,
        Credential.user_id == ended.c.user_id,
        Credential.secret_version == ended.c.secret_version,
        Credential.checking_since == ended.c.marked_at,
    )
    moment: ColumnElement[datetime | None] = ended.c.next_balances_at
    if session.get_bind().dialect.name == "postgresql":
        moment = cast(moment, UtcDateTime)  # where every one is NULL, it takes the column for text
    planned = {"checking_since": None, "next_balances_at": moment}
    changed = await session.execute(
        statement.values(**planned).returning(Credential.id), execution_options={"synchronize_session": False}
    )
    return frozenset(changed.scalars())
