"""Metrics count by route template, keep strangers from making new series, and share nothing between two apps."""

from datetime import datetime, timedelta

import httpx
from fastapi import APIRouter, FastAPI
from prometheus_client.parser import text_string_to_metric_families

from app.clock import Clock
from app.credentials.models import Credential
from app.db import Database
from app.logs import FinishedRequest
from app.masking import Secret
from app.operations.metrics import Metrics, install_operations
from tests.operations.rows import add_check, add_credential, add_user


def read_samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(metrics.write_text().decode())
    return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for family in families for sample in family.samples}


def count(metrics: Metrics, name: str, **labels: str) -> float | None:
    return read_samples(metrics).get((name, tuple(sorted(labels.items()))))


def test_strangers_cannot_make_new_series(clock: Clock) -> None:
    metrics = Metrics(clock=clock)
    for at in range(50):
        metrics.observe_request(FinishedRequest(f"M{at}", None, f"/{at}?x", 404, 0.01))
    assert count(metrics, "keydeck_requests_total", route="unmatched", method="other", status="4xx") == 50
    assert metrics.write_text().count(b"keydeck_requests_total{") == 1


async def test_requests_are_counted_by_template_method_and_status_class(clock: Clock) -> None:
    app = FastAPI()
    app.state.clock = clock
    router = APIRouter(prefix="/api/v1")

    @router.get("/things/{thing_id}")
    async def read_thing(thing_id: str) -> str:
        return thing_id

    app.include_router(router)
    install_operations(app)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        for path in ("/api/v1/things/1?key=cAnArY7f3Q9z", "/api/v1/things/2", "/nowhere/cAnArY7f3Q9z"):
            await client.get(path)
    metrics: Metrics = app.state.metrics
    assert count(metrics, "keydeck_requests_total", route="/api/v1/things/{thing_id}", method="GET", status="2xx") == 2
    assert count(metrics, "keydeck_requests_total", route="unmatched", method="GET", status="4xx") == 1
    assert count(metrics, "keydeck_request_seconds_count", route="/api/v1/things/{thing_id}", method="GET") == 2
    assert b"cAnArY7f3Q9z" not in metrics.write_text()


def test_two_apps_share_no_count(clock: Clock) -> None:
    first, second = Metrics(clock=clock), Metrics(clock=clock)
    first.observe_request(FinishedRequest("GET", "/", "/", 200, 0.01))
    assert count(first, "keydeck_requests_total", route="/", method="GET", status="2xx") == 1
    assert count(second, "keydeck_requests_total", route="/", method="GET", status="2xx") is None


async def test_the_database_is_asked_at_most_every_30_seconds(database: Database, clock: Clock) -> None:
    metrics = Metrics(clock=clock)
    await metrics.refresh(database)
    async with database.write() as session:
        user_id = add_user(session)
        await session.flush()
        credential_id = add_credential(session, user_id)
        await session.flush()
        await add_check(session, credential_id, code="ok", at=clock())
    await metrics.refresh(database)
    assert count(metrics, "keydeck_checks_last_hour", exchange="htx", code="ok") is None
    clock.advance(seconds=31)  # type: ignore[attr-defined]  # the tests' clock
    await metrics.refresh(database)
    assert count(metrics, "keydeck_checks_last_hour", exchange="htx", code="ok") == 1
    assert count(metrics, "keydeck_credentials", exchange="htx", code="ok") == 1
    assert count(metrics, "keydeck_database_up") == 1
    clock.advance(hours=2)  # type: ignore[attr-defined]  # the tests' clock
    await metrics.refresh(database)
    assert count(metrics, "keydeck_checks_last_hour", exchange="htx", code="ok") is None


async def test_a_dead_database_shows_and_stops_nothing(clock: Clock) -> None:
    dead = Database(Secret("postgresql+psycopg://keydeck:cAnArY7f3Q9z@127.0.0.1:1/keydeck"))
    metrics = Metrics(clock=clock)
    await metrics.refresh(dead)
    assert count(metrics, "keydeck_database_up") == 0
    assert b"cAnArY7f3Q9z" not in metrics.write_text()
    await dead.aclose()


async def test_the_queue_and_the_worker_s_heartbeat_show(database: Database, clock: Clock) -> None:
    metrics = Metrics(clock=clock)
    assert b"keydeck_worker_heartbeat_age_seconds{" not in metrics.write_text()
    beats: list[datetime | None] = [None]
    put_off = {"stood_still": 0}
    metrics.show_worker(lambda: beats[0], put_off=put_off)
    assert b'keydeck_worker_heartbeat_age_seconds{place="server"} NaN' in metrics.write_text()
    beats[0], put_off["stood_still"] = clock() - timedelta(seconds=7), 3
    assert count(metrics, "keydeck_checks_put_off", reason="stood_still") == 3
    assert count(metrics, "keydeck_worker_heartbeat_age_seconds", place="server") == 7
    async with database.write() as session:
        user_id = add_user(session)
        await session.flush()
        credential_id = add_credential(session, user_id)
        await session.flush()
        (await session.get_one(Credential, credential_id)).next_check_at = clock() - timedelta(seconds=40)
    await metrics.refresh(database)
    assert count(metrics, "keydeck_checks_due") == 1
    assert count(metrics, "keydeck_checks_overdue_seconds") == 40
