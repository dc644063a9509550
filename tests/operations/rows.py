"""Puts people, credentials and checks into a database for tests of counts: only what a test cares about is named."""

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.models import User
from app.credentials.models import Credential, CredentialSecret, KeyCheck
from app.credentials.records import write_grants
from app.credentials.status import tells_of_key
from app.exchanges.types import Answer, Grant, Permission, Proof
from app.identifiers import create_id

GRANTS = {Permission.READ: Grant(Answer.YES, Proof.TOLD), Permission.WITHDRAW: Grant(Answer.NO, Proof.TOLD)}
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def add_user(session: AsyncSession, email: str = "trader@example.org") -> str:
    user = User(id=create_id("usr"), email=email, password_hash="x", roles=["trader"], created_at=NOW)
    session.add(user)
    return user.id


def add_credential(
    session: AsyncSession, user_id: str, *, exchange: str = "htx", kid: str | None = None, paused: bool = False
) -> str:
    credential = Credential(
        id=create_id("crd"),
        user_id=user_id,
        exchange=exchange,
        environment="live",
        label="Main",
        plan="balances",
        key_hint="f3a9",
        fingerprint=create_id("fp"),
        secret_version=1,
        paused_at=NOW if paused else None,
        created_at=NOW,
        updated_at=NOW,
    )
    session.add(credential)
    if kid is not None:
        secret = CredentialSecret(
            credential_id=credential.id, secret_version=1, kid=kid, wrapped_key=b"x", fields={}, created_at=NOW
        )
        session.add(secret)
    return credential.id


async def add_check(session: AsyncSession, credential_id: str, *, code: str, at: datetime) -> None:
    """Add a check to a credential of the same unit of work; the last one added is its newest."""
    check = KeyCheck(
        id=create_id("chk"),
        credential_id=credential_id,
        reason="manual",
        started_at=at,
        finished_at=at,
        code=code,
        told="",
        grants=write_grants(GRANTS) if code == "ok" else None,
        steps=[],
        evidence=[],
    )
    session.add(check)
    credential = await session.get_one(Credential, credential_id)
    credential.newest_check_id = check.id
    if tells_of_key(code):
        credential.telling_check_id = check.id
