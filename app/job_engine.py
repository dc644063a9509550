"""The engine behind jobs: DBOS, and all that Keydeck knows of it.

SQLite: a file of its own beside the database. PostgreSQL: a schema of its own in the same database, shared by every
process, so that a round runs once and a batch goes to whoever has a place. It tells nobody of itself: no console, no
telemetry, no server of its own, and its log goes through Keydeck's.
"""

import logging
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, Queue, SetEnqueueOptions
from sqlalchemy import Engine, create_engine

from app.clock import utc_now
from app.identifiers import create_id
from app.masking import Secret

SCHEMA = "keydeck_jobs"
FILE_NAME = "jobs.db"
MEND_JOB = "look after jobs"
MEND_SECONDS = 30
_RULES_VERSION = "1"  # raised when a job's steps change: processes of another version leave each other's batches alone
_KEPT = timedelta(hours=1)
_AT_ONCE = 500
_LINE_CAP = 200

Result = TypeVar("Result")
_log = logging.getLogger(__name__)
_engine_log = logging.getLogger("dbos")


@dataclass(frozen=True, slots=True)
class JobPace:
    """Places for batches in a process, how long a stopping one waits, and after what a batch counts as abandoned; seconds."""

    batches_at_once: int = 4
    pulse_seconds: float = 5.0
    polling_seconds: float = 0.5
    grace_seconds: float = 12.0
    lease_seconds: float = 120.0


@dataclass(frozen=True, slots=True)
class Job:
    """`find` says what there is to do; without `claim` and `work` it does it, and finds nothing."""

    name: str
    seconds: int
    find: Callable[[], Awaitable[list[str]]]
    claim: Callable[[str], Awaitable[list[str]]] | None = None
    work: Callable[[list[str]], Awaitable[None]] | None = None


@dataclass(frozen=True, slots=True)
class EnginePlace:
    """Where the engine keeps what it knows: in the database of this URL, or beside it where that is a file."""

    database_url: Secret
    data_dir: Path

    def open(self) -> tuple[DBOSConfig, Engine | None]:
        """Return the engine's settings and, on PostgreSQL, the connections it shall use."""
        config: DBOSConfig = {
            "name": "keydeck",
            "application_version": _RULES_VERSION,
            "executor_id": f"{socket.gethostname()}-{os.getpid()}-{create_id('job')}",
            "log_level": "WARNING",
            "use_listen_notify": False,
            "serializer": DBOSPortableJSONSerializer(),  # the default one would run what it finds in the table
            "dbos_system_schema": SCHEMA,
            "db_engine_kwargs": {"hide_parameters": True},
        }
        plain = self.database_url.reveal()
        if plain.startswith("sqlite"):
            path = self.data_dir / FILE_NAME
            _prepare_file(path)
            config["system_database_url"] = f"sqlite:///{path.as_posix()}"
            return config, None
        connections = create_engine(
            plain, pool_size=6, max_overflow=4, pool_pre_ping=True, hide_parameters=True,
            connect_args={"application_name": "keydeck jobs"},
        )  # fmt: skip
        config["system_database_engine"] = connections
        return config, connections


class Host(Protocol):
    """An app with jobs, as the engine sees it."""

    place: EnginePlace
    pace: JobPace
    jobs: dict[str, Job]

    def call(self, name: str, make: Callable[[], Awaitable[Result]], *, otherwise: Result) -> Result: ...


