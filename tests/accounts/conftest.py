"""A person with an account, and a stranger's browser."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.accounts.roles import Role
from tests.accounts.attackers import browse
from tests.accounts.doors import add_person
from tests.accounts.links import OWNER


@pytest.fixture
async def owner(app: Any) -> str:
    return (await add_person(app, OWNER, Role.TRADER)).id


@pytest.fixture
async def guest(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with browse(app, "198.51.100.7") as client:
        yield client
