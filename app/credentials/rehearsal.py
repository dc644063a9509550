"""Plays the sandbox's keys through the real adapters and the real verdict, in memory: what tables say is seen, not claimed.

No database, no network and no waiting. The clock may stand still.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import httpx

from app.clock import Clock
from app.credentials.attempts import find_refusal, make_refusal
from app.credentials.check_run import CheckOrder, CheckOutcome, CheckRun
from app.credentials.entry import make_format_step
from app.credentials.notices import list_notices
from app.credentials.problems import Circumstances, advise
from app.credentials.status import CheckFacts, StatusFacts, compute_status
from app.credentials.views import Advice, Notice, Status
from app.exchanges.adapter import AdapterContext, ExchangeAdapter
from app.exchanges.http import ExchangeHttp
from app.exchanges.turns import KeyTurns
from app.exchanges.types import AccessPlan, Environment, Exchange, KeyReport, Permission, ProbePolicy, Secrets
from app.sandbox.app import SANDBOX_URL, create_sandbox
from app.sandbox.keys import SandboxKey


@dataclass(frozen=True, slots=True)
class Played:
    """What connecting one sandbox key gave: what a trader would see, and whether the key would be stored."""

    key: SandboxKey
    status: Status
    advice: Advice | None
    stored: bool
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True)
class Observation:
    """What a check of one good key showed, and the labels of the calls made for its clock, its rights and its balances."""

    probes: ProbePolicy
    environment: Environment
    report: KeyReport
    clock_calls: frozenset[str]
    check_calls: frozenset[str]
    balance_calls: frozenset[str]


@dataclass(frozen=True, slots=True)
class Server:
    """The server that a key is connected to: its clock, and the addresses it tells traders.

    With `links` a next step names the page that the owner of a real key would be sent to: the sandbox has none.
    """

    clock: Clock
    egress: tuple[str, ...]
    links: bool = False

    def find_link(self, exchange: Exchange) -> str:
        return next((site.keys_url for site in exchange.sites), "") if self.links else ""


class Stage:
    """A sandbox of its own, and adapters opened at it. Use it in `async with`."""

    def __init__(self, *, clock: Clock) -> None:
        played = create_sandbox(clock=clock, sleep=_lose_patience)
        transport = httpx.ASGITransport(app=played)
        routes: dict[str, httpx.AsyncBaseTransport] = {SANDBOX_URL: transport}
        self.clock = clock
        self._turns = KeyTurns(sleep=_wait_not)
        self._http = ExchangeHttp(origins=frozenset(routes), routes=routes)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *ended: object) -> None:
        await self._http.aclose()

    def open(
        self,
        kind: type[ExchangeAdapter],
        key: SandboxKey,
        *,
        probes: ProbePolicy,
        environment: Environment = Environment.SANDBOX,
    ) -> ExchangeAdapter:
        """Return an adapter for a sandbox key; `environment` is what the adapter is told."""
        context = AdapterContext(
            secrets=Secrets(key.secrets),
            environment=environment,
            base_url=f"{SANDBOX_URL}/{key.exchange}",
            http=self._http,
            clock=self.clock,
            probes=probes,
            turn=self._turns.get(f"{key.exchange}/{key.scenario}"),
        )
        return kind(context)


async def play(kind: type[ExchangeAdapter], key: SandboxKey, *, probes: ProbePolicy, server: Server) -> Played:
    """Connect one sandbox key as the server would, with the withdrawal policy `refuse`, and return what came of it."""
    exchange = kind.exchange
    order = CheckOrder(
        exchange,
        AccessPlan(key.plan),
        forbidden=frozenset({Permission.WITHDRAW}),
        attested_at=None,
        format_step=make_format_step(key.secrets, exchange=exchange),
    )
    async with Stage(clock=server.clock) as stage:
        outcome = await CheckRun(stage.open(kind, key, probes=probes), order, clock=server.clock, listener=None).run()
    code = find_refusal(outcome, stops_at_withdraw=True)
    if code is None:
        return _describe_stored(key, order, outcome, server=server)
    refused = make_refusal(code, exchange, outcome=outcome, egress=server.egress, link=server.find_link(exchange))
    return Played(key, refused.status or Status.UNAVAILABLE, refused.advice, stored=False)


async def observe(
    kind: type[ExchangeAdapter], keys: Iterable[SandboxKey], *, clock: Clock, environments: Iterable[Environment]
) -> list[Observation]:
    """Check each key in every environment and under every probe policy, and return what was seen.

    Balances are read with the first key alone: they are the same calls with each, and some keys hold a lot.
    """
    cases = [
        (place, probes, key, number == 0) for place in environments for probes in ProbePolicy for number, key in enumerate(keys)
    ]
    async with Stage(clock=clock) as stage:
        return [
            await _observe(stage.open(kind, key, probes=probes, environment=place), reads_balances=is_first)
            for place, probes, key, is_first in cases
        ]


async def _observe(adapter: ExchangeAdapter, *, reads_balances: bool) -> Observation:
    await adapter.read_clock()
    clock_ends = len(adapter.evidence)
    report = await adapter.check()
    check_ends = len(adapter.evidence)
    if reads_balances:
        await adapter.fetch_balances()
    asked = [entry.call for entry in adapter.evidence]
    return Observation(
        probes=adapter.context.probes,
        environment=adapter.context.environment,
        report=report,
        clock_calls=frozenset(asked[:clock_ends]),
        check_calls=frozenset(asked[clock_ends:check_ends]),
        balance_calls=frozenset(asked[check_ends:]),
    )


def _describe_stored(key: SandboxKey, order: CheckOrder, outcome: CheckOutcome, *, server: Server) -> Played:
    now = server.clock()
    ends = outcome.report.expires_at if outcome.report is not None else None
    facts = CheckFacts(outcome.code, outcome.grants, ends)
    verdict = compute_status(StatusFacts(order.exchange, order.plan, facts, facts, key_set_at=now), now=now)
    link = server.find_link(order.exchange)
    about = Circumstances(grants=outcome.grants, egress=server.egress, expires_at=ends, link=link)
    advice = advise(verdict.code, exchange=order.exchange, about=about) if verdict.code else None
    notices = list_notices(order.exchange, order.plan, outcome.grants or {}, link=link)
    return Played(key, verdict.status, advice, stored=True, notices=notices)


async def _lose_patience(seconds: float) -> None:
    """End a slow answer as the deadline would."""
    raise TimeoutError


async def _wait_not(seconds: float) -> None:
    """No exchange is there to be spared."""
