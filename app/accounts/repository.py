"""Every query about people. What belongs to one person is asked for with that person's id; hot reads are plain rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import CursorResult, String, cast, delete, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.factor_models import Passkey, PendingSignIn, TotpFactor
from app.accounts.models import ApiToken, Invitation, User, UserSession
from app.accounts.roles import Role

IDLE_FOR = timedelta(hours=1)
LASTS_FOR = timedelta(hours=12)
TOUCH_AFTER = timedelta(minutes=1)
_HAS_FACTORS = (
    exists().where(TotpFactor.user_id == User.id, TotpFactor.confirmed_at.is_not(None)),
    exists().where(Passkey.user_id == User.id),
)


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What a browser session tells beside whose it is: when its person was last proved, when it ends, what was offered."""

    proved_at: datetime | None
    expires_at: datetime
    factor_offer_closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a session or API token stands for; `door_id` is that session's or token's own id."""

    user_id: str
    email: str
    roles: Sequence[str]
    door_id: str
    last_used_at: datetime | None
    has_totp: bool
    has_passkey: bool
    scopes: Sequence[str] = ()
    facts: "SessionFacts | None" = None

    def is_stale(self, now: datetime) -> bool:
        """Tell whether the time of last use is old enough to be written again."""
        return self.last_used_at is None or now - self.last_used_at >= TOUCH_AFTER


async def get_by_session(session: AsyncSession, token_hash: str, *, now: datetime) -> Identity | None:
    """Return who holds the browser session, unless it was revoked, idled out, grew too old, or its person was disabled."""
    query = (
        select(
            *(User.id, User.email, User.roles, UserSession.id, UserSession.last_seen_at, *_HAS_FACTORS),
            *(UserSession.proved_at, UserSession.expires_at, User.factor_offer_closed_at),
        )
        .join(User, User.id == UserSession.user_id)
        .where(UserSession.token_hash == token_hash, *_is_open(now), User.disabled_at.is_(None))
    )
    row = (await session.execute(query)).one_or_none()
    if row is None:
        return None
    return Identity(*row[:7], facts=SessionFacts(row[7], row[8], row[9]))


async def get_by_token(session: AsyncSession, token_hash: str, *, now: datetime) -> Identity | None:
    """Return who holds the API token, unless it was revoked, ran out, or its person was disabled."""
    query = (
        select(User.id, User.email, User.roles, ApiToken.id, ApiToken.last_used_at, *_HAS_FACTORS, ApiToken.scopes)
        .join(User, User.id == ApiToken.user_id)
        .where(ApiToken.token_hash == token_hash, ApiToken.revoked_at.is_(None), User.disabled_at.is_(None))
        .where(or_(ApiToken.expires_at.is_(None), ApiToken.expires_at > now))
    )
    row = (await session.execute(query)).one_or_none()
    return Identity(*row) if row else None


def _is_open(now: datetime) -> tuple[Any, ...]:
    return UserSession.revoked_at.is_(None), UserSession.expires_at > now, UserSession.last_seen_at > now - IDLE_FOR


async def touch_session(session: AsyncSession, session_id: str, *, now: datetime) -> None:
    await session.execute(update(UserSession).where(UserSession.id == session_id).values(last_seen_at=now))


async def touch_token(session: AsyncSession, token_id: str, *, now: datetime) -> None:
    await session.execute(update(ApiToken).where(ApiToken.id == token_id).values(last_used_at=now))


async def has_users(session: AsyncSession) -> bool:
    return bool((await session.execute(select(exists().where(User.id.is_not(None))))).scalar_one())


async def get_user(session: AsyncSession, user_id: str) -> User | None:
    return await session.get(User, user_id, populate_existing=True)


async def get_user_by_email(session: AsyncSession, email: str) -> User | None:
    return (await session.execute(select(User).where(User.email == email))).scalar_one_or_none()


async def list_operators_to_change(session: AsyncSession) -> list[str]:
    """Return the ids of enabled operators and hold their rows, so that two changes at once cannot leave none."""
    query = select(User.id, User.roles).where(
        cast(User.roles, String).like(f'%"{Role.OPERATOR.value}"%'), User.disabled_at.is_(None)
    )
    rows = await session.execute(query.order_by(User.id).with_for_update())
    return [user_id for user_id, roles in rows if Role.OPERATOR.value in roles]


async def change_hash(session: AsyncSession, user_id: str, *, old: str, new: str) -> bool:
    """Store another password hash, unless the stored one was changed meanwhile; tells whether it was."""
    query = update(User).where(User.id == user_id, User.password_hash == old, User.disabled_at.is_(None))
    return await _count(session, query.values(password_hash=new)) == 1


async def list_sessions(session: AsyncSession, *, user_id: str, now: datetime) -> list[UserSession]:
    query = select(UserSession).where(UserSession.user_id == user_id, *_is_open(now))
    return list((await session.execute(query.order_by(UserSession.last_seen_at.desc(), UserSession.id))).scalars())


async def revoke_session(session: AsyncSession, session_id: str, *, user_id: str, now: datetime) -> bool:
    """End one session of this person; tells whether there was one to end."""
    query = update(UserSession).where(
        UserSession.id == session_id, UserSession.user_id == user_id, UserSession.revoked_at.is_(None)
    )
    return await _count(session, query.values(revoked_at=now)) == 1


async def end_replaced_session(session: AsyncSession, session_id: str, *, now: datetime) -> None:
    """End the session a browser had before it signed in anew, whoever's it was."""
    query = update(UserSession).where(UserSession.id == session_id, UserSession.revoked_at.is_(None))
    await session.execute(query.values(revoked_at=now))


