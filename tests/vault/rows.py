"""Puts sealed credentials into a database for tests of boot and doctor."""

from app.accounts.models import User
from app.credentials.models import Credential, CredentialSecret
from app.db import Database
from app.masking import Secret
from app.vault.envelope import SealingContext, Vault
from tests.vault.samples import MOMENT


async def add_user(database: Database) -> str:
    async with database.write() as session:
        session.add(User(id="usr_1", email="trader@example.org", password_hash="x", roles=["trader"], created_at=MOMENT))
    return "usr_1"


async def add_credentials(database: Database, vault: Vault, *numbers: int) -> None:
    """Store sealed credentials crd_001, crd_002 ... of one user."""
    async with database.write() as session:
        for number in numbers:
            identity = {"user_id": "usr_1", "exchange": "htx", "environment": "live", "secret_version": 1}
            name = f"crd_{number:03}"
            context = SealingContext(instance_id=vault.instance_id, credential_id=name, **identity)  # type: ignore[arg-type]  # names fit
            sealed = vault.seal({"api_key": Secret("a"), "secret_key": Secret("hunter2")}, context=context)
            unset = dict.fromkeys(("account_id", "attested_at", "paused_at", "checking_since", "next_check_at"))
            dates = {"created_at": MOMENT, "updated_at": MOMENT}
            shown = {"label": "main", "plan": "balances", "key_hint": "…", "fingerprint": name}
            session.add(Credential(id=name, **identity, **shown, **unset, **dates))
            await session.flush()
            stored = {"kid": sealed.kid, "wrapped_key": sealed.wrapped_key, "fields": sealed.fields_text}
            session.add(CredentialSecret(credential_id=name, secret_version=1, created_at=MOMENT, **stored))
