"""Prints how many checks and balance refreshes one CPU second makes: Keydeck's beside ccxt's, on one sandbox, in one run.

Run from the repository: `python -m benchmarks.refresh [accounts] [rounds]`. The sandbox is a process of its own and its
CPU is not counted; rounds of all parties take turns, and the median of the rounds is printed.

ccxt "tuned": one shared session, shared markets, a ready TLS context, a new instance per account. "warm": the instance
is kept. Keydeck "library": a new adapter per account. "stored": the whole job, from the claim of a due credential and
the opening of its secrets to the stored result, on SQLite.
"""

import asyncio
import gc
import logging
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import ccxt.async_support as ccxt
import httpx
from sqlalchemy import update

from app import schema
from app.clock import utc_now
from app.credentials.background import BackgroundChecks
from app.credentials.models import Credential
from app.db import Database
from app.exchanges.breaker import Admission
from app.exchanges.http import ExchangeHttp
from app.exchanges.registry import Exchanges, find_adapters, list_origins
from app.exchanges.traffic import Lane, LocalTraffic
from app.exchanges.transport import DirectTransport
from app.exchanges.types import CallLimit, Environment, ProbePolicy, Secrets
from app.masking import Secret
from app.sandbox.keys import SandboxKey
from app.settings import Settings
from app.vault.boot import open_vault
from benchmarks.seeding import add_credentials, add_owner, find_key

AT_ONCE = 50
SCENARIO = "large"
Round = Callable[[], Awaitable[None]]


