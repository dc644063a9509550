"""One app with one trader, a real mail server, a real webhook receiver and a stand-in for Telegram's own host."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from apprise.plugins.telegram import NotifyTelegram

from app.alerts.channels import AddedChannel, Channels, ChannelTools
from app.alerts.rounds import make_host_rule
from app.exchanges.types import Permission
from app.mail import Mailer
from app.masking import Secret
from app.settings import Settings
from tests.alerts.receiver import Receiver, run_receiver
from tests.credentials.bench import Bench
from tests.mail_server import PostOffice, run_mail_server

READ, TRADE, WITHDRAW = Permission.READ, Permission.TRADE, Permission.WITHDRAW
TELEGRAM_TOKEN = "123456789:" + "Canary0Token" * 3


class AlertStage(Bench):
    """The bench of credentials, with alerts."""

    office: PostOffice
    receiver: Receiver
    chats: list[dict[str, Any]]

    @asynccontextmanager
    async def channels(self) -> AsyncIterator[Channels]:
        state = self.state
        tools = ChannelTools(state.vault, state.outlets, make_host_rule(state.settings), state.mailer.is_on)
        async with state.database.write() as session:
            yield Channels(session, tools=tools, clock=state.clock)

    async def add_webhook(self, **fields: str) -> AddedChannel:
        async with self.channels() as channels:
            added = await channels.add(self.principal, "webhook", {"url": self.receiver.url, **fields})
        self.receiver.secret = added.secret_text
        return added

    async def add(self, kind: str, **fields: str) -> AddedChannel:
        async with self.channels() as channels:
            return await channels.add(self.principal, kind, fields)

    async def run_round(self) -> None:
        await self.state.alerts.run_round()

    def set_rights(self, *rights: Permission, scenario: str = "read-trade") -> None:
        self.state.sandbox.state.sandbox.set_permissions("htx", scenario=scenario, permissions=rights)

    @property
    def subjects(self) -> list[str]:
        return [str(letter["Subject"]).strip() for letter in self.office.letters]

    async def list_deliveries(self) -> list[tuple[Any, ...]]:
        """Return state, attempts and outcome of every delivery."""
        async with self.state.database.connect() as connection:
            rows = await connection.exec_driver_sql(
                "SELECT state, attempts, outcome FROM alert_deliveries ORDER BY created_at, state"
            )
            return [tuple(row) for row in rows]

    async def list_alerts(self) -> list[tuple[Any, ...]]:
        async with self.state.database.connect() as connection:
            return [tuple(row) for row in await connection.exec_driver_sql("SELECT kind, phase FROM alerts ORDER BY at, phase")]


@asynccontextmanager
async def run_chats(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[dict[str, Any]]]:
    """Stand in for Telegram's host: what the bot is asked to send is kept."""
    chats: list[dict[str, Any]] = []

    async def take(request: web.Request) -> web.Response:
        chats.append({"path": request.path, **(await request.json())})
        return web.json_response({"ok": True, "result": {"message_id": 1}})

    app = web.Application()
    app.router.add_post("/{path:.*}", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server: Any = site._server
    monkeypatch.setattr(NotifyTelegram, "notify_url", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/bot")
    try:
        yield chats
    finally:
        await runner.cleanup()


@asynccontextmanager
async def run_places(settings: Settings) -> AsyncIterator[tuple[Settings, PostOffice, Receiver]]:
    """Start mail server and receiver; return the settings that lead to the first."""
    async with run_mail_server() as office, run_receiver() as receiver:
        values = {"smtp_url": Secret(f"smtp://127.0.0.1:{office.port}"), "mail_from": "keydeck@example.org"}
        yield settings.model_copy(update=values), office, receiver


def make_mailer(settings: Settings, clock: Any) -> Mailer:
    return Mailer(settings, clock=clock)