async def revoke_sessions(session: AsyncSession, *, user_id: str, now: datetime, keep_id: str | None = None) -> int:
    """End this person's sessions, all but the one to keep, and sign-ins that wait for a code; returns how many sessions ended."""
    await session.execute(delete(PendingSignIn).where(PendingSignIn.user_id == user_id))
    query = update(UserSession).where(UserSession.user_id == user_id, UserSession.revoked_at.is_(None))
    if keep_id is not None:
        query = query.where(UserSession.id != keep_id)
    return await _count(session, query.values(revoked_at=now))


async def list_tokens(session: AsyncSession, *, user_id: str, now: datetime) -> list[ApiToken]:
    """Return the tokens of this person that still open something, newest first."""
    query = (
        select(ApiToken)
        .where(ApiToken.user_id == user_id, ApiToken.revoked_at.is_(None))
        .where(or_(ApiToken.expires_at.is_(None), ApiToken.expires_at > now))
        .order_by(ApiToken.created_at.desc(), ApiToken.id)
    )
    return list((await session.execute(query)).scalars())


async def list_ended_tokens(session: AsyncSession, *, user_id: str, since: datetime, now: datetime) -> list[ApiToken]:
    """Return the tokens of this person whose time ran out since a moment, the newest end first; no revoked ones."""
    query = select(ApiToken).where(ApiToken.user_id == user_id, ApiToken.revoked_at.is_(None))
    ended = query.where(ApiToken.expires_at <= now, ApiToken.expires_at > since)
    return list((await session.execute(ended.order_by(ApiToken.expires_at.desc(), ApiToken.id))).scalars())


async def get_token(session: AsyncSession, token_id: str, *, user_id: str) -> ApiToken | None:
    """Return the token if it is this person's and not revoked."""
    query = select(ApiToken).where(ApiToken.id == token_id, ApiToken.user_id == user_id, ApiToken.revoked_at.is_(None))
    return (await session.execute(query)).scalar_one_or_none()


async def get_invitation(session: AsyncSession, token_hash: str, *, kind: str, now: datetime) -> Invitation | None:
    """Return the invitation if it can still be used."""
    query = select(Invitation).where(
        Invitation.token_hash == token_hash,
        Invitation.kind == kind,
        Invitation.used_at.is_(None),
        Invitation.expires_at > now,
    )
    return (await session.execute(query)).scalar_one_or_none()


async def use_invitation(session: AsyncSession, token_hash: str, *, kind: str, now: datetime) -> bool:
    """Use the invitation up in one statement: of two at once exactly one is told True."""
    query = update(Invitation).where(
        Invitation.token_hash == token_hash,
        Invitation.kind == kind,
        Invitation.used_at.is_(None),
        Invitation.expires_at > now,
    )
    return await _count(session, query.values(used_at=now)) == 1


async def list_invitations(session: AsyncSession, *, kind: str, now: datetime) -> list[Invitation]:
    """Return the invitations that can still be used, newest first."""
    query = select(Invitation).where(Invitation.kind == kind, Invitation.used_at.is_(None), Invitation.expires_at > now)
    return list((await session.execute(query.order_by(Invitation.created_at.desc(), Invitation.id))).scalars())


async def delete_invitations(session: AsyncSession, *, kind: str, invitation_id: str | None = None) -> int:
    """Remove unused invitations of a kind, or just one of them; returns how many."""
    query = delete(Invitation).where(Invitation.kind == kind, Invitation.used_at.is_(None))
    return await _count(session, query if invitation_id is None else query.where(Invitation.id == invitation_id))


async def _count(session: AsyncSession, statement: Any) -> int:
    result = await session.execute(statement.execution_options(synchronize_session=False))
    assert isinstance(result, CursorResult)
    return result.rowcount
