"""Hears of changes that other processes commit: PostgreSQL's LISTEN, or on SQLite a look at the newest number each second.

Losing the listening connection loses nothing: streams look by themselves at every beat, and everyone is woken when it is back.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import psycopg
from sqlalchemy.orm import Session

from app.clock import Clock
from app.db import Database
from app.live import repository
from app.live.changes import CHANNEL, TOLD, parse_payload
from app.live.hub import Hub

KEPT_FOR = timedelta(minutes=15)
PRUNED_AT_ONCE = 5000
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """How often to look, in seconds: at SQLite's table, at an idle connection, after a lost one, and for old rows."""

    poll_seconds: float = 1.0
    idle_seconds: float = 30.0
    first_retry_seconds: float = 0.5
    last_retry_seconds: float = 10.0
    prune_seconds: float = 120.0


class Listener:
    """Runs beside the web server until cancelled; wakes the hub's seats."""

    def __init__(
        self,
        database: Database,
        hub: Hub,
        *,
        clock: Clock,
        pace: Pace | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._database = database
        self.hub = hub
        self._clock = clock
        self._pace = pace or Pace()
        self._sleep = sleep
        self.is_listening = False
        """Whether PostgreSQL's signals reach this process now."""
        database.watch_commits(self._hear_own)

    def stop(self) -> None:
        """Let all open streams end now; safe to call again."""
        self.hub.stop()

    async def run(self) -> None:
        """Listen and prune until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._poll() if self._database.is_sqlite else self._listen())
            group.create_task(self._keep_small())

    def _hear_own(self, session: Session) -> None:
        """Wake those whose changes this process itself has just committed."""
        told = session.info.pop(TOLD, None)
        if told and self._database.is_sqlite:
            self.hub.wake(told)

    async def _poll(self) -> None:
        newest: int | None = None
        while True:
            await self.hub.occupied.wait()
            try:
                async with self._database.read() as session:
                    found = await repository.get_newest_id(session)
            except Exception as error:  # noqa: BLE001  # whatever it is, the next look may work; streams look by themselves, too
                _log.warning("recent changes could not be read: %s", type(error).__name__)
                found = newest
            if found != newest:
                newest = found
                self.hub.wake()
            await self._sleep(self._pace.poll_seconds)

    async def _listen(self) -> None:
        wait = self._pace.first_retry_seconds
        while True:
            await self.hub.occupied.wait()
            try:
                await self._listen_once()
            except Exception as error:  # noqa: BLE001  # named by type: a text may hold the database's address
                if self.is_listening:
                    wait = self._pace.first_retry_seconds
                _log.warning("the connection that hears of changes was lost: %s", type(error).__name__)
            finally:
                self.is_listening = False
            await self._sleep(wait)
            wait = min(wait * 2, self._pace.last_retry_seconds)

    async def _listen_once(self) -> None:
        """Listen on one connection for as long as it lives. Raises psycopg.Error when it ends."""
        arguments, options = self._database.engine.dialect.create_connect_args(self._database.engine.url)
        named = {**options, "autocommit": True, "application_name": "keydeck live", "connect_timeout": 10}
        async with await psycopg.AsyncConnection.connect(*arguments, **named) as connection:
            await connection.execute(f"LISTEN {CHANNEL}".encode())
            self.is_listening = True
            self.hub.wake()
            while True:
                async for signal in connection.notifies(timeout=self._pace.idle_seconds):
                    self.hub.wake(parse_payload(signal.payload))
                await connection.execute("SELECT 1")  # a connection that died in silence is found out here

    async def _keep_small(self) -> None:
        while True:
            await self._sleep(self._pace.prune_seconds)
            try:
                await self.prune()
            except Exception as error:  # noqa: BLE001  # they are deleted the next time
                _log.warning("old changes could not be deleted: %s", type(error).__name__)

    async def prune(self) -> int:
        """Delete changes too old for any page to ask for; return how many. In small steps: nobody waits long for a lock."""
        before = self._clock() - KEPT_FOR
        total = 0
        while True:
            async with self._database.write() as session:
                gone = await repository.prune(session, before=before, limit=PRUNED_AT_ONCE)
            total += gone
            if gone < PRUNED_AT_ONCE:
                return total
