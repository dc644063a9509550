"""Work that nobody waits for: rounds by the clock, and batches that many processes share.

What must not be lost is in Keydeck's own tables, never here: a job's arguments are names and ids, and a job that was
cut off is run again. The engine behind it is in app/job_engine.py.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError as CutOff
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from app.clock import Clock
from app.job_engine import ENGINE, EnginePlace, Job, JobPace, choose_times
from app.masking import Secret

Result = TypeVar("Result")
_log = logging.getLogger(__name__)


class JobFailed(Exception):
    """A job ended by an error that was logged by its type; this one holds no text, because the engine keeps it."""


class Jobs:
    """The jobs of one app. Register them, `start()` on the loop they shall run on, and `stop()` there."""

    def __init__(self, database_url: Secret, *, data_dir: Path, clock: Clock, pace: JobPace | None = None) -> None:
        self.place = EnginePlace(database_url, data_dir)
        self._clock = clock
        self.pace = pace or JobPace()
        self.jobs: dict[str, Job] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running: set[asyncio.Task[Any]] = set()
        self._pulse: asyncio.Task[None] | None = None
        self._is_stopping = False
        self.heartbeat_at: datetime | None = None
        """When this process last reached the engine; None before the first time."""

    def every(self, name: str, *, seconds: int, run: Callable[[], Awaitable[None]]) -> None:
        """Call `run` every so many seconds, in one process of all that share the database.

        A long round may overlap with the next one in another process, and one whose process was killed is not repeated:
        the next one must find what is left. Raises ValueError for seconds that divide neither a minute nor an hour.
        """

        async def find() -> list[str]:
            await run()
            return []

        self._add(Job(name, seconds, find))

    def in_batches(
        self,
        name: str,
        *,
        seconds: int,
        find: Callable[[], Awaitable[list[str]]],
        claim: Callable[[str], Awaitable[list[str]]],
        work: Callable[[list[str]], Awaitable[None]],
    ) -> None:
        """Every so many seconds `find` the subjects of batches; for each, in any process, `claim` ids and `work` on them.

        Of one subject there is one batch at a time. One whose process was killed is taken up by another, with the same ids.
        """
        self._add(Job(name, seconds, find, claim, work))

    async def start(self) -> None:
        """Begin. What blocks runs beside the loop."""
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(ENGINE.add, self)
        self._pulse = asyncio.create_task(self._beat())

    async def stop(self) -> None:
        """Begin nothing further, let what runs finish within the time of grace, cancel the rest, end the engine."""
        self._is_stopping = True
        if self._pulse is not None:
            self._pulse.cancel()
            await asyncio.gather(self._pulse, return_exceptions=True)
        if self._running:
            await asyncio.wait(self._running, timeout=self.pace.grace_seconds)
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await asyncio.to_thread(ENGINE.remove, self)

    def call(self, name: str, make: Callable[[], Awaitable[Result]], *, otherwise: Result) -> Result:
        """Run a part of a job on the app's loop and wait for it, from a thread of the engine. `otherwise`: when stopping.

        Raises JobFailed when it failed or was cut off.
        """
        if self._loop is None or self._is_stopping:
            return otherwise
        work = self._run(name, make)
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result()
        except (CutOff, RuntimeError):  # RuntimeError: the loop ended just now
            work.close()
            raise JobFailed("cut off") from None

    async def _run(self, name: str, make: Callable[[], Awaitable[Result]]) -> Result:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            return await make()
        except Exception as error:  # noqa: BLE001  # logged and kept by type: a text could hold a secret
            _log.error("the job %s failed: %s", name, type(error).__name__)
            raise JobFailed(type(error).__name__) from None
        finally:
            self._running.discard(task)

    def _add(self, job: Job) -> None:
        if job.name in self.jobs:
            raise ValueError(f"there is a job {job.name} already")
        choose_times(job.seconds)
        self.jobs[job.name] = job

    async def _beat(self) -> None:
        while True:
            try:
                await asyncio.to_thread(ENGINE.prove_alive)
                self.heartbeat_at = self._clock()
            except Exception as error:  # noqa: BLE001  # a database that is away comes back
                _log.error("the job engine does not answer: %s", type(error).__name__)
            await asyncio.sleep(self.pace.pulse_seconds)
