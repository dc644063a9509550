"""A check calls nothing outside its list: counted by the sandbox, which knows nothing of the adapters' own lists."""

import re

import httpx
import pytest

from app.exchanges.errors import ExchangeError
from app.exchanges.http import ExchangeHttp
from app.exchanges.registry import Exchanges, find_adapters
from app.exchanges.types import Call, Environment, ProbePolicy, Secrets
from app.sandbox.app import SANDBOX_URL, create_sandbox
from app.sandbox.keys import list_keys
from tests.sandbox.clients import MovableClock

KINDS = find_adapters()


def is_listed(call: Call, method: str, path: str) -> bool:
    """Whether a recorded call is this declared one, its placeholders filled in."""
    pattern = "".join(
        "[^/?]+" if part.startswith("{") else re.escape(part) for part in re.split(r"(\{\w+\})", call.path.split("?")[0])
    )
    return method == call.method and re.fullmatch(pattern, path) is not None


def may_ask(call: Call, probes: ProbePolicy) -> bool:
    ranks = list(ProbePolicy)
    return call.method == "GET" or call.reads or ranks.index(call.probe) <= ranks.index(probes)


@pytest.mark.parametrize("probes", ProbePolicy)
@pytest.mark.parametrize("slug", sorted(KINDS))
async def test_checks_of_every_key_call_nothing_outside_the_list(slug: str, probes: ProbePolicy, moment: MovableClock) -> None:
    async def sleep(seconds: float) -> None:
        raise TimeoutError

    sandbox_app = create_sandbox(clock=moment, sleep=sleep)
    sandbox = sandbox_app.state.sandbox
    routes = {SANDBOX_URL: httpx.ASGITransport(sandbox_app)}
    async with ExchangeHttp(origins=frozenset({SANDBOX_URL}), routes=routes) as http:
        exchanges = Exchanges(http=http, clock=moment, probes=probes, sandbox_url=SANDBOX_URL)
        for key in (key for key in list_keys(probes) if key.exchange == slug):
            adapter = exchanges.open(slug, Environment.SANDBOX, Secrets(key.secrets), key_id=f"{slug}/{key.scenario}")
            try:
                await adapter.read_clock()
                await adapter.check()
                await adapter.fetch_balances()
            except ExchangeError:
                continue  # a refused key is asked fewer calls, and none that is not listed
    allowed = [call for call in KINDS[slug].calls if may_ask(call, probes)]
    made = {(method, path) for exchange, _, method, path in sandbox.recorded_calls if exchange == slug}
    assert made
    assert [one for one in sorted(made) if not any(is_listed(call, *one) for call in allowed)] == []
    assert {exchange for exchange, *_ in sandbox.recorded_calls} == {slug}
    assert sandbox.alarms == []


def test_the_comparison_itself_can_fail() -> None:
    calls = KINDS["htx"].calls
    assert not any(is_listed(call, "POST", "/v1/dw/withdraw/api/create") for call in calls)
    assert not any(is_listed(call, "GET", "/v1/account/accounts/1/balance/more") for call in calls)
    assert any(is_listed(call, "GET", "/v1/account/accounts/1/balance") for call in calls)
