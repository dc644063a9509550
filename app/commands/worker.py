"""worker: checks stored keys in a process of its own, beside or instead of the workers inside the web servers."""

import asyncio
import signal
import sys

import typer

from app.commands.console import run
from app.commands.server import prove_ready, spare_collector
from app.commands.unsafe_starts import refuse_unsafe_start
from app.logs import configure_logging
from app.main import create_app
from app.settings import Settings


def worker() -> None:
    """Check stored keys as they come due, without a web server. Ends within 20 seconds of SIGTERM or Ctrl-C."""
    run(_work)


async def _work(settings: Settings) -> None:
    refuse_unsafe_start(settings, listens=False)
    configure_logging(settings, stream=sys.stderr)
    await prove_ready(settings)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    app = create_app(settings, runs_worker=True)
    async with app.router.lifespan_context(app):
        typer.echo(f"Keydeck checks stored keys every {settings.check_interval_seconds} s")
        spare_collector()
        await stopping.wait()
