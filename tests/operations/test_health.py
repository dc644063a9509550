"""Readiness looks at database, schema and vault, names the part that fails, and never waits or raises."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import delete, text, update

from app.clock import Clock
from app.db import Database
from app.masking import Secret
from app.operations.health import Health
from app.schema import read_head
from app.vault.boot import open_vault
from app.vault.envelope import Vault
from app.vault.models import VaultCanary


@pytest.fixture
async def vault(database: Database, clock: Clock, tmp_path: Path) -> Vault:
    return await open_vault(database, keyring_path=tmp_path / "keyring.json", clock=clock)


def make_health(database: Database, vault: Vault, **changes: object) -> Health:
    return Health(**{"database": database, "vault": vault, "head": read_head(), **changes})  # type: ignore[arg-type]  # names are checked


async def read_parts(health: Health) -> dict[str, bool]:
    return {part.name: part.ready for part in (await health.examine()).parts}


async def test_all_parts_ready(database: Database, vault: Vault) -> None:
    readiness = await make_health(database, vault).examine()
    assert readiness.ready
    assert [part.name for part in readiness.parts] == ["database", "migrations", "vault"]


async def test_another_schema_revision_is_named(database: Database, vault: Vault) -> None:
    assert await read_parts(make_health(database, vault, head="9999")) == {"database": True, "migrations": False, "vault": True}
    async with database.write() as session:
        await session.execute(text("DELETE FROM alembic_version"))
    assert await read_parts(make_health(database, vault)) == {"database": True, "migrations": False, "vault": True}


async def test_another_key_ring_is_named(database: Database, vault: Vault) -> None:
    async with database.write() as session:
        await session.execute(update(VaultCanary).values(check_value="00000000"))
    assert await read_parts(make_health(database, vault)) == {"database": True, "migrations": True, "vault": False}
    async with database.write() as session:
        await session.execute(delete(VaultCanary))
    assert not (await make_health(database, vault).examine()).ready


async def test_a_dead_database_fails_every_part_that_needs_it(vault: Vault) -> None:
    dead = Database(Secret("postgresql+psycopg://keydeck:cAnArY7f3Q9z@127.0.0.1:1/keydeck"))
    readiness = await make_health(dead, vault).examine()
    assert [part.ready for part in readiness.parts] == [False, False, False]
    assert "cAnArY7f3Q9z" not in repr(readiness)
    await dead.aclose()


async def test_a_database_that_hangs_does_not_hang_the_answer(
    vault: Vault, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(self: Health) -> bool:
        await asyncio.sleep(60)
        return True

    monkeypatch.setattr(Health, "_answers", hang)
    parts = await asyncio.wait_for(read_parts(make_health(database, vault, deadline_seconds=0.05)), timeout=5)
    assert parts["database"] is False
