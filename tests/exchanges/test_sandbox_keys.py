"""The adapters against an independent opinion: every key of the sandbox must give what the sandbox says it gives."""

import asyncio
from datetime import UTC, datetime

import httpx
import pytest

from app.exchanges.errors import ExchangeError
from app.exchanges.http import ExchangeHttp
from app.exchanges.registry import Exchanges, list_origins
from app.exchanges.types import Answer, Environment, KeyReport, Permission, ProbePolicy, Secrets
from app.sandbox.app import SANDBOX_URL, create_sandbox
from app.sandbox.keys import SandboxKey, list_keys
from tests.exchanges.stage import KINDS, no_wait

CASES = [(policy, key) for policy in ProbePolicy for key in list_keys(policy)]
WITHDRAW = {"withdraw_enabled": Answer.YES, "withdraw_unverified": Answer.UNKNOWN}


async def wait_for_ever(seconds: float) -> None:
    await asyncio.Event().wait()


def expect_report(report: KeyReport, key: SandboxKey) -> None:
    assert report.grants[Permission.READ].answer is Answer.YES
    if key.code == "waiting":
        assert report.grants[Permission.TRADE].answer is Answer.NO
    else:
        assert report.grants[Permission.WITHDRAW].answer is WITHDRAW.get(key.code or "", Answer.NO)
    assert (report.expires_at is not None) == (key.code == "key_expiring")


@pytest.mark.parametrize(
    ("policy", "key"), CASES, ids=lambda value: value if isinstance(value, str) else f"{value.exchange}-{value.scenario}"
)
async def test_every_sandbox_key_gives_what_it_promises(policy: ProbePolicy, key: SandboxKey) -> None:
    now = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
    sandbox = create_sandbox(clock=lambda: now, sleep=wait_for_ever)
    routes = {SANDBOX_URL: httpx.ASGITransport(sandbox)}
    origins = list_origins(KINDS, sandbox_url=SANDBOX_URL)
    async with ExchangeHttp(origins=origins, routes=routes, deadline_seconds=0.5 if key.scenario == "slow" else 10) as http:
        exchanges = Exchanges(http=http, clock=lambda: now, probes=policy, sandbox_url=SANDBOX_URL, kinds=KINDS, sleep=no_wait)
        adapter = exchanges.open(key.exchange, Environment.SANDBOX, Secrets(key.secrets), key_id="f")
        is_answered = key.stored or key.code == "withdraw_enabled"
        try:
            await adapter.read_clock()
            report = await adapter.check()
            sheet = await adapter.fetch_balances()
        except ExchangeError as error:
            refused = error.code
        else:
            refused = None
            expect_report(report, key)
            assert bool(sheet.balances) == (key.scenario != "empty")
            assert sheet.missing == ()
    assert sandbox.state.sandbox.alarms == [], "a check tried to move money"
    assert refused == (None if is_answered else key.code)
    reads = {call.label for call in adapter.calls if call.method == "GET" or call.reads}
    assert policy is not ProbePolicy.READS or {evidence.call for evidence in adapter.evidence} <= reads
