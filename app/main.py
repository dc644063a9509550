"""Wires everything together and knows everyone: create_app() is the only place where parts meet."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from app import __version__
from app.accounts import api as accounts_api
from app.accounts import routes as accounts_pages
from app.accounts.passwords import Passwords
from app.accounts.step_up_routes import install_proof_answers
from app.alerts import api as alerts_api
from app.alerts import routes as alerts_pages
from app.alerts.bell import count_for_navigation
from app.alerts.delivery import Deliverer
from app.alerts.rounds import ROUND_SECONDS, AlertRounds, make_outlets
from app.balances import api as balances_api
from app.balances import routes as balances_pages
from app.clock import Clock, utc_now
from app.credentials import api as credentials_api
from app.credentials import routes as credentials_pages
from app.credentials.background import BackgroundChecks
from app.db import Database
from app.errands import Errands
from app.exchanges.adapter import ExchangeAdapter
from app.exchanges.http import DEADLINE_SECONDS, ExchangeHttp
from app.exchanges.registry import Exchanges, find_adapters, list_origins
from app.exchanges.traffic import FORGET_SECONDS, LocalTraffic, Traffic
from app.exchanges.transport import DirectTransport
from app.exchanges.types import ProbePolicy
from app.job_engine import JobPace
from app.jobs import Jobs
from app.live.hub import Hub
from app.live.listening import Listener
from app.mail import Mailer
from app.operations import routes as operations
from app.operations.metrics import install_operations
from app.operations.sandbox_routes import has_switches, install_switches
from app.sandbox.app import SANDBOX_URL, create_sandbox
from app.sandbox.keys import list_keys
from app.settings import Settings
from app.support import api as support_api
from app.support import routes as support_pages
from app.traffic.service import SharedTraffic
from app.vault.boot import open_vault
from app.web import errors, gallery, policy_reports, security, theme
from app.web.body_cap import BODY_SECONDS
from app.web.documents import describe_refusals
from app.web.pages import Pages
from app.worker import Worker

ROOT = Path(__file__).resolve().parent.parent
_ROUTERS = (
    accounts_pages.router,
    accounts_api.router,
    credentials_pages.router,
    credentials_api.router,
    alerts_pages.router,
    alerts_pages.calendar_router,
    alerts_api.router,
    balances_pages.router,
    balances_api.router,
    support_pages.router,
    support_api.router,
    operations.router,
    gallery.router,
    theme.router,
    policy_reports.router,
)


@dataclass(frozen=True, slots=True)
class Outside:
    """What the app is handed from outside, so that tests can hand in something else.

    `sleep` is how the sandbox is slow, `pause` how Keydeck waits its turn at an exchange, `job_pace` how lively jobs are.
    `body_seconds` is how long a request's body may take to arrive.
    """

    clock: Clock = utc_now
    transport: httpx.AsyncBaseTransport | None = None
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    pause: Callable[[float], Awaitable[object]] = asyncio.sleep
    job_pace: JobPace | None = None
    deadline_seconds: float = DEADLINE_SECONDS
    adapters: Mapping[str, type[ExchangeAdapter]] | None = None
    passwords: Passwords | None = None
    mailer: Mailer | None = None
    body_seconds: float = BODY_SECONDS


class BackgroundWork:
    """The jobs of this process, and how they end: all at once, and in their own time, whatever else is ending."""

    def __init__(self, jobs: Jobs, *, worker: Worker, alerts: AlertRounds) -> None:
        self._jobs = jobs
        self._worker = worker
        self._alerts = alerts
        self._ending: asyncio.Task[None] | None = None

    def begin_stop(self) -> asyncio.Task[None]:
        """Let nothing further begin, and what runs end within the jobs' time of grace; safe to call again."""
        self._worker.stop()
        self._alerts.stop()
        if self._ending is None:
            self._ending = asyncio.create_task(self._jobs.stop())
        return self._ending

    async def stop(self) -> None:
        await self.begin_stop()
        await self._worker.settle()


def create_app(settings: Settings, *, outside: Outside | None = None, runs_worker: bool = False) -> FastAPI:
    """Return the web application. Its lifespan opens database, vault and the outgoing client, and closes them.

    With `runs_worker` it also checks stored keys as they come due; `app.state.worker` is then its worker, else None.
    """
    given = outside or Outside()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await _open(app, settings, given, stack)
            app.state.alerts = _prepare_alerts(app, given)
            _start_listening(app, given, stack)
            if runs_worker:
                await _start_worker(app, given, stack)
            yield

    app = FastAPI(
        title="Keydeck",
        version=__version__,
        description="Link exchange API keys, know what they may do, and see what they hold. Secrets go in, never out.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        responses=describe_refusals(404),
        lifespan=lifespan,
    )
    _equip(app, settings, given)
    for router in _ROUTERS:
        app.include_router(router)
    install_switches(app, settings)
    app.mount("/static", StaticFiles(directory=ROOT / "static"), name="static")
    errors.install_error_handlers(app)
    install_proof_answers(app)
    security.install_middlewares(app, settings=settings, body_seconds=given.body_seconds)
    install_operations(app)  # last, so that it is outermost and sees every answer
    return app


