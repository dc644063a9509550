"""Every query of credentials. A user's rows are found by the user's id; only functions named ..._for_support see all.

Lists read plain rows, not mapped objects: they are the hot pages.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, Select, and_, delete, exists, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.models import User
from app.credentials.models import Credential, CredentialBalances, CredentialSecret, KeyCheck


@dataclass(frozen=True, slots=True)
class CredentialRow:
    """One credential as stored, with its newest balances; never its secrets."""

    id: str
    user_id: str
    exchange: str
    environment: str
    label: str
    plan: str
    key_hint: str
    fingerprint: str
    account_id: str | None
    secret_version: int
    key_set_at: datetime | None
    attested_at: datetime | None
    paused_at: datetime | None
    checking_since: datetime | None
    next_check_at: datetime | None
    newest_check_id: str | None
    telling_check_id: str | None
    created_at: datetime
    updated_at: datetime
    fetched_at: datetime | None = None
    document: dict[str, Any] | None = None
    failed_at: datetime | None = None
    failure_code: str | None = None
    next_balances_at: datetime | None = None
    quarantined_at: datetime | None = None
    due_at: datetime | None = None
    way: str | None = None
    former_way: str | None = None
    checked_at: datetime | None = None
    checked_code: str | None = None
    is_moved: bool = False  # not stored: its way out is gone, and `way` is the one chosen instead


@dataclass(frozen=True, slots=True)
class CheckRow:
    """A check without its steps and evidence: what the status is computed from."""

    id: str
    code: str
    finished_at: datetime
    seen_ip: str | None
    skew_seconds: int | None
    grants: dict[str, Any] | None
    allowed_ips: list[str] | None
    expires_at: datetime | None
    public_outcome: str | None = None


_CHECK_COLUMNS = tuple(getattr(KeyCheck, name) for name in CheckRow.__dataclass_fields__)
_BALANCES = ("fetched_at", "document", "failed_at", "failure_code")


async def list_rows(
    session: AsyncSession, *, user_id: str, after: str | None = None, limit: int | None = None
) -> list[CredentialRow]:
    """Return the user's credentials by id, all or one page of them."""
    query = _select_rows().where(Credential.user_id == user_id).limit(limit)
    if after is not None:
        query = query.where(Credential.id > after)
    return [CredentialRow(**row) for row in (await session.execute(query)).mappings()]


async def get_row(session: AsyncSession, credential_id: str, *, user_id: str) -> CredentialRow | None:
    query = _select_rows().where(Credential.user_id == user_id, Credential.id == credential_id)
    row = (await session.execute(query)).mappings().one_or_none()
    return None if row is None else CredentialRow(**row)


async def list_labels(session: AsyncSession, *, user_id: str) -> set[str]:
    return set(await session.scalars(select(Credential.label).where(Credential.user_id == user_id)))


async def find_holder(session: AsyncSession, *, user_id: str, exchange: str, environment: str, fingerprint: str) -> str | None:
    """Return the id of the user's credential that holds this key already."""
    query = select(Credential.id).where(Credential.user_id == user_id, *_same_key(exchange, environment, fingerprint))
    return await session.scalar(query)


async def is_held_by_others(session: AsyncSession, *, user_id: str, exchange: str, environment: str, fingerprint: str) -> bool:
    """Return whether another user connected the same key: worth an operator's look, never told to either of them."""
    query = select(exists().where(Credential.user_id != user_id, *_same_key(exchange, environment, fingerprint)))
    return bool(await session.scalar(query))


async def add_credential(session: AsyncSession, credential: Credential, *, secret: CredentialSecret) -> None:
    """Insert both rows. Raises IntegrityError when the user holds this key already."""
    session.add(credential)
    await session.flush()
    session.add(secret)
    await session.flush()


