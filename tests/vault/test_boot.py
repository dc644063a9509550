"""Starting: a new database gets identity and ring once; anything that does not fit is refused with one clear line."""

# ruff: noqa: ASYNC240 (a test may block on a small file)

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select, text, update

from app.clock import Clock
from app.db import Database
from app.masking import Secret
from app.vault.boot import VaultRefusal, open_known_vault, open_vault
from app.vault.envelope import Vault
from app.vault.keyring import KeyState, create_keyring, load_keyring
from app.vault.models import VaultCanary, VaultInstance
from tests.vault.rows import add_credentials, add_user
from tests.vault.samples import MOMENT, make_root

OTHER = bytes.fromhex("5d" + "c0a1" * 15 + "3e")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keyring.json"


@pytest.fixture
async def started(database: Database, path: Path, clock: Clock) -> Vault:
    """The vault of a database that has one credential."""
    vault = await open_vault(database, keyring_path=path, clock=clock)
    await add_user(database)
    await add_credentials(database, vault, 1)
    return vault


async def refusal(database: Database, path: Path, clock: Clock) -> str:
    """Return the refusal's line, after making sure of its form and that nothing was changed."""
    before = await read_everything(database)
    with pytest.raises(VaultRefusal) as caught:
        await open_vault(database, keyring_path=path, clock=clock)
    assert caught.value.exit_code == 78
    assert await read_everything(database) == before
    line = str(caught.value)
    assert "\n" not in line
    if path.is_file():
        assert not any(entry["key"] in line for entry in json.loads(path.read_text())["keys"])
    return line


async def read_everything(database: Database) -> list[Any]:
    async with database.read() as session:
        tables = ("vault_instance", "vault_canaries", "credentials", "credential_secrets")
        return [(await session.execute(text(f"SELECT * FROM {table} ORDER BY 1"))).all() for table in tables]


def rewrite(path: Path, *keys: dict[str, str]) -> None:
    path.write_text(json.dumps({"v": 1, "keys": list(keys)}))


def read_entry(path: Path) -> dict[str, str]:
    entry: dict[str, str] = json.loads(path.read_text())["keys"][0]
    return entry


