"""Where a credential's secrets rest: sealed on the way in, opened in exactly one place on the way to an adapter."""

from collections.abc import Mapping
from datetime import datetime
from enum import Enum

from sqlalchemy.ext.asyncio import AsyncSession

from app.credentials import repository
from app.credentials.models import CredentialSecret
from app.credentials.repository import CredentialRow
from app.exchanges.types import Secrets
from app.masking import Secret
from app.vault.envelope import SealedSecrets, SealingContext, Vault, VaultError


class Use(Enum):
    """What opened secrets are for. Of a key in quarantine they open for a check of its rights and nothing else."""

    CHECK = "check"
    ANYTHING_ELSE = "anything else"


class SecretsWithheld(VaultError):
    """The key is in quarantine: it may do more than it should, so nothing but a check may use it."""


class Safekeeping:
    """Seals and opens secrets for one unit of work."""

    def __init__(self, session: AsyncSession, *, vault: Vault) -> None:
        self._session = session
        self._vault = vault

    def fingerprint(self, *, exchange: str, environment: str, secrets: Mapping[str, Secret]) -> str:
        """Return what recognises the same key again without telling anything of it."""
        return self._vault.fingerprint(exchange=exchange, environment=environment, api_key=secrets["api_key"])

    def seal(
        self,
        secrets: Mapping[str, Secret],
        *,
        credential_id: str,
        user_id: str,
        exchange: str,
        environment: str,
        secret_version: int,
        now: datetime,
    ) -> CredentialSecret:
        """Return the row of sealed secrets, bound to where it belongs. Every version gets a data key of its own."""
        context = SealingContext(
            self._vault.instance_id, credential_id, user_id, exchange, environment, secret_version=secret_version
        )
        sealed = self._vault.seal(secrets, context=context)
        return CredentialSecret(
            credential_id=credential_id,
            secret_version=secret_version,
            kid=sealed.kid,
            wrapped_key=sealed.wrapped_key,
            fields=sealed.fields_text,
            created_at=now,
        )

    async def open(self, row: CredentialRow, *, use: Use = Use.ANYTHING_ELSE, sealed: CredentialSecret | None = None) -> Secrets:
        """Return the opened secrets, for an adapter only. Raises VaultError when they do not open here.

        `sealed`: their row, where it is at hand; else it is looked up. Raises SecretsWithheld for a key in quarantine, unless
        it is for a check: this is the one place that decides so.
        """
        if row.quarantined_at is not None and use is not Use.CHECK:
            raise SecretsWithheld("this key is in quarantine")
        stored = sealed or await repository.get_secret(self._session, row.id, user_id=row.user_id)
        if stored is None or stored.secret_version != row.secret_version:
            raise VaultError("the secrets of this credential are missing")
        found = SealedSecrets.from_row(stored.kid, wrapped_key=stored.wrapped_key, fields=stored.fields)
        context = SealingContext(
            self._vault.instance_id,
            row.id,
            row.user_id,
            row.exchange,
            row.environment,
            secret_version=stored.secret_version,
        )
        return Secrets(self._vault.open(found, context=context))
