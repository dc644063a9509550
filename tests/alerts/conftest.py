"""The stage of alert tests."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from app.main import Outside, create_app
from app.settings import Settings
from tests.alerts.stage import AlertStage, make_mailer, run_chats, run_places


@pytest.fixture
async def stage(settings: Settings, outside: Outside, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AlertStage]:
    async with run_places(settings) as (reachable, office, receiver), run_chats(monkeypatch) as chats:
        app = create_app(reachable, outside=replace(outside, mailer=make_mailer(reachable, outside.clock)))
        async with app.router.lifespan_context(app):
            opened = await AlertStage.open(app)
            assert isinstance(opened, AlertStage)
            opened.office, opened.receiver, opened.chats = office, receiver, chats
            yield opened