async def update_credential(
    session: AsyncSession,
    credential_id: str,
    *,
    user_id: str,
    values: Mapping[str, Any],
    secret_version: int | None = None,
    marked_at: datetime | None = None,
) -> bool:
    """Change columns; return whether a row was changed.

    With `secret_version` only if the key was not replaced meanwhile, with `marked_at` only if our check still has its mark.
    """
    statement = update(Credential).where(Credential.id == credential_id, Credential.user_id == user_id)
    if secret_version is not None:
        statement = statement.where(Credential.secret_version == secret_version)
    if marked_at is not None:
        statement = statement.where(Credential.checking_since == marked_at)
    return await _count_rows(session, statement.values(**values)) == 1


async def begin_check(session: AsyncSession, credential_id: str, *, user_id: str, now: datetime, stale_before: datetime) -> bool:
    """Mark the credential as being checked; False when another check is under way (a stale mark is a crashed one)."""
    statement = update(Credential).where(
        Credential.id == credential_id,
        Credential.user_id == user_id,
        or_(Credential.checking_since.is_(None), Credential.checking_since <= stale_before),
    )
    return await _count_rows(session, statement.values(checking_since=now)) == 1


async def keep_pause(session: AsyncSession, credential_id: str, *, user_id: str) -> None:
    """Take the next check away from a credential that was paused, perhaps while it was being checked."""
    statement = update(Credential).where(Credential.id == credential_id, Credential.user_id == user_id)
    await _count_rows(session, statement.where(Credential.paused_at.is_not(None)).values(next_check_at=None))


async def delete_credential(session: AsyncSession, credential_id: str, *, user_id: str) -> bool:
    """Delete the credential with its secrets, checks and balances; return whether there was one."""
    return (
        await _count_rows(session, delete(Credential).where(Credential.id == credential_id, Credential.user_id == user_id)) == 1
    )


async def get_secret(session: AsyncSession, credential_id: str, *, user_id: str) -> CredentialSecret | None:
    query = select(CredentialSecret).join(Credential, Credential.id == CredentialSecret.credential_id)
    return await session.scalar(query.where(Credential.id == credential_id, Credential.user_id == user_id))


async def replace_secret(session: AsyncSession, secret: CredentialSecret) -> None:
    """Put new sealed secrets in place of the old ones."""
    await session.execute(delete(CredentialSecret).where(CredentialSecret.credential_id == secret.credential_id))
    session.add(secret)
    await session.flush()


async def put_balances(session: AsyncSession, credential_id: str, *, user_id: str, values: Mapping[str, Any]) -> None:
    """Change the newest balances' columns, in a row that is made when it is missing."""
    owned = exists().where(Credential.id == credential_id, Credential.user_id == user_id)
    statement = update(CredentialBalances).where(CredentialBalances.credential_id == credential_id, owned)
    if await _count_rows(session, statement.values(**values)) == 0:
        await session.execute(insert(CredentialBalances).values(credential_id=credential_id, **values))


async def list_check_rows(session: AsyncSession, check_ids: Sequence[str], *, user_id: str) -> dict[str, CheckRow]:
    """Return the checks with these ids, by id."""
    owned = Credential.id == KeyCheck.credential_id
    query = select(*_CHECK_COLUMNS).join(Credential, owned).where(Credential.user_id == user_id, KeyCheck.id.in_(check_ids))
    return {row["id"]: CheckRow(**row) for row in (await session.execute(query)).mappings()}


async def add_check(session: AsyncSession, check: KeyCheck, *, keep: int) -> None:
    """Add a check to the history, and drop what is older than the newest `keep`; the telling one always stays."""
    session.add(check)
    await session.flush()
    newest = select(KeyCheck.id).where(KeyCheck.credential_id == check.credential_id)
    newest = newest.order_by(KeyCheck.started_at.desc(), KeyCheck.id.desc()).limit(keep)
    telling = select(Credential.telling_check_id).where(
        Credential.id == check.credential_id, Credential.telling_check_id.is_not(None)
    )
    kept = (KeyCheck.id.not_in(newest.scalar_subquery()), KeyCheck.id.not_in(telling.scalar_subquery()), KeyCheck.id != check.id)
    await session.execute(
        delete(KeyCheck).where(KeyCheck.credential_id == check.credential_id, *kept).execution_options(synchronize_session=False)
    )


