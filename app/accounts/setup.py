"""The one-time link to the first account: made anew at every start for as long as there is nobody."""

from datetime import timedelta

from app.accounts import repository
from app.accounts.entrances import FIRST_ROLES, SETUP
from app.accounts.models import Invitation
from app.accounts.roles import Role
from app.accounts.tokens import build_link, create_token, hash_token
from app.clock import Clock
from app.db import Database
from app.identifiers import create_id

SETUP_LASTS = timedelta(days=1)


async def ensure_setup_link(database: Database, *, clock: Clock, public_url: str) -> str | None:
    """Return a fresh set-up link, which replaces any older one, or None once somebody has an account."""
    async with database.write() as session:
        await repository.delete_invitations(session, kind=SETUP)
        if await repository.has_users(session):
            return None
        token, now = create_token(), clock()
        session.add(
            Invitation(
                id=create_id("inv"),
                kind=SETUP,
                token_hash=hash_token(token),
                email=None,
                roles=[role.value for role in Role if role in FIRST_ROLES],
                created_by=None,
                created_at=now,
                expires_at=now + SETUP_LASTS,
                used_at=None,
            )
        )
    return build_link(public_url, "/setup", token=token)
