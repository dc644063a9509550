"""Many stored credentials at once: sealed as connecting one seals it, written in bulk, due one after the other."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from fastapi import FastAPI
from sqlalchemy import insert

from app.accounts.models import User
from app.credentials.models import Credential, CredentialSecret
from app.credentials.safekeeping import Safekeeping
from app.identifiers import create_id
from app.masking import Secret
from tests.fleet.exchange import write_fleet_keys

PEOPLE = 20


async def seed(app: FastAPI, counts: Mapping[str, int], *, within_seconds: float, owner_id: str | None = None) -> dict[str, str]:
    """Store so many credentials of each exchange, due within that time; return the access key of each by its id.

    They belong to people who are made for it and, in turn with them, to `owner_id`.
    """
    state, now = app.state, app.state.clock()
    users = [{"id": create_id("usr"), "email": f"trader{number}@example.org"} for number in range(PEOPLE)]
    owners = [*(user["id"] for user in users), *([owner_id] if owner_id else [])]
    credentials: list[dict[str, Any]] = []
    secrets: list[dict[str, Any]] = []
    keys: dict[str, str] = {}
    async with state.database.write() as session:
        safe = Safekeeping(session, vault=state.vault)
        for exchange, count in counts.items():
            for number, (access_key, secret) in enumerate(write_fleet_keys(exchange, count)):
                owner, credential_id = owners[number % len(owners)], create_id("crd")
                entered = {"api_key": Secret(access_key), "secret_key": Secret(secret)}
                where = {"exchange": exchange, "environment": "live"}
                sealed = safe.seal(entered, credential_id=credential_id, user_id=owner, secret_version=1, now=now, **where)
                secrets.append({column.name: getattr(sealed, column.name) for column in CredentialSecret.__table__.columns})
                due_at = now + timedelta(seconds=within_seconds * number / count)
                credentials.append(
                    {
                        "id": credential_id, "user_id": owner, **where, "label": f"Key {number}", "plan": "balances",
                        "key_hint": access_key[-4:], "fingerprint": safe.fingerprint(secrets=entered, **where),
                        "secret_version": 1, "next_check_at": due_at, "created_at": now, "updated_at": now,
                    }
                )  # fmt: skip
                keys[credential_id] = access_key
        await session.execute(insert(User), [{**user, "password_hash": "x", "roles": [], "created_at": now} for user in users])
        await session.execute(insert(Credential), credentials)
        await session.execute(insert(CredentialSecret), secrets)
    return keys