async def list_checks(
    session: AsyncSession, credential_id: str, *, user_id: str, limit: int, before: str | None
) -> list[KeyCheck]:
    """Return the history, newest first; with `before` only what is older than the check with that id."""
    query = select(KeyCheck).join(Credential, Credential.id == KeyCheck.credential_id)
    query = query.where(Credential.user_id == user_id, Credential.id == credential_id)
    if before is not None:
        moment = (
            select(KeyCheck.started_at).where(KeyCheck.id == before, KeyCheck.credential_id == credential_id).scalar_subquery()
        )
        older = or_(KeyCheck.started_at < moment, and_(KeyCheck.started_at == moment, KeyCheck.id < before))
        query = query.where(older)
    return list(await session.scalars(query.order_by(KeyCheck.started_at.desc(), KeyCheck.id.desc()).limit(limit)))


async def list_rows_for_support(
    session: AsyncSession,
    *,
    limit: int,
    credential_id: str | None = None,
    email: str | None = None,
    fingerprint: str | None = None,
) -> list[tuple[CredentialRow, str]]:
    """Return credentials by id, by the beginning of their fingerprint or of their owner's e-mail, each with that e-mail."""
    query = select(Credential.__table__, User.email.label("email")).join(User, User.id == Credential.user_id)
    if credential_id is not None:
        query = query.where(Credential.id == credential_id)
    if fingerprint is not None:
        query = query.where(Credential.fingerprint.startswith(fingerprint, autoescape=True))
    if email is not None:
        query = query.where(User.email.startswith(email, autoescape=True))
    rows = (await session.execute(query.order_by(User.email, Credential.id).limit(limit))).mappings()
    return [(CredentialRow(**{name: row[name] for name in row if name != "email"}), row["email"]) for row in rows]


async def list_check_rows_for_support(session: AsyncSession, check_ids: Sequence[str]) -> dict[str, CheckRow]:
    query = select(*_CHECK_COLUMNS).where(KeyCheck.id.in_(check_ids))
    return {row["id"]: CheckRow(**row) for row in (await session.execute(query)).mappings()}


async def list_recent_for_support(
    session: AsyncSession, credential_ids: Sequence[str], *, limit: int
) -> dict[str, list[Mapping[str, Any]]]:
    """Return when the newest checks of each credential began, why, and their code."""
    place = func.row_number().over(partition_by=KeyCheck.credential_id, order_by=(KeyCheck.started_at.desc(), KeyCheck.id.desc()))
    ranked = select(KeyCheck.credential_id, KeyCheck.started_at, KeyCheck.reason, KeyCheck.code, place.label("place"))
    inner = ranked.where(KeyCheck.credential_id.in_(credential_ids)).subquery()
    query = select(inner).where(inner.c.place <= limit).order_by(inner.c.credential_id, inner.c.place)
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in (await session.execute(query)).mappings():
        entry = {name: row[name] for name in ("started_at", "reason", "code")}
        found.setdefault(row["credential_id"], []).append(entry)
    return found


def _select_rows() -> Select[Any]:
    balances = [getattr(CredentialBalances, name) for name in _BALANCES]
    query = select(Credential.__table__, *balances)
    return query.outerjoin(CredentialBalances, CredentialBalances.credential_id == Credential.id).order_by(Credential.id)


def _same_key(exchange: str, environment: str, fingerprint: str) -> tuple[Any, ...]:
    return (Credential.exchange == exchange, Credential.environment == environment, Credential.fingerprint == fingerprint)


async def _count_rows(session: AsyncSession, statement: Any) -> int:
    result = await session.execute(statement.execution_options(synchronize_session=False))
    return cast("CursorResult[Any]", result).rowcount