def _prepare_file(path: Path) -> None:
    """Make the engine's file, readable by its owner only, with a log that lets readers and a writer work side by side."""
    path.touch(mode=0o600)
    with closing(sqlite3.connect(path, timeout=30)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


def choose_times(seconds: int) -> str:
    """Return the crontab line, with seconds, of "every so many seconds". Raises ValueError where there is none."""
    if 0 < seconds < 60 and 60 % seconds == 0:
        return f"*/{seconds} * * * * *"
    if seconds >= 60 and 3600 % seconds == 0 and seconds % 60 == 0:
        return f"0 */{seconds // 60} * * * *" if seconds < 3600 else "0 0 * * * *"
    raise ValueError(f"{seconds} seconds divide neither a minute nor an hour")


class _Engine:
    """The one engine that DBOS allows a process. It rests on the first app's database and serves any other app in passing.

    Only tests have several apps in a process. When the first one ends, the engine begins anew on the next one's database.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._apps: list[Host] = []
        self._connections: Engine | None = None
        self._queue: Queue

    def add(self, app: Host) -> None:
        with self._lock:
            self._apps.append(app)
            try:
                self._launch() if len(self._apps) == 1 else self._schedule()
            except BaseException:
                self._apps.remove(app)
                raise

    def remove(self, app: Host) -> None:
        with self._lock:
            if app not in self._apps:
                return
            is_first = self._apps[0] is app
            self._apps.remove(app)
            if is_first:
                self._end()
            if is_first and self._apps:
                self._launch()

    def prove_alive(self) -> None:
        """Ask the engine's database something small. Raises what the database raises."""
        DBOS.get_schedule(MEND_JOB)

    def _launch(self) -> None:
        if not _engine_log.handlers:
            _engine_log.addHandler(logging.NullHandler())  # without one the engine prints by a handler of its own
        _engine_log.addFilter(_keep_short)
        app = self._apps[0]
        config, self._connections = app.place.open()
        try:
            DBOS(config=config)
            self._round = DBOS.workflow(name="round")(lambda _at, name: self._run_round(name))
            self._batch = DBOS.workflow(name="batch", max_recovery_attempts=None)(
                lambda name, subject: self._run_batch(name, subject)  # noqa: PLW0108  # DBOS marks the function, methods refuse
            )
            DBOS.launch()
            self._queue = DBOS.register_queue(
                "batches", worker_concurrency=app.pace.batches_at_once, polling_interval_sec=app.pace.polling_seconds
            )
            self._schedule()
        except BaseException:
            self._end()
            raise

    def _end(self) -> None:
        DBOS.destroy(destroy_registry=True, workflow_completion_timeout_sec=1)  # what was fetched just now is let go of
        if self._connections is not None:
            self._connections.dispose()
        _engine_log.removeFilter(_keep_short)

    def _schedule(self) -> None:
        """Tell the engine the times of every job; processes that tell the same agree."""
        times = {MEND_JOB: choose_times(MEND_SECONDS)}
        times |= {job.name: choose_times(job.seconds) for app in self._apps for job in app.jobs.values()}
        known = {row["schedule_name"]: row["schedule"] for row in DBOS.list_schedules()}
        new = {name: line for name, line in times.items() if known.get(name) != line}
        if new:
            DBOS.apply_schedules(
                [
                    {"schedule_name": name, "workflow_fn": self._round, "schedule": line, "context": name}
                    for name, line in new.items()
                ]
            )

    def _run_round(self, name: str) -> None:
        """Run a job's round: in the first app's name batches go to the queue, for any other app they are done here."""
        if name == MEND_JOB:
            DBOS.run_step({"name": "mend"}, self._mend)
            return
        for place, app in enumerate(list(self._apps)):
            job = app.jobs.get(name)
            if job is None:
                continue
            subjects = DBOS.run_step({"name": "find"}, app.call, name, job.find, otherwise=[])
            for subject in subjects:
                if place == 0:
                    with SetEnqueueOptions(deduplication_id=f"{name}/{subject}", duplication_policy="return-existing"):
                        self._queue.enqueue(self._batch, name, subject)
                else:
                    self._work(app, job, subject)

    def _run_batch(self, name: str, subject: str) -> None:
        job = self._apps[0].jobs.get(name) if self._apps else None
        if job is not None:
            self._work(self._apps[0], job, subject)

    def _work(self, app: Host, job: Job, subject: str) -> None:
        """Claim, then work on what was claimed: two steps, so that whoever goes on after a crash has the same ids.

        Again and again while there is something to claim, but never so long that others take it for abandoned.
        """
        claim, work = job.claim, job.work
        if claim is None or work is None:
            return
        ends_at = time.monotonic() + app.pace.lease_seconds / 3
        while time.monotonic() < ends_at:
            ids: list[str] = DBOS.run_step({"name": "claim"}, app.call, job.name, lambda: claim(subject), otherwise=[])
            if not ids:
                return
            DBOS.run_step({"name": "work"}, app.call, job.name, partial(work, ids), otherwise=None)

    def _mend(self) -> None:
        """Let others go on with what killed processes left, and forget what ended long ago."""
        now = utc_now()  # the engine goes by the real time
        pace = self._apps[0].pace if self._apps else JobPace()
        before = now - timedelta(seconds=pace.lease_seconds)
        left = _list_runs(status="PENDING", dequeued_before=before.isoformat())
        if left:
            _log.warning("%d jobs were left by processes that ended: they go on", len(left))
            DBOS.resume_workflows(left)
        while old := _list_runs(completed_before=(now - _KEPT).isoformat()):
            DBOS.delete_workflows(old)
            if len(old) < _AT_ONCE:
                break


def _list_runs(**which: Any) -> list[str]:
    return [run.workflow_id for run in DBOS.list_workflows(load_input=False, load_output=False, limit=_AT_ONCE, **which)]


def _keep_short(record: logging.LogRecord) -> bool:
    """Keep the first line of what the engine says; the rest is the text of an exception, which could hold a secret."""
    record.msg, record.args = "the job engine: " + record.getMessage().split("\n")[0][:_LINE_CAP], None
    return True


ENGINE = _Engine()  # DBOS itself is one per process