def _equip(app: FastAPI, settings: Settings, outside: Outside) -> None:
    """Give the app what it has before it is opened."""
    state = app.state
    state.settings = settings
    state.worker = None
    state.work = None
    state.live = None
    state.policy_reports = policy_reports.PolicyReports()
    state.count_navigation = count_for_navigation
    state.clock = outside.clock
    state.passwords = outside.passwords or Passwords()
    state.mailer = outside.mailer or Mailer(settings, clock=outside.clock)
    state.pages = Pages(
        settings=settings,
        clock=outside.clock,
        templates_dir=ROOT / "templates",
        static_dir=ROOT / "static",
        has_switches=has_switches(settings),
    )
    probes = ProbePolicy(settings.probes)
    state.sandbox_keys = list_keys(probes) if settings.sandbox == "on" else ()


async def _open(app: FastAPI, settings: Settings, outside: Outside, stack: AsyncExitStack) -> None:
    """Open what the app holds while it runs; the stack closes it in reverse order."""
    database = Database(settings.database_url_text)
    stack.push_async_callback(database.aclose)
    app.state.database = database
    app.state.errands = await stack.enter_async_context(aclosing(Errands()))
    app.state.vault = await open_vault(database, keyring_path=settings.keyring_path, clock=outside.clock)
    kinds = find_adapters() if outside.adapters is None else dict(outside.adapters)
    sandbox_url = SANDBOX_URL if settings.sandbox == "on" else None
    routes: dict[str, httpx.AsyncBaseTransport] = {}
    if sandbox_url:
        app.state.sandbox = create_sandbox(clock=outside.clock, sleep=outside.sleep)
        routes[sandbox_url] = httpx.ASGITransport(app=app.state.sandbox)
    traffic: Traffic = LocalTraffic(sleep=outside.pause) if database.is_sqlite else SharedTraffic(database, sleep=outside.pause)
    app.state.traffic = traffic
    ways = [
        ExchangeHttp(
            origins=list_origins(kinds, urls=settings.exchange_urls, sandbox_url=sandbox_url),
            transport=outside.transport or DirectTransport(way=way),
            routes=routes,
            deadline_seconds=outside.deadline_seconds,
            sleep=outside.pause,
            traffic=traffic,
            way=way.name,
        )
        for way in settings.ways
    ]
    for http in ways:
        stack.push_async_callback(http.aclose)
    app.state.exchanges = Exchanges(
        http=ways[0],
        ways={http.way: http for http in ways},
        clock=outside.clock,
        probes=ProbePolicy(settings.probes),
        sandbox_url=sandbox_url,
        urls=settings.exchange_urls,
        allowed=frozenset(settings.exchanges) or None,
        kinds=kinds,
        sleep=outside.pause,
    )


def _prepare_alerts(app: FastAPI, outside: Outside) -> AlertRounds:
    """Return the periodic work of alerts. Pages send tests by the same outlets."""
    state = app.state
    state.outlets = make_outlets(state.settings, state.mailer)
    deliverer = Deliverer(
        state.database, vault=state.vault, exchanges=state.exchanges, outlets=state.outlets, clock=outside.clock
    )
    return AlertRounds(state.database, deliverer=deliverer, clock=outside.clock, mail_is_on=state.mailer.is_on)


def _start_listening(app: FastAPI, outside: Outside, stack: AsyncExitStack) -> None:
    """Hear of changes, for the streams of open pages, until the stack closes."""
    live = Listener(app.state.database, Hub(), clock=outside.clock)
    running = asyncio.create_task(live.run())

    async def end() -> None:
        live.hub.stop()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    stack.push_async_callback(end)
    app.state.live = live


async def _start_worker(app: FastAPI, outside: Outside, stack: AsyncExitStack) -> None:
    """Let a worker run until the stack closes; it then ends what it has begun, or gives it back."""
    state = app.state
    settings: Settings = state.settings
    jobs = Jobs(settings.database_url_text, data_dir=settings.data_dir, clock=outside.clock, pace=outside.job_pace)
    checks = BackgroundChecks(
        state.database, vault=state.vault, exchanges=state.exchanges, settings=settings, clock=outside.clock
    )
    worker = Worker(checks)
    worker.register(jobs)
    jobs.every("deliver alerts", seconds=ROUND_SECONDS, run=state.alerts.run_round)
    jobs.every("forget old turns", seconds=FORGET_SECONDS, run=state.traffic.forget_old)
    await jobs.start()

    work = BackgroundWork(jobs, worker=worker, alerts=state.alerts)
    stack.push_async_callback(work.stop)
    state.jobs, state.worker, state.work = jobs, worker, work
    state.metrics.show_worker(lambda: jobs.heartbeat_at, put_off=worker.put_off)
