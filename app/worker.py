"""Checks stored keys by itself, as their time comes: claims what is due, a few at a time, and stores what came back.

Any number of workers, in web servers or alone, may share a database: the claim lets each key go to one of them.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import Clock
from app.credentials.schedule import BACK_OFF_SECONDS, DEAD_SECONDS, Schedule
from app.credentials.schedule_repository import ClaimedCheck
from app.credentials.service import Credentials
from app.db import Database
from app.web.errors import Problem

AT_ONCE = 8
REST_SECONDS = 1.0
GRACE_SECONDS = 15.0
"""How long a stopping worker lets running checks finish; with their marks taken away it ends within 20 seconds."""

Sleep = Callable[[float], Awaitable[object]]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """How many checks run side by side, how long an idle worker rests, how long a stopping one waits; in seconds."""

    at_once: int = AT_ONCE
    rest_seconds: float = REST_SECONDS
    grace_seconds: float = GRACE_SECONDS


class Worker:
    """One loop over due checks. `run()` it in a task, `stop()` it; it ends when what runs has ended or time is up."""

    def __init__(
        self,
        database: Database,
        make_credentials: Callable[[AsyncSession], Credentials],
        *,
        clock: Clock,
        sleep: Sleep = asyncio.sleep,
        pace: Pace | None = None,
    ) -> None:
        self._database = database
        self._make_credentials = make_credentials
        self._clock = clock
        self._sleep = sleep
        self._pace = pace or Pace()
        self._stopping = asyncio.Event()
        self._running: dict[asyncio.Task[None], ClaimedCheck] = {}
        self.heartbeat_at: datetime | None = None
        """When the loop last came round; None before its first round."""

    def stop(self) -> None:
        """Ask the worker to end. Claims nothing further; safe to call again."""
        self._stopping.set()

    async def run(self) -> None:
        """Check what is due until stopped. Cancelling instead is a crash: marks stay, and are taken over after 2 minutes."""
        try:
            while not self._stopping.is_set():
                claimed = await self._claim()
                for claim in claimed:
                    self._running[asyncio.create_task(self._check(claim))] = claim
                if not claimed:
                    await self._rest()
            await self._finish()
        finally:
            await self._cancel_all()

    async def run_due(self) -> int:
        """Check everything that is due now, and return how many checks that were. For commands and tests."""
        count = 0
        while claimed := await self._claim():
            await asyncio.gather(*[self._check(claim) for claim in claimed])
            count += len(claimed)
        return count

    async def _claim(self) -> list[ClaimedCheck]:
        """Return newly claimed checks, as many as have a free place; none when the database is out of reach."""
        self.heartbeat_at = self._clock()
        free = self._pace.at_once - len(self._running)
        if free <= 0:
            return []
        try:
            async with self._database.read() as session:
                if not await Schedule(session, clock=self._clock).has_due():
                    return []
            async with self._database.write() as session:
                return await Schedule(session, clock=self._clock).claim(limit=free)
        except Exception as error:  # noqa: BLE001  # a database that is away comes back; its text may name its URL
            _log.error("the worker could not claim checks: %s", type(error).__name__)
            return []

    async def _check(self, claim: ClaimedCheck) -> None:
        """Make one check in a unit of work of its own. What goes wrong inside stops no other, and does not repeat at once."""
        try:
            async with self._database.write() as session:
                await self._make_credentials(session).check_claimed(claim)
        except Problem as problem:
            _log.info("credential %s was not checked: %s", claim.credential_id, problem.code)
            await self._put_off(claim, seconds=DEAD_SECONDS)
        except Exception as error:  # noqa: BLE001  # logged by type: a text could hold a secret
            _log.error("the check of credential %s failed: %s", claim.credential_id, type(error).__name__)
            await self._put_off(claim, seconds=BACK_OFF_SECONDS[-1])

    async def _put_off(self, claim: ClaimedCheck, *, seconds: float) -> None:
        try:
            async with self._database.write() as session:
                await Schedule(session, clock=self._clock).put_off(claim, seconds=seconds)
        except Exception as error:  # noqa: BLE001  # the mark stays, and runs out by itself
            _log.error("credential %s could not be put off: %s", claim.credential_id, type(error).__name__)

    async def _rest(self) -> None:
        """Wait until there may be something to do: a check has ended, some time has passed, or the worker must stop."""
        self._forget_ended()
        waits = [asyncio.ensure_future(self._sleep(self._pace.rest_seconds)), asyncio.create_task(self._stopping.wait())]
        await asyncio.wait([*waits, *self._running], return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        self._forget_ended()

    async def _finish(self) -> None:
        """Let running checks end within the time of grace; cancel the rest and give them back."""
        if self._running:
            await asyncio.wait(self._running, timeout=self._pace.grace_seconds)
        self._forget_ended()
        left = list(self._running.values())
        await self._cancel_all()
        if not left:
            return
        _log.warning("the worker stopped before %d checks had ended: they are due again", len(left))
        try:
            async with self._database.write() as session:
                for claim in left:
                    await Schedule(session, clock=self._clock).give_back(claim)
        except Exception as error:  # noqa: BLE001  # the marks run out by themselves
            _log.error("the worker could not give its checks back: %s", type(error).__name__)

    async def _cancel_all(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._running.clear()

    def _forget_ended(self) -> None:
        for task in [task for task in self._running if task.done()]:
            del self._running[task]
