"""Keydeck's adapters against the sandbox, two independent opinions: every key gives what the list of keys promises."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette

from app.exchanges.errors import ExchangeError
from app.exchanges.http import ExchangeHttp
from app.exchanges.registry import Exchanges
from app.exchanges.types import AccessPlan, Answer, Environment, Permission, ProbePolicy, Secrets
from app.sandbox.app import SANDBOX_URL, create_sandbox
from app.sandbox.keys import SandboxKey, list_keys
from tests.sandbox.clients import MovableClock

MAY_BE_UNKNOWN = "withdraw_unverified"


@pytest.fixture
def patient_app(moment: MovableClock) -> Starlette:
    """A sandbox whose slow answers outlast the short deadline used here."""

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(60)

    return create_sandbox(clock=moment, sleep=sleep)


@pytest.fixture
async def exchange_http(patient_app: Starlette) -> AsyncIterator[ExchangeHttp]:
    routes = {SANDBOX_URL: httpx.ASGITransport(patient_app)}
    async with ExchangeHttp(origins=frozenset({SANDBOX_URL}), routes=routes, deadline_seconds=3.0) as client:
        yield client


async def judge(exchanges: Exchanges, key: SandboxKey) -> tuple[str | None, Answer | None, Answer | None]:
    """Return the problem code, or what was found out about withdrawing and trading."""
    adapter = exchanges.open(key.exchange, Environment.SANDBOX, Secrets(key.secrets), key_id=f"{key.exchange}/{key.scenario}")
    try:
        await adapter.read_clock()
        report = await adapter.check()
        sheet = await adapter.fetch_balances()
    except ExchangeError as error:
        return error.code, None, None
    assert sheet.missing == ()
    assert (len(sheet.balances) == 0) is (key.scenario == "empty")
    return None, report.grants[Permission.WITHDRAW].answer, report.grants[Permission.TRADE].answer


@pytest.mark.parametrize("probes", ProbePolicy)
async def test_every_key_gives_what_the_list_promises(
    patient_app: Starlette, exchange_http: ExchangeHttp, moment: MovableClock, probes: ProbePolicy
) -> None:
    exchanges = Exchanges(http=exchange_http, clock=moment, probes=probes, sandbox_url=SANDBOX_URL)
    keys = list_keys(probes)
    verdicts = await asyncio.gather(*(judge(exchanges, key) for key in keys))
    for key, (code, withdraw, trade) in zip(keys, verdicts, strict=True):
        name = f"{key.exchange} {key.scenario}"
        if not key.stored and key.code != "withdraw_enabled":
            assert code == key.code, name
            continue
        expected = {"withdraw_enabled": Answer.YES, MAY_BE_UNKNOWN: Answer.UNKNOWN}.get(key.code or "", Answer.NO)
        if key.status == "waiting" and probes is ProbePolicy.READS:
            expected = Answer.UNKNOWN
        assert (code, withdraw) == (None, expected), name
        if key.plan == AccessPlan.TRADING and key.status == "connected":
            assert trade is not Answer.NO, name
    assert patient_app.state.sandbox.alarms == []


@pytest.mark.parametrize("exchange", sorted({key.exchange for key in list_keys()}))
async def test_a_key_that_drifts_is_caught_by_a_later_check(
    patient_app: Starlette, exchange_http: ExchangeHttp, moment: MovableClock, exchange: str
) -> None:
    exchanges = Exchanges(http=exchange_http, clock=moment, probes=ProbePolicy.ALL, sandbox_url=SANDBOX_URL)
    key = next(key for key in list_keys() if (key.exchange, key.scenario) == (exchange, "drifting"))
    assert (await judge(exchanges, key))[1] is Answer.NO
    patient_app.state.sandbox.find_key(exchange, "drifting").calls_made = 25
    assert (await judge(exchanges, key))[1] is Answer.YES
