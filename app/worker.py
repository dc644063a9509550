"""Checks stored keys by itself, as their time comes: a job that finds what is due and shares it out in batches.

Any number of processes, web servers or workers alone, may share a database: the claim lets each key go to one of them.
"""

import asyncio
import logging

from app.credentials.background import BackgroundChecks, read_claim, write_claim
from app.credentials.schedule_repository import ClaimedCheck
from app.jobs import Jobs

CHECK_JOB = "check keys"
CHECK_SECONDS = 5
_log = logging.getLogger(__name__)


class Worker:
    """The job, in this process. `register` it; after `stop` it claims nothing further."""

    def __init__(self, checks: BackgroundChecks) -> None:
        self._checks = checks
        self._is_stopping = False
        self.put_off = checks.put_off
        self._claimed: dict[str, ClaimedCheck] = {}  # and not begun: a stop may fall in between

    def register(self, jobs: Jobs, *, seconds: int = CHECK_SECONDS) -> None:
        jobs.in_batches(CHECK_JOB, seconds=seconds, find=self.find, claim=self.claim, work=self.work)

    def stop(self) -> None:
        """Begin nothing further; safe to call again."""
        self._is_stopping = True

    async def settle(self) -> None:
        """Give back what was claimed and will not be begun: call it when the jobs have ended."""
        left, self._claimed = list(self._claimed.values()), {}
        if left:
            _log.warning("the worker stopped before %d checks had begun: they are due again", len(left))
            await self._checks.give_back(left)

    async def find(self) -> list[str]:
        """Return a subject for each batch that may run now."""
        return [] if self._is_stopping else await self._checks.list_subjects()

    async def claim(self, subject: str) -> list[str]:
        if self._is_stopping:
            return []
        claims = {write_claim(claim): claim for claim in await self._checks.claim(subject)}
        self._claimed |= claims
        return list(claims)

    async def work(self, ids: list[str]) -> None:
        """Check what was claimed. Cut off by a stop, it gives everything back."""
        claims = [read_claim(text) for text in ids]
        for text in ids:
            self._claimed.pop(text, None)
        try:
            await self._checks.run(claims)
        except asyncio.CancelledError:
            _log.warning("the worker stopped before %d checks had ended: they are due again", len(claims))
            await self._checks.give_back(claims)
            raise

    async def run_due(self) -> int:
        """Check everything that is due now, and return how many checks that were. For commands and tests."""
        count = 0
        while subjects := await self._checks.list_subjects():
            batches = [claims for subject in subjects if (claims := await self._checks.claim(subject))]
            await asyncio.gather(*[self._checks.run(claims) for claims in batches])
            count += sum(map(len, batches))
            if not batches:
                break
        return count