async def test_a_new_database_gets_a_private_ring_and_one_identity(
    database: Database, path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        vault = await open_vault(database, keyring_path=path, clock=clock)
    assert path.stat().st_mode & 0o777 == 0o600
    assert vault.list_keys() == load_keyring(path).list_lines()
    assert vault.list_keys()[0].check in caplog.text
    assert read_entry(path)["key"] not in caplog.text
    async with database.read() as session:
        instance = (await session.execute(select(VaultInstance))).scalar_one()
        canary = (await session.execute(select(VaultCanary))).scalar_one()
    assert (instance.id, instance.fingerprint_kid) == (vault.instance_id, vault.active_kid)
    assert (canary.kid, canary.check_value) == (vault.active_kid, vault.list_keys()[0].check)


async def test_the_second_start_opens_the_same_vault(database: Database, path: Path, clock: Clock) -> None:
    first = await open_vault(database, keyring_path=path, clock=clock)
    ring, rows = path.read_bytes(), await read_everything(database)
    for second in (
        await open_vault(database, keyring_path=path, clock=clock),
        await open_known_vault(database, keyring_path=path),
    ):
        assert second.instance_id == first.instance_id
        prints = {vault.fingerprint(exchange="htx", environment="live", api_key=Secret("k")) for vault in (first, second)}
        assert len(prints) == 1
    assert (path.read_bytes(), await read_everything(database)) == (ring, rows)


async def test_a_ring_that_is_already_there_is_used(database: Database, path: Path, clock: Clock) -> None:
    made = create_keyring(path, created_at=MOMENT)
    vault = await open_vault(database, keyring_path=path, clock=clock)
    assert vault.list_keys() == made.list_lines()


async def test_processes_starting_at_once_end_with_one_identity(
    database: Database, database_url: Secret, path: Path, clock: Clock
) -> None:
    databases = [Database(database_url) for _ in range(6)]
    vaults = await asyncio.gather(*(open_vault(one, keyring_path=path, clock=clock) for one in databases))
    for one in databases:
        await one.aclose()
    assert len({vault.instance_id for vault in vaults}) == 1
    assert len({vault.list_keys() for vault in vaults}) == 1
    assert len({vault.fingerprint(exchange="htx", environment="live", api_key=Secret("k")) for vault in vaults}) == 1
    assert [len(rows) for rows in await read_everything(database)] == [1, 1, 0, 0]


async def test_of_two_servers_with_rings_of_their_own_one_is_refused(
    database: Database, database_url: Secret, tmp_path: Path, clock: Clock
) -> None:
    databases = [Database(database_url) for _ in range(2)]
    paths = [tmp_path / name / "keyring.json" for name in ("one", "two")]
    starts = [open_vault(one, keyring_path=path, clock=clock) for one, path in zip(databases, paths, strict=True)]
    ended = await asyncio.gather(*starts, return_exceptions=True)
    for one in databases:
        await one.aclose()
    assert sorted(type(end).__name__ for end in ended) == ["Vault", "VaultRefusal"]
    assert [len(rows) for rows in await read_everything(database)] == [1, 1, 0, 0]


async def test_a_missing_ring_is_never_made_anew(started: Vault, database: Database, path: Path, clock: Clock) -> None:
    path.unlink()
    line = await refusal(database, path, clock)
    check = started.list_keys()[0].check
    assert line == (
        f"key ring file {path} is missing, and this database was sealed with k2026a (check {check}): "
        "put the key ring back from its backup (a new one could not open what is stored)"
    )
    assert not path.exists()


async def test_another_installations_ring_is_refused(started: Vault, database: Database, path: Path, clock: Clock) -> None:
    path.unlink()
    other = create_keyring(path, created_at=MOMENT).active.check
    check = started.list_keys()[0].check
    assert await refusal(database, path, clock) == (
        f"key ring {path} is not this database's: "
        f"k2026a (check {other}) does not open what k2026a (check {check}) sealed "
        f"[ring: k2026a (active, check {other}); database: k2026a (check {check})]"
    )


@pytest.mark.usefixtures("started")
async def test_a_ring_without_the_needed_key_is_refused(database: Database, path: Path, clock: Clock) -> None:
    rewrite(path, make_root("k2026b", key=OTHER).export_entry())
    line = await refusal(database, path, clock)
    assert "k2026a is missing or retired; k2026b" in line
    assert "has never been used with this database" in line


@pytest.mark.usefixtures("started")
async def test_a_retired_key_that_is_still_needed_is_refused(database: Database, path: Path, clock: Clock) -> None:
    rewrite(path, {**read_entry(path), "state": "retired"}, make_root("k2026b", key=OTHER).export_entry())
    assert "k2026a is missing or retired" in await refusal(database, path, clock)


@pytest.mark.usefixtures("started")
async def test_a_key_made_active_by_hand_is_refused(database: Database, path: Path, clock: Clock) -> None:
    rewrite(path, {**read_entry(path), "state": "decrypt"}, make_root("k2026b", key=OTHER).export_entry())
    assert "has never been used with this database" in await refusal(database, path, clock)


@pytest.mark.usefixtures("started")
async def test_a_further_pending_key_does_no_harm(database: Database, path: Path, clock: Clock) -> None:
    rewrite(path, read_entry(path), make_root("k2026b", key=OTHER, state=KeyState.PENDING).export_entry())
    assert (await open_vault(database, keyring_path=path, clock=clock)).active_kid == "k2026a"


@pytest.mark.usefixtures("started")
async def test_a_ring_that_cannot_be_used_is_refused(database: Database, path: Path, clock: Clock) -> None:
    path.chmod(0o644)
    assert "may be read by others" in await refusal(database, path, clock)
    path.chmod(0o600)
    rewrite(path)
    assert "exactly one key of the key ring must be active" in await refusal(database, path, clock)


async def test_a_ring_that_cannot_be_written_is_refused(database: Database, tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot be" in await refusal(database, tmp_path / "file" / "keyring.json", clock)


async def test_credentials_without_an_identity_are_refused(started: Vault, database: Database, path: Path, clock: Clock) -> None:
    """Neither the credentials nor the canary may be left over: a new identity would lock them out for ever."""
    async with database.write() as session:
        await session.execute(delete(VaultInstance))
    assert "holds credentials but no vault identity" in await refusal(database, path, clock)
    async with database.write() as session:
        await session.execute(delete(VaultCanary))
    path.unlink()
    assert "holds credentials but no vault identity" in await refusal(database, path, clock)
    assert not path.exists()
    assert started.active_kid == "k2026a"


@pytest.mark.parametrize("table", [VaultInstance, VaultCanary])
@pytest.mark.usefixtures("started")
async def test_damaged_or_moved_vault_rows_are_refused(table: type[Any], database: Database, path: Path, clock: Clock) -> None:
    column = "fingerprint_key_sealed" if table is VaultInstance else "sealed"
    async with database.write() as session:
        original = (await session.execute(select(getattr(table, column)))).scalar_one()
        other = VaultCanary.sealed if table is VaultInstance else VaultInstance.fingerprint_key_sealed
        moved = (await session.execute(select(other))).scalar_one()
    for damaged in (original[:-1] + bytes((original[-1] ^ 1,)), b"", moved):
        async with database.write() as session:
            await session.execute(update(table).values({column: damaged}))
        assert "does not open" in await refusal(database, path, clock)


@pytest.mark.usefixtures("started")
async def test_a_kid_stored_with_a_credential_must_be_in_the_ring(database: Database, path: Path, clock: Clock) -> None:
    async with database.write() as session:
        await session.execute(text("UPDATE credential_secrets SET kid = 'k2019z'"))
    assert "k2019z is missing or retired" in await refusal(database, path, clock)


async def test_looking_at_a_new_database_makes_nothing(database: Database, path: Path) -> None:
    with pytest.raises(VaultRefusal, match="no vault identity yet"):
        await open_known_vault(database, keyring_path=path)
    assert not path.exists()
    assert [len(rows) for rows in await read_everything(database)] == [0, 0, 0, 0]
