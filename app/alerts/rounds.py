"""One round of alerts: notice what grew old, turn changes into alerts, deliver what is due. Safe in many processes at once."""

import ssl
from collections.abc import Mapping
from datetime import timedelta

from app.alerts.addresses import HostRule
from app.alerts.delivery import Deliverer, Outlets
from app.alerts.fan_out import FanOut
from app.alerts.sending import MailSender, Sender
from app.alerts.services import ServiceSender
from app.alerts.webhooks import WebhookSender
from app.clock import Clock
from app.credentials import change_repository
from app.credentials.watch import Watch
from app.db import Database
from app.mail import Mailer
from app.settings import Settings

SWEEP_EVERY = timedelta(minutes=1)
ROUND_SECONDS = 5


class AlertRounds:
    """The periodic job of alerts."""

    def __init__(self, database: Database, *, deliverer: Deliverer, clock: Clock, mail_is_on: bool) -> None:
        self._database = database
        self._deliverer = deliverer
        self._clock = clock
        self._mail_is_on = mail_is_on
        self._is_stopping = False
        self._swept_at = clock()  # a server that was off reads balances before it calls them old

    def stop(self) -> None:
        """Let a round end after the step that it is at; safe to call again."""
        self._is_stopping = True
        self._deliverer.stop()

    async def run_round(self) -> None:
        """Do everything there is to do now; nothing once stopped."""
        if self._is_stopping:
            return
        now = self._clock()
        if now - self._swept_at >= SWEEP_EVERY:
            self._swept_at = now
            await self._sweep()
        await self._fan_out()
        await self._deliverer.deliver_due()

    async def _sweep(self) -> None:
        """Note balances that grew old or fresh, some at a time, each in a unit of work of its own."""
        found = 1
        while found and not self._is_stopping:
            async with self._database.write() as session:
                found = await Watch(session, clock=self._clock).sweep_ages()

    async def _fan_out(self) -> None:
        while not self._is_stopping:
            async with self._database.read() as session:
                if not await change_repository.has_untold_for_worker(session):
                    return
            async with self._database.write() as session:
                if not await FanOut(session, clock=self._clock, mail_is_on=self._mail_is_on).run():
                    return  # another process has taken them


def make_senders(settings: Settings, mailer: Mailer, *, tls: ssl.SSLContext | None = None) -> Mapping[str, Sender]:
    """Return every way out by its kind of channel."""
    service = ServiceSender()
    return {
        "email": MailSender(mailer),
        "webhook": WebhookSender(rule=make_host_rule(settings), tls=tls),
        **dict.fromkeys(("telegram", "slack", "discord", "other"), service),
    }


def make_outlets(settings: Settings, mailer: Mailer) -> Outlets:
    return Outlets(make_senders(settings, mailer), settings.public_url)


def make_host_rule(settings: Settings) -> HostRule:
    """Return which hosts webhooks may reach beyond the public ones: those the operator names, and this machine in development."""
    return HostRule(frozenset(host.lower() for host in settings.webhook_hosts), allows_loopback=not settings.is_public)
