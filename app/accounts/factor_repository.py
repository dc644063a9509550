"""Every query about second factors. What belongs to one person is asked for with that person's id."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import CursorResult, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.factor_models import FactorTry, Passkey, PasskeyChallenge, PendingSignIn, RecoveryCode, TotpFactor
from app.accounts.models import User, UserSession


async def get_pending(session: AsyncSession, token_hash: str, *, now: datetime) -> tuple[PendingSignIn, User] | None:
    """Return the half-open sign-in and its person, unless it ran out or the person was disabled."""
    query = (
        select(PendingSignIn, User)
        .join(User, User.id == PendingSignIn.user_id)
        .where(PendingSignIn.token_hash == token_hash, PendingSignIn.expires_at > now, User.disabled_at.is_(None))
    )
    row = (await session.execute(query)).one_or_none()
    return (row[0], row[1]) if row else None


async def delete_pending(session: AsyncSession, *, user_id: str) -> None:
    await session.execute(delete(PendingSignIn).where(PendingSignIn.user_id == user_id))


async def use_pending(session: AsyncSession, pending_id: str, *, user_id: str) -> bool:
    """Use the half-open sign-in up: of two answers at once exactly one is told True."""
    query = delete(PendingSignIn).where(PendingSignIn.id == pending_id, PendingSignIn.user_id == user_id)
    return await _count(session, query) == 1


async def delete_old_pendings(session: AsyncSession, *, now: datetime) -> None:
    await session.execute(delete(PendingSignIn).where(PendingSignIn.expires_at <= now))


async def lock_person(session: AsyncSession, user_id: str) -> None:
    """Hold the person's row: tries, changes of factors and sign-ins of one person come one after another."""
    await session.execute(select(User.id).where(User.id == user_id).with_for_update())


async def list_tries(session: AsyncSession, *, user_id: str, pool: str, since: datetime) -> Sequence[datetime]:
    """Return when wrong tries of a pool were made, oldest first."""
    query = select(FactorTry.at).where(FactorTry.user_id == user_id, FactorTry.pool == pool, FactorTry.at > since)
    return (await session.execute(query.order_by(FactorTry.at))).scalars().all()


async def delete_tries(session: AsyncSession, *, user_id: str, until: datetime, pools: Sequence[str] | None = None) -> None:
    """Forget the person's wrong tries up to a moment: all of them, or those of some pools."""
    query = delete(FactorTry).where(FactorTry.user_id == user_id, FactorTry.at <= until)
    await session.execute(query if pools is None else query.where(FactorTry.pool.in_(pools)))


async def has_factors(session: AsyncSession, *, user_id: str) -> tuple[bool, bool]:
    """Tell whether the person has an authenticator app set up, and whether a passkey."""
    app = select(TotpFactor.id).where(TotpFactor.user_id == user_id, TotpFactor.confirmed_at.is_not(None)).exists()
    passkey = select(Passkey.id).where(Passkey.user_id == user_id).exists()
    row = (await session.execute(select(app, passkey))).one()
    return bool(row[0]), bool(row[1])


async def get_totp(session: AsyncSession, *, user_id: str, confirmed: bool) -> TotpFactor | None:
    """Return the person's authenticator app: the one in use, or the one being set up."""
    state = TotpFactor.confirmed_at.is_not(None) if confirmed else TotpFactor.confirmed_at.is_(None)
    query = select(TotpFactor).where(TotpFactor.user_id == user_id, state).order_by(TotpFactor.created_at.desc()).limit(1)
    return (await session.execute(query)).scalar_one_or_none()


async def list_totps(session: AsyncSession, *, user_id: str) -> Sequence[TotpFactor]:
    return (await session.execute(select(TotpFactor).where(TotpFactor.user_id == user_id))).scalars().all()


async def use_step(session: AsyncSession, totp_id: str, *, user_id: str, step: int) -> bool:
    """Remember the step of an accepted code; False when that step or a later one was used already."""
    query = update(TotpFactor).where(
        TotpFactor.id == totp_id, TotpFactor.user_id == user_id, func.coalesce(TotpFactor.last_step, -1) < step
    )
    return await _count(session, query.values(last_step=step)) == 1


async def list_recovery_codes(session: AsyncSession, *, user_id: str) -> Sequence[RecoveryCode]:
    return (await session.execute(select(RecoveryCode).where(RecoveryCode.user_id == user_id))).scalars().all()


