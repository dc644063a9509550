"""The one query of support's own: whose activity a look-up belongs to. Nothing else of a person is read here."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.credentials.models import Credential


async def list_owner_ids_for_support(session: AsyncSession, credential_ids: Sequence[str]) -> dict[str, str]:
    """Return the owner's user id by credential id."""
    statement = select(Credential.id, Credential.user_id).where(Credential.id.in_(credential_ids))
    return {row.id: row.user_id for row in await session.execute(statement)}
