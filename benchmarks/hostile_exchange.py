"""Measures what hostile exchanges cost at the real deadline: seconds to a verdict, growth of the process's memory.

Run from the repository: `python -m benchmarks.hostile_exchange`. Needs about a minute; every adapter, real sockets.
"""

import asyncio
import time
from datetime import datetime

from app.exchanges.adapter import ExchangeAdapter
from app.exchanges.errors import ExchangeError
from app.exchanges.http import DEADLINE_SECONDS, ExchangeHttp
from app.exchanges.registry import Exchanges, list_origins
from app.exchanges.transport import DirectTransport
from app.exchanges.types import Environment, ProbePolicy, Secrets
from app.masking import Secret
from tests.exchanges.hostile.bombs import MIB
from tests.exchanges.hostile.memory import watch_memory
from tests.exchanges.hostile.scenarios import SCENARIOS, Scenario
from tests.exchanges.servers import run_server
from tests.exchanges.stage import KINDS, SLUGS, load_fixture


def open_adapter(slug: str, url: str, http: ExchangeHttp) -> ExchangeAdapter:
    fixture = load_fixture(slug)
    now = datetime.fromisoformat(fixture["now"])
    exchanges = Exchanges(http=http, clock=lambda: now, probes=ProbePolicy.READS, urls={slug: url}, kinds=KINDS)
    secrets = Secrets({name: Secret(value) for name, value in fixture["secrets"].items()})
    return exchanges.open(slug, Environment.LIVE, secrets, key_id=slug)


async def measure(slug: str, scenario: Scenario, act: str) -> tuple[float, float, str]:
    """Return (seconds to the verdict, MiB at the highest above the start, problem code)."""
    async with run_server(scenario.answer) as server:
        http = ExchangeHttp(origins=list_origins(KINDS, urls={slug: server.origin}), transport=DirectTransport())
        async with http:
            adapter = open_adapter(slug, server.origin, http)
            with watch_memory(traces=False) as growth:
                started = time.perf_counter()
                try:
                    await getattr(adapter, act)()
                    code = "ok"
                except ExchangeError as error:
                    code = error.code
                took = time.perf_counter() - started
            return took, (growth.resident or 0) / MIB, code


async def main() -> None:
    print(f"deadline {DEADLINE_SECONDS} s; {len(SCENARIOS)} scenarios, {len(SLUGS)} adapters")
    slow = [one for one in SCENARIOS if one.is_slow]
    jobs = [(slug, one, act) for slug in SLUGS for one in slow for act in ("read_clock", "check", "fetch_balances")]
    results = await asyncio.gather(*(measure(*job) for job in jobs))
    print(f"slow scenarios: {len(jobs)} verdicts, slowest {max(seconds for seconds, _, _ in results):.2f} s")
    worst_seconds = worst_growth = 0.0
    for scenario in SCENARIOS:
        if scenario.is_slow:
            continue
        for slug in SLUGS:
            for act in ("check", "fetch_balances"):
                seconds, growth, _ = await measure(slug, scenario, act)
                if growth > worst_growth or seconds > worst_seconds:
                    print(f"  {scenario.name} / {slug} / {act}: {seconds:.2f} s, {growth:.1f} MiB")
                worst_seconds, worst_growth = max(worst_seconds, seconds), max(worst_growth, growth)
    print(f"all other scenarios: slowest verdict {worst_seconds:.2f} s, largest growth {worst_growth:.1f} MiB")


if __name__ == "__main__":
    asyncio.run(main())