async def use_recovery_code(session: AsyncSession, code_hash: str, *, user_id: str, now: datetime) -> bool:
    """Use a code up in one statement; tells whether there was such an unused one."""
    query = update(RecoveryCode).where(
        RecoveryCode.user_id == user_id, RecoveryCode.code_hash == code_hash, RecoveryCode.used_at.is_(None)
    )
    return await _count(session, query.values(used_at=now)) == 1


async def delete_recovery_codes(session: AsyncSession, *, user_id: str) -> None:
    await session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))


async def list_passkeys(session: AsyncSession, *, user_id: str) -> Sequence[Passkey]:
    query = select(Passkey).where(Passkey.user_id == user_id).order_by(Passkey.created_at, Passkey.id)
    return (await session.execute(query)).scalars().all()


async def get_passkey_with_person(session: AsyncSession, credential_id: str) -> tuple[Passkey, User] | None:
    """Return the passkey a browser answered with and whose it is, unless that person was disabled."""
    query = (
        select(Passkey, User)
        .join(User, User.id == Passkey.user_id)
        .where(Passkey.credential_id == credential_id, User.disabled_at.is_(None))
    )
    row = (await session.execute(query)).one_or_none()
    return (row[0], row[1]) if row else None


async def use_passkey(session: AsyncSession, passkey: Passkey, *, sign_count: int, now: datetime) -> bool:
    """Write down the use; False when its counter moved meanwhile: then one of two answers is a copy's."""
    query = update(Passkey).where(Passkey.id == passkey.id, Passkey.sign_count == passkey.sign_count)
    return await _count(session, query.values(sign_count=sign_count, last_used_at=now)) == 1


async def rename_passkey(session: AsyncSession, passkey_id: str, *, user_id: str, name: str) -> bool:
    query = update(Passkey).where(Passkey.id == passkey_id, Passkey.user_id == user_id)
    return await _count(session, query.values(name=name)) == 1


async def delete_passkey(session: AsyncSession, passkey_id: str, *, user_id: str) -> str | None:
    """Remove one of the person's passkeys; returns its name, or None when there was none."""
    query = delete(Passkey).where(Passkey.id == passkey_id, Passkey.user_id == user_id).returning(Passkey.name)
    return (await session.execute(query.execution_options(synchronize_session=False))).scalar_one_or_none()


async def count_challenges(session: AsyncSession, *, ip: str, purpose: str, now: datetime) -> int:
    """Return how many unanswered challenges of this purpose an address holds."""
    query = select(func.count()).where(
        PasskeyChallenge.ip == ip, PasskeyChallenge.purpose == purpose, PasskeyChallenge.expires_at > now
    )
    return int((await session.execute(query)).scalar_one())


async def delete_old_challenges(session: AsyncSession, *, now: datetime) -> None:
    await session.execute(delete(PasskeyChallenge).where(PasskeyChallenge.expires_at <= now))


async def use_challenge(session: AsyncSession, challenge_hash: str, *, purpose: str, bearer_id: str, now: datetime) -> bool:
    """Use a challenge up: True once, for whom it was handed to, for what, and while it lasts."""
    query = delete(PasskeyChallenge).where(
        PasskeyChallenge.challenge_hash == challenge_hash,
        PasskeyChallenge.purpose == purpose,
        PasskeyChallenge.bearer_id == bearer_id,
        PasskeyChallenge.expires_at > now,
    )
    return await _count(session, query) == 1


async def renew_session(
    session: AsyncSession, session_id: str, *, user_id: str, token_hash: str, proved_at: datetime | None
) -> bool:
    """Put a new token in place of the session's old one, which opens nothing from now on; the proof counts from `proved_at`."""
    query = update(UserSession).where(
        UserSession.id == session_id, UserSession.user_id == user_id, UserSession.revoked_at.is_(None)
    )
    return await _count(session, query.values(token_hash=token_hash, proved_at=proved_at)) == 1


async def close_factor_offer(session: AsyncSession, *, user_id: str, now: datetime) -> None:
    await session.execute(update(User).where(User.id == user_id).values(factor_offer_closed_at=now))


async def _count(session: AsyncSession, statement: Any) -> int:
    result = await session.execute(statement.execution_options(synchronize_session=False))
    assert isinstance(result, CursorResult)
    return result.rowcount
