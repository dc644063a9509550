"""An instance as it stands in production: a public address under https, open sign-up so that its page is asked for, too."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.settings import Settings
from tests.authorization.world import ADDRESS, SITE, World, build_world


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"public_url": SITE, "open_sign_up": "on"})


@pytest.fixture
async def world(app: Any, clock: Any) -> AsyncIterator[World]:
    transport = httpx.ASGITransport(app=app, client=(ADDRESS, 50000))
    async with httpx.AsyncClient(transport=transport, base_url=SITE) as client:
        yield await build_world(app, client, clock)
