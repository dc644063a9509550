"""Fills a database with sealed credentials by the thousand, for measurements: one user, keys of the sandbox."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert

from app.accounts.models import User
from app.credentials.models import Credential, CredentialSecret
from app.db import Database
from app.masking import Secret
from app.sandbox.keys import SandboxKey, list_keys
from app.vault.envelope import SealingContext, Vault

OWNER = "usr_bench"
_PAGE_ROWS = 2_000


def find_key(slug: str, scenario: str) -> SandboxKey:
    return next(key for key in list_keys() if (key.exchange, key.scenario) == (slug, scenario))


async def add_owner(database: Database, *, now: datetime) -> None:
    async with database.write() as session:
        session.add(User(id=OWNER, email="bench@example.org", password_hash="x", roles=["trader"], created_at=now))


async def add_credentials(
    database: Database, vault: Vault, keys: Sequence[SandboxKey], *, count: int, now: datetime, spread_seconds: float = 0
) -> list[str]:
    """Store `count` credentials, the keys in turn, due from now on over `spread_seconds`. Returns their ids."""
    ids = [f"crd_{keys[0].exchange}{number:07}" for number in range(count)]
    for start in range(0, count, _PAGE_ROWS):
        rows, secrets = [], []
        for number in range(start, min(start + _PAGE_ROWS, count)):
            key = keys[number % len(keys)]
            due_at = now + timedelta(seconds=spread_seconds * number / count)
            rows.append(_make_row(ids[number], key, now=now, due_at=due_at))
            secrets.append(_make_secret_row(ids[number], key, vault=vault, now=now))
        async with database.write() as session:
            await session.execute(insert(Credential), rows)
            await session.execute(insert(CredentialSecret), secrets)
    return ids


def _make_row(credential_id: str, key: SandboxKey, *, now: datetime, due_at: datetime) -> dict[str, Any]:
    return {
        "id": credential_id,
        "user_id": OWNER,
        "exchange": key.exchange,
        "environment": "sandbox",
        "label": credential_id[-12:],
        "plan": key.plan,
        "key_hint": "0000",
        "fingerprint": credential_id,
        "secret_version": 1,
        "next_check_at": due_at,
        "created_at": now,
        "updated_at": now,
    }


def _make_secret_row(credential_id: str, key: SandboxKey, *, vault: Vault, now: datetime) -> dict[str, Any]:
    context = SealingContext(vault.instance_id, credential_id, OWNER, key.exchange, "sandbox", 1)
    values: Iterable[tuple[str, Secret]] = key.secrets.items()
    sealed = vault.seal(dict(values), context=context)
    return {
        "credential_id": credential_id,
        "secret_version": 1,
        "kid": sealed.kid,
        "wrapped_key": sealed.wrapped_key,
        "fields": sealed.fields_text,
        "created_at": now,
    }
