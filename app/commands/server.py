"""serve, migrate, healthcheck, openapi: what runs or describes the server itself."""

import asyncio
import gc
import json
import logging
import os
import signal
import socket
import sys
import threading
from types import FrameType
from typing import Annotated
from urllib.error import URLError
from urllib.request import ProxyHandler, Request, build_opener

import typer
import uvicorn

from app import schema
from app.accounts.setup import ensure_setup_link
from app.clock import utc_now
from app.commands.console import EXIT_CONFIGURATION, EXIT_UNAVAILABLE, fail, open_database, read_settings, run
from app.commands.unsafe_starts import refuse_unsafe_start
from app.exchanges.registry import find_adapters
from app.logs import configure_logging
from app.main import create_app
from app.settings import Settings
from app.vault.boot import open_vault

_STOP_SECONDS = 20.0
_REQUEST_SECONDS = 12
"""How long open requests may last once the server was told to end: jobs have as long, at the same time. Errands (5 s) follow."""
_log = logging.getLogger(__name__)


class _Server(uvicorn.Server):
    """A server that tells its jobs and its open streams to end as soon as it is told itself: all take their time at once."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End. To be asked to is no failure: the signal is not raised again afterwards, so the exit code is 0."""
        if not self.should_exit:
            asyncio.get_running_loop().call_soon_threadsafe(self._begin_stop)
        elif sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True

    def _begin_stop(self) -> None:
        state = self.config.app.state  # type: ignore[union-attr]  # the app is always handed over as an object
        if state.live is not None:
            state.live.stop()
        if state.work is not None:
            state.work.begin_stop()
        _limit_stop()


def _limit_stop() -> None:
    """Cut the process off when its time is over: a thread that waits for a dead database could hold it for minutes."""

    def cut_off() -> None:
        _log.error("the server did not end within %d seconds: cut off", _STOP_SECONDS)
        os._exit(1)

    limit = threading.Timer(_STOP_SECONDS - 0.5, cut_off)
    limit.daemon = True
    limit.start()


def serve(
    migrate: Annotated[bool, typer.Option("--migrate", help="Bring the database up to date first.")] = False,
    worker: Annotated[bool, typer.Option(help="Check stored keys in this process too.")] = True,
) -> None:
    """Start the web server, which also checks stored keys as they come due."""
    run(lambda settings: _serve(settings, migrates=migrate, runs_worker=worker))


def migrate() -> None:
    """Bring the database to the newest revision."""
    run(_migrate)


def healthcheck() -> None:
    """Ask the running server whether it is ready; exit code 0 when it is."""
    settings = read_settings()
    request = Request(f"http://{find_own_address(settings.host)}:{settings.port}/readyz")
    try:
        with build_opener(ProxyHandler({})).open(request, timeout=4) as reply:  # never by way of a proxy
            reply.read(1000)
    except (URLError, OSError):
        fail("the server is not ready", exit_code=1)
    typer.echo("ready")


def find_own_address(host: str) -> str:
    """Return where this machine reaches a server that listens on `host`, ready for a URL."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # compared, not listened on
    return f"[{reachable}]" if ":" in reachable else reachable


def openapi() -> None:
    """Print the OpenAPI document of the JSON API."""
    typer.echo(json.dumps(create_app(read_settings()).openapi(), indent=1))


async def _migrate(settings: Settings) -> None:
    async with open_database(settings) as database:
        await schema.migrate(database)


async def _serve(settings: Settings, *, migrates: bool, runs_worker: bool) -> None:
    refuse_unsafe_start(settings)
    configure_logging(settings, stream=sys.stderr)
    if migrates:
        await _migrate(settings)
    await prove_ready(settings)
    listener = _listen(settings)
    config = uvicorn.Config(
        create_app(settings, runs_worker=runs_worker),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies) or None,
        timeout_graceful_shutdown=_REQUEST_SECONDS,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started and not serving.done():  # noqa: ASYNC110  # uvicorn offers a flag, no event
        await asyncio.sleep(0.02)
    if server.started:
        await _greet(settings)
        spare_collector()
    await serving
    if not server.started:
        fail("the server did not start: see the lines above", exit_code=1)


def spare_collector() -> None:
    """Take what was made at the start, and stays, out of the garbage collector's rounds: a third of a check's CPU went there."""
    gc.collect()
    gc.freeze()


async def prove_ready(settings: Settings) -> None:
    """Refuse to start with one clear line when an exchange is misspelt, the database is old or the key ring is wrong."""
    known = find_adapters()
    for slug in sorted({*settings.exchanges, *settings.exchange_urls} - known.keys()):
        fail(f"unknown exchange {slug} in the settings: known are {', '.join(sorted(known))}", exit_code=EXIT_CONFIGURATION)
    async with open_database(settings) as database:
        revision = await schema.fetch_revision(database)
        if revision != schema.read_head():
            fail("the database is not up to date: run `keydeck migrate` first", exit_code=EXIT_CONFIGURATION)
        await open_vault(database, keyring_path=settings.keyring_path, clock=utc_now)


async def _greet(settings: Settings) -> None:
    async with open_database(settings) as database:
        link = await ensure_setup_link(database, clock=utc_now, public_url=settings.public_url)
    typer.echo(f"Create the first account (one-time link): {link}" if link else f"Keydeck is ready at {settings.public_url}")


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError:
        fail(
            f"port {settings.port} on {settings.host} is taken: stop what uses it, or choose another with PORT=",
            exit_code=EXIT_UNAVAILABLE,
        )
    return listener
