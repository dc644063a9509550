"""Two processes on one PostgreSQL: each its own pool and its own counts, as two servers have."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from app.db import Database
from app.masking import Secret
from app.traffic.service import SharedTraffic
from tests.databases import PostgresCluster

pytestmark = pytest.mark.postgresql


@pytest.fixture
def shared_url(postgres_cluster: PostgresCluster) -> Iterator[Secret]:
    with postgres_cluster.create_database() as url:
        yield url


@pytest.fixture
async def databases(shared_url: Secret) -> AsyncIterator[list[Database]]:
    opened = [Database(shared_url) for _ in range(3)]
    yield opened
    for database in opened:
        await database.aclose()


@pytest.fixture
async def servers(databases: list[Database]) -> list[SharedTraffic]:
    """Three servers; waits are real, and short."""
    return [SharedTraffic(database, sleep=asyncio.sleep) for database in databases]
