"""Metrics as Prometheus text, in a registry of its own per app, so that two apps in one process never share a count.

Counts of what this process did grow here; what the database knows is asked at most twice a minute.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from math import nan
from typing import Any

from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from sqlalchemy.exc import SQLAlchemyError

from app import __version__
from app.clock import Clock
from app.db import Database
from app.logs import FinishedRequest, RequestLog
from app.operations import repository
from app.operations.repository import CheckCount, CredentialCount, DueCount
from app.schema import read_head

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
COUNTED_FOR = timedelta(hours=1)
REFRESHED_AFTER = timedelta(seconds=30)
_BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class _QueueGauges:
    """What is known of the checks that wait, and of who makes them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.due = Gauge("keydeck_checks_due", "Credentials whose check is due or under way.", registry=registry)
        self.overdue = Gauge(
            "keydeck_checks_overdue_seconds",
            "Since when the longest due check waits, in seconds; it stays below a minute while a worker keeps up.",
            registry=registry,
        )
        self.heartbeat = Gauge(
            "keydeck_worker_heartbeat_age_seconds",
            "Since when the worker of this process last came round, in seconds; absent where none runs.",
            ("place",),
            registry=registry,
        )
        self.put_off = Gauge(
            "keydeck_checks_put_off",
            "Checks that this process has put off since it started because nobody was asked, by why.",
            ("reason",),
            registry=registry,
        )

    def show(self, due: DueCount, *, now: datetime) -> None:
        self.due.set(due.count)
        self.overdue.set(0 if due.oldest_at is None else (now - due.oldest_at).total_seconds())


class Metrics:
    """The numbers of one app."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._registry = CollectorRegistry()
        self._requests = Counter("keydeck_requests", "Answered requests.", ("route", "method", "status"), registry=self._registry)
        self._seconds = Histogram(
            "keydeck_request_seconds",
            "Time to answer, in seconds.",
            ("route", "method"),
            buckets=_BUCKETS_SECONDS,
            registry=self._registry,
        )
        self._checks = Gauge(
            "keydeck_checks_last_hour",
            "Checks begun in the last hour, by how they ended.",
            ("exchange", "code"),
            registry=self._registry,
        )
        self._credentials = Gauge(
            "keydeck_credentials",
            "Stored credentials by their newest check's code, or paused.",
            ("exchange", "code"),
            registry=self._registry,
        )
        build = Gauge("keydeck_build_info", "The running version; always 1.", ("version",), registry=self._registry)
        build.labels(__version__).set(1)
        self._database_up = Gauge(
            "keydeck_database_up", "1 when the database answered the last time it was asked.", registry=self._registry
        )
        self._queue = _QueueGauges(self._registry)
        self._refreshed_at: datetime | None = None
        self._refreshing = asyncio.Lock()

    def observe_request(self, request: FinishedRequest) -> None:
        """Count one answered request. Unknown paths and methods share one label: strangers must not make new ones."""
        route = request.route or ("/static" if request.path.startswith("/static/") else "unmatched")
        method = request.method if request.method in _METHODS else "other"
        self._requests.labels(route, method, f"{request.status // 100}xx").inc()
        self._seconds.labels(route, method).observe(request.duration_seconds)

    def show_worker(self, get_heartbeat: Callable[[], datetime | None], *, put_off: Mapping[Any, int]) -> None:
        """Show the heartbeat of this process's worker and what it has put off, asked for whenever the metrics are read."""

        def measure() -> float:
            at = get_heartbeat()
            return nan if at is None else (self._clock() - at).total_seconds()

        self._queue.heartbeat.labels("server").set_function(measure)
        for reason in put_off:
            self._queue.put_off.labels(str(reason)).set_function(partial(put_off.__getitem__, reason))

    async def refresh(self, database: Database) -> None:
        """Ask the database for its counts, unless they are younger than 30 seconds; a dead database shows as such."""
        async with self._refreshing:
            now = self._clock()
            if self._refreshed_at is not None and now - self._refreshed_at < REFRESHED_AFTER:
                return
            try:
                async with database.read() as session:
                    checks = await repository.count_checks(session, since=now - COUNTED_FOR)
                    credentials = await repository.count_credentials(session)
                    due = await repository.count_due(session, now=now)
            except (SQLAlchemyError, OSError):
                self._database_up.set(0)
                return
            self._database_up.set(1)
            self._show(checks, credentials)
            self._queue.show(due, now=now)
            self._refreshed_at = now

    def _show(self, checks: Sequence[CheckCount], credentials: Sequence[CredentialCount]) -> None:
        self._checks.clear()
        for row in checks:
            self._checks.labels(row.exchange, row.code).set(row.count)
        self._credentials.clear()
        for standing in credentials:
            self._credentials.labels(standing.exchange, standing.code).set(standing.count)

    def write_text(self) -> bytes:
        """Return everything as Prometheus text."""
        return generate_latest(self._registry)


def install_operations(app: FastAPI) -> None:
    """Give the app its metrics and its request log. Call it last: the request log must be the outermost middleware."""
    app.state.metrics = Metrics(clock=app.state.clock)
    app.state.schema_head = read_head()
    app.add_middleware(RequestLog, on_finish=app.state.metrics.observe_request)
