"""Secrets of Keydeck's own: second factors, channel addresses, signing secrets. Sealed by the same key ring as credentials."""

from collections.abc import Mapping

from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import Clock
from app.identifiers import create_id
from app.masking import Secret
from app.vault import repository
from app.vault.envelope import SealedSecrets, ValueContext, Vault
from app.vault.errors import VaultError
from app.vault.models import SealedValue


class SealedValues:
    """Puts, opens and erases such secrets in one unit of work. `owner_id` None: the installation's own."""

    def __init__(self, session: AsyncSession, *, vault: Vault, clock: Clock) -> None:
        self._session = session
        self._vault = vault
        self._clock = clock

    async def put(self, purpose: str, *, owner_id: str | None, values: Mapping[str, Secret]) -> str:
        """Seal the values as one record and return its id, `val_…`. Raises VaultError for what cannot be stored."""
        value_id = create_id("val")
        context = ValueContext(self._vault.instance_id, value_id, owner_id or "", purpose)
        sealed = self._vault.seal(values, context=context)
        row = SealedValue(
            id=value_id,
            owner_id=owner_id,
            purpose=purpose,
            kid=sealed.kid,
            wrapped_key=sealed.wrapped_key,
            fields=sealed.fields_text,
            created_at=self._clock(),
        )
        self._session.add(row)
        await self._session.flush()
        return value_id

    async def open(self, value_id: str, *, purpose: str, owner_id: str | None) -> dict[str, Secret]:
        """Return what was put there. Raises VaultError when it is not this owner's, for another purpose, or does not open."""
        row = await repository.get_sealed_value(self._session, value_id, owner_id=owner_id)
        if row is None or row.purpose != purpose:
            raise VaultError("no such sealed value")
        return open_value(self._vault, row)

    async def delete(self, value_id: str, *, owner_id: str | None) -> None:
        """Erase it with its data key. Nothing happens when there is none."""
        await repository.delete_sealed_value(self._session, value_id, owner_id=owner_id)


def open_value(vault: Vault, row: SealedValue) -> dict[str, Secret]:
    """Open a stored row. Raises VaultError, KeyUnavailable."""
    context = ValueContext(vault.instance_id, row.id, row.owner_id or "", row.purpose)
    return vault.open(SealedSecrets.from_row(row.kid, wrapped_key=row.wrapped_key, fields=row.fields), context=context)
