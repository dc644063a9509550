"""Migrations run for real: up, down, up again; several at once; and the models say what the migrations made."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from app import schema
from app.db import Database
from app.masking import Secret
from tests.databases import PostgresCluster

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
async def empty_url(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Secret]:
    if database_kind == "sqlite":
        yield Secret(f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}")
    else:
        cluster: PostgresCluster = request.getfixturevalue("postgres_cluster")
        with cluster.create_database(template="template1") as url:
            yield url


async def run_alembic(database: Database, *, verb: str) -> None:
    def work(connection: Connection) -> None:
        config = Config(str(ROOT / "alembic.ini"))
        config.attributes["connection"] = connection
        {"check": command.check, "down": lambda c: command.downgrade(c, "base")}[verb](config)

    async with database.write() as session:
        await (await session.connection()).run_sync(work)


async def test_up_down_and_up_again(empty_url: Secret) -> None:
    database = Database(empty_url)
    assert await schema.fetch_revision(database) is None
    await schema.migrate(database)
    assert await schema.fetch_revision(database) == schema.read_head()
    await run_alembic(database, verb="check")
    await run_alembic(database, verb="down")
    assert await schema.fetch_revision(database) is None
    await schema.migrate(database)
    assert await schema.fetch_revision(database) == schema.read_head()
    await database.aclose()


async def test_servers_that_start_at_once_migrate_once(empty_url: Secret) -> None:
    databases = [Database(empty_url) for _ in range(3)]
    await asyncio.gather(*(schema.migrate(database) for database in databases))
    assert await schema.fetch_revision(databases[0]) == schema.read_head()
    for database in databases:
        await database.aclose()
