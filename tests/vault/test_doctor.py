"""The doctor opens every stored credential, counts them per root key, and names what does not open and why."""

# ruff: noqa: ASYNC240 (a test may block on a small file)

import json
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from app.clock import Clock
from app.credentials.models import Credential, CredentialSecret
from app.db import Database
from app.vault.boot import VaultRefusal, open_vault
from app.vault.doctor import Unopened, examine_vault, init_vault, verify_vault
from app.vault.envelope import Vault
from tests.vault.rows import add_credentials, add_user


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keyring.json"


@pytest.fixture
async def started(database: Database, path: Path, clock: Clock) -> Vault:
    vault = await open_vault(database, keyring_path=path, clock=clock)
    await add_user(database)
    return vault


async def test_an_empty_vault_is_sound(started: Vault, database: Database) -> None:
    report = await examine_vault(database, started)
    assert report.is_sound
    assert (report.opened, report.credentials_per_kid) == (0, {})


async def test_every_credential_is_opened_across_pages(started: Vault, database: Database, path: Path) -> None:
    await add_credentials(database, started, *range(1, 421))
    report = await verify_vault(database, keyring_path=path)
    assert report.is_sound
    assert (report.opened, report.credentials_per_kid) == (420, {"k2026a": 420})


async def test_what_does_not_open_is_named_with_its_reason(started: Vault, database: Database) -> None:
    await add_credentials(database, started, *range(1, 9))
    async with database.write() as session:
        await session.execute(
            update(CredentialSecret).where(CredentialSecret.credential_id == "crd_002").values(wrapped_key=b"KD")
        )
        await session.execute(
            update(CredentialSecret).where(CredentialSecret.credential_id == "crd_003").values(fields={"api_key": "?"})
        )
        await session.execute(update(Credential).where(Credential.id == "crd_004").values(environment="demo"))
        await session.execute(update(Credential).where(Credential.id == "crd_005").values(secret_version=2))
        await session.execute(delete(CredentialSecret).where(CredentialSecret.credential_id == "crd_006"))
        await session.execute(update(CredentialSecret).where(CredentialSecret.credential_id == "crd_007").values(kid="k2019z"))
    report = await examine_vault(database, started)
    assert report.unopened == (
        Unopened("crd_002", "k2026a", "damaged"),
        Unopened("crd_003", "k2026a", "damaged"),
        Unopened("crd_004", "k2026a", "damaged"),
        Unopened("crd_005", "k2026a", "version_differs"),
        Unopened("crd_006", None, "not_stored"),
        Unopened("crd_007", "k2019z", "damaged"),
    )
    assert not report.is_sound
    assert report.opened == 2
    assert report.credentials_per_kid == {"k2019z": 1, "k2026a": 6}


async def test_a_record_under_a_key_that_is_gone_is_told_apart(started: Vault, database: Database) -> None:
    await add_credentials(database, started, 1)
    async with database.write() as session:
        row = await session.get_one(CredentialSecret, "crd_001")
        row.wrapped_key, row.kid = row.wrapped_key.replace(b"k2026a", b"k2019z"), "k2019z"
    assert (await examine_vault(database, started)).unopened == (Unopened("crd_001", "k2019z", "key_unavailable"),)


async def test_the_report_is_a_json_document_of_ids_and_counts(started: Vault, database: Database) -> None:
    await add_credentials(database, started, 1)
    document = json.loads(json.dumps((await examine_vault(database, started)).as_document()))
    line = started.list_keys()[0]
    assert document == {
        "instance_id": started.instance_id,
        "sound": True,
        "keys": [{"kid": "k2026a", "state": "active", "check": line.check}],
        "credentials_per_kid": {"k2026a": 1},
        "opened": 1,
        "unopened": [],
        "values_opened": 0,
        "values_unopened": [],
    }


async def test_init_makes_a_ring_once_and_says_so(database: Database, path: Path, clock: Clock) -> None:
    first = await init_vault(database, keyring_path=path, clock=clock)
    second = await init_vault(database, keyring_path=path, clock=clock)
    assert (first.has_new_ring, second.has_new_ring) == (True, False)
    assert first.keys == second.keys
    path.unlink()
    with pytest.raises(VaultRefusal, match="is missing"):
        await init_vault(database, keyring_path=path, clock=clock)


async def test_verify_makes_nothing(database: Database, path: Path) -> None:
    with pytest.raises(VaultRefusal, match="no vault identity yet"):
        await verify_vault(database, keyring_path=path)
    assert not path.exists()