def start_sandbox() -> tuple[subprocess.Popen[bytes], str]:
    """Start the sandbox in a process of its own; return it and its address."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-m", "app", "sandbox", "--port", str(port)], stdout=subprocess.DEVNULL)
    for _ in range(200):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return process, f"http://127.0.0.1:{port}"
        time.sleep(0.1)
    raise SystemExit("the sandbox did not start")


@dataclass
class Calls:
    """Counts what leaves this process: the parties do not ask for the same, ccxt for one account of the exchange, we for all."""

    count: int = 0

    def watch(self) -> aiohttp.TraceConfig:
        """Return what counts the calls of an aiohttp session."""
        trace = aiohttp.TraceConfig()
        trace.on_request_start.append(self._note)
        return trace

    async def _note(self, _session: Any, _context: Any, _params: Any) -> None:
        self.count += 1


class Counted(DirectTransport):
    """Our transport, counting."""

    def __init__(self, calls: Calls) -> None:
        super().__init__()
        self._calls = calls

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._calls.count += 1
        return await super().handle_async_request(request)


class Unlimited(LocalTraffic):
    """Breakers without limits: what is measured is our cost, not how long an exchange makes us wait."""

    def admit(
        self, lane: Lane, *, limits: Sequence[CallLimit], call: str, within_seconds: float
    ) -> AbstractAsyncContextManager[Admission]:
        return super().admit(lane, limits=(), call=call, within_seconds=within_seconds)


async def run_side_by_side(jobs: list[Callable[[], Awaitable[Any]]]) -> None:
    """Run the jobs, at most AT_ONCE together."""
    places = asyncio.Semaphore(AT_ONCE)

    async def run(job: Callable[[], Awaitable[Any]]) -> None:
        async with places:
            await job()

    await asyncio.gather(*(run(job) for job in jobs))


def make_client(slug: str, key: SandboxKey, base: str, **options: Any) -> Any:
    secrets = {"apiKey": key.secrets["api_key"].reveal(), "secret": key.secrets["secret_key"].reveal()}
    client = getattr(ccxt, slug)({**secrets, "enableRateLimit": False, "timeout": 60_000, **options})
    host = base.removeprefix("http://")
    if slug == "htx":
        client.urls["hostnames"] = {"contract": host, "spot": host}
        client.urls["api"] = dict.fromkeys(client.urls["api"], "http://{hostname}/htx")
    else:
        client.urls["api"] = dict.fromkeys(("public", "private"), f"{base}/{slug}/api/3")
    return client


async def make_ccxt_rounds(slug: str, base: str, *, accounts: int, calls: Calls, stack: AsyncExitStack) -> dict[str, Round]:
    key = find_key(slug, SCENARIO)
    tls = ssl.create_default_context()
    connector = aiohttp.TCPConnector(limit=AT_ONCE, ssl=tls)
    session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector, trace_configs=[calls.watch()]))
    pattern = make_client(slug, key, base, session=session)
    await pattern.load_markets()

    def renew() -> Any:
        client = make_client(slug, key, base, session=session)
        client.ssl_context = pattern.ssl_context
        client.set_markets_from_exchange(pattern)
        return client

    async def refresh_new() -> None:
        client = renew()
        await client.fetch_balance()
        client.session = None

    kept = [renew() for _ in range(accounts)]

    async def forget() -> None:
        for client in [*kept, pattern]:
            client.session = None

    stack.push_async_callback(forget)
    return {
        "ccxt tuned: balances": lambda: run_side_by_side([refresh_new] * accounts),
        "ccxt warm: balances": lambda: run_side_by_side([client.fetch_balance for client in kept]),
    }


def make_library_rounds(slug: str, exchanges: Exchanges, *, accounts: int) -> dict[str, Round]:
    secrets = Secrets(dict(find_key(slug, SCENARIO).secrets))

    async def refresh(number: int) -> None:
        await exchanges.open(slug, Environment.SANDBOX, secrets, key_id=f"{slug}{number}").fetch_balances()

    async def check(number: int) -> None:
        adapter = exchanges.open(slug, Environment.SANDBOX, secrets, key_id=f"{slug}{number}")
        await adapter.read_clock()
        await adapter.check()
        await adapter.fetch_balances()

    def every(job: Callable[[int], Awaitable[None]]) -> Round:
        return lambda: run_side_by_side([lambda number=number: job(number) for number in range(accounts)])  # type: ignore[misc]

    return {"Keydeck library: balances": every(refresh), "Keydeck library: check and balances": every(check)}


def make_stored_rounds(slug: str, database: Database, work: BackgroundChecks) -> dict[str, Round]:
    async def run(**due: Any) -> None:
        async with database.write() as session:
            await session.execute(update(Credential).where(Credential.exchange == slug).values(**due))
        while subjects := await work.list_subjects():
            claims = await asyncio.gather(*(work.claim(subject) for subject in subjects))
            await asyncio.gather(*(work.run(claimed) for claimed in claims if claimed))

    later = timedelta(hours=1)
    return {
        "Keydeck stored: balances": lambda: run(next_balances_at=utc_now(), next_check_at=utc_now() + later),
        "Keydeck stored: check and balances": lambda: run(next_check_at=utc_now(), next_balances_at=None),
    }


async def measure(rounds: dict[str, Round], *, calls: Calls, count: int) -> dict[str, tuple[float, float]]:
    """Return (CPU seconds, calls) of a round of each party, the median of the rounds, after one to warm up."""
    taken: dict[str, list[float]] = {name: [] for name in rounds}
    made: dict[str, int] = {}
    for number in range(count + 1):
        for name, run in rounds.items():
            gc.collect()
            gc.freeze()  # for all parties: else each pays for the objects of the others, ccxt's markets above all
            before, calls.count = time.process_time(), 0
            await run()
            made[name] = calls.count
            if number:
                taken[name].append(time.process_time() - before)
    return {name: (statistics.median(seconds), made[name]) for name, seconds in taken.items()}


async def compare(slug: str, base: str, *, accounts: int, count: int) -> None:
    kinds, calls = find_adapters(), Calls()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        settings = Settings(data_dir=folder, sandbox="on", check_interval_seconds=86_400, balance_interval_seconds=86_400)
        http = ExchangeHttp(origins=list_origins(kinds, urls={}, sandbox_url=base), transport=Counted(calls), traffic=Unlimited())
        stack.push_async_callback(http.aclose)
        exchanges = Exchanges(http=http, clock=utc_now, probes=ProbePolicy.HARMLESS, sandbox_url=base, kinds=kinds)
        database = Database(Secret(f"sqlite+aiosqlite:///{folder / 'bench.db'}"))
        stack.push_async_callback(database.aclose)
        await schema.migrate(database)
        vault = await open_vault(database, keyring_path=folder / "keyring.json", clock=utc_now)
        await add_owner(database, now=utc_now())
        await add_credentials(database, vault, [find_key(slug, SCENARIO)], count=accounts, now=utc_now())
        work = BackgroundChecks(database, vault=vault, exchanges=exchanges, settings=settings, clock=utc_now)
        rounds = await make_ccxt_rounds(slug, base, accounts=accounts, calls=calls, stack=stack)
        rounds |= make_library_rounds(slug, exchanges, accounts=accounts)
        rounds |= make_stored_rounds(slug, database, work)
        results = await measure(rounds, calls=calls, count=count)
    tuned_seconds, tuned_calls = results["ccxt tuned: balances"]
    print(f"{slug}: {accounts} accounts, {count} rounds, {AT_ONCE} at once; per CPU second, and against ccxt tuned")
    print(f"  {'':38} {'accounts':>8}          {'calls':>6}          calls per account")
    for name, (seconds, made) in results.items():
        by_calls = (made / seconds) / (tuned_calls / tuned_seconds)
        print(
            f"  {name:38} {accounts / seconds:8.0f}  {tuned_seconds / seconds:5.1f} x"
            f" {made / seconds:6.0f}  {by_calls:5.1f} x  {made / accounts:.1f}"
        )


async def main(accounts: int, count: int) -> None:
    process, base = start_sandbox()
    try:
        for slug in ("hitbtc", "htx"):
            await compare(slug, base, accounts=accounts, count=count)
    finally:
        process.terminate()
        process.wait(10)


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    given = [int(word) for word in sys.argv[1:]]
    asyncio.run(main(*(given + [60, 5][len(given) :])))
