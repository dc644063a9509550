"""The sandbox as a whole: its index, its memory, discovery of a further exchange, and that it leaks nothing."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.sandbox import exchanges
from app.sandbox.app import create_sandbox
from app.sandbox.exchange import find_exchanges
from app.sandbox.keys import list_keys
from app.sandbox.state import CALLS_KEPT, Sandbox
from tests.sandbox.clients import ORIGIN, BitexbitClient, HitbtcClient, HtxClient, MovableClock

FOURTH = '''
"""A made-up exchange in one file."""
from starlette.responses import PlainTextResponse
from app.exchanges.types import ProbePolicy
from app.sandbox.exchange import SimulatedExchange
from app.sandbox.scenarios import pick

class Fourth(SimulatedExchange):
    slug, name, scenarios, withdraw_known_from = "fourth", "Fourth", pick(without=("large",)), ProbePolicy.READS

    @classmethod
    def write_key(cls, scenario):
        return f"key-{scenario}", f"secret-{scenario}"

    def open_accounts(self, scenario, *, number):
        return []

    async def answer(self, call):
        return PlainTextResponse(call.path)
'''


async def test_index_lists_exchanges_and_scenarios_but_no_key(http: httpx.AsyncClient) -> None:
    reply = await http.get("/")
    listed = {row["slug"]: {scenario["name"] for scenario in row["scenarios"]} for row in reply.json()["exchanges"]}
    assert set(listed) == {kind.slug for kind in find_exchanges()} >= {"binance", "bitexbit", "hitbtc", "htx", "kraken"}
    assert all({"read-only", "read-trade", "withdraw-enabled", "drifting"} <= names for names in listed.values())
    for key in list_keys():
        for part in key.secrets.values():
            assert part.reveal() not in reply.text


async def test_every_answer_carries_the_sandbox_clock(http: httpx.AsyncClient) -> None:
    reply = await http.get("/hitbtc/api/3/public/symbol")
    assert reply.headers["date"] == "Sat, 21 Nov 2026 12:00:00 GMT"


async def test_latency_is_slept_before_every_answer(moment: MovableClock) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    app = create_sandbox(clock=moment, sleep=sleep, latency_ms=80)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ORIGIN) as client:
        await client.get("/htx/v1/common/timestamp")
    assert waited == [0.08]


async def test_huge_body_is_refused(http: httpx.AsyncClient) -> None:
    assert (await http.post("/bitexbit/api/v2/private/order/create", content=b"x" * 1_100_000)).status_code == 413


async def test_calls_are_recorded_with_their_scenario_and_capped(
    http: httpx.AsyncClient, sandbox: Sandbox, moment: MovableClock
) -> None:
    await HitbtcClient(http, "read-only", moment).ask("GET", "/spot/balance?x=1")
    await HtxClient(http, "read-only", moment).ask("GET", "/v2/user/uid")
    await BitexbitClient(http, "wrong-secret", moment).ask("GET", "/api/v2/private/balance")
    await http.get("/htx/v1/account/accounts")
    assert sandbox.recorded_calls == [
        ("hitbtc", "read-only", "GET", "/api/3/spot/balance"),
        ("htx", "read-only", "GET", "/v2/user/uid"),
        ("bitexbit", "wrong-secret", "GET", "/api/v2/private/balance"),
        ("htx", "", "GET", "/v1/account/accounts"),
    ]
    sandbox.recorded_calls.extend([("", "", "", "")] * CALLS_KEPT)
    await http.get("/htx/v1/account/accounts")
    assert len(sandbox.recorded_calls) == CALLS_KEPT


async def test_scenarios_do_not_share_balances(http: httpx.AsyncClient, moment: MovableClock) -> None:
    seen = [
        (await HitbtcClient(http, scenario, moment).ask("GET", "/spot/balance")).text
        for scenario in ("read-only", "read-trade", "withdraw-enabled", "drifting")
    ]
    assert len(set(seen)) == len(seen)


ODD = [None, "", "x", -1, 1e400, [], [[]], {}, {"a": {}}, True, "9" * 5000, "1e999999", "NaN", "٣", "\ud800"]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: repr(odd)[:12])
async def test_odd_input_never_breaks_an_exchange(http: httpx.AsyncClient, moment: MovableClock, odd: Any) -> None:
    hitbtc, htx = HitbtcClient(http, "read-trade", moment), HtxClient(http, "read-trade", moment)
    bitexbit = BitexbitClient(http, "read-trade", moment)
    order = {"symbol": "BTCUSDT", "side": "buy", "quantity": "0.01", "price": "50000", "client_order_id": "abcdefgh"}
    placed = {"account-id": "10123450", "symbol": "btcusdt", "type": "buy-limit", "amount": "0.01", "price": "50000"}
    created = {"symbol": "BTC_USD", "type": "buy-limit", "price": "50000", "amount": "0.01"}
    replies = [await hitbtc.ask("POST", "/spot/order", order | {name: odd}) for name in order]
    replies += [await htx.ask("POST", "/v1/order/orders/place", placed | {name: odd}) for name in placed]
    replies += [await bitexbit.ask("POST", "/api/v2/private/order/create", created | {name: odd}) for name in created]
    replies.append(await htx.ask("POST", "/v1/order/orders/batchcancel", {"order-ids": odd, "client-order-ids": odd}))
    replies.append(await htx.ask("POST", "/v1/order/batch-orders", odd))
    replies.append(await http.post("/bitexbit/api/v2/private/order/create", content=b"[" * 200_000))
    for header in ("HS256 ٣", f"HS256 {odd}", "Basic w6k="):
        replies.append(await http.get("/hitbtc/api/3/spot/balance", headers={"Authorization": header.encode(errors="replace")}))
    assert {reply.status_code for reply in replies} <= {200, 400, 401}


@pytest.fixture
def fourth_exchange(tmp_path: Path) -> Iterator[None]:
    (tmp_path / "fourth.py").write_text(FOURTH)
    exchanges.__path__.append(str(tmp_path))
    yield
    exchanges.__path__.remove(str(tmp_path))


@pytest.mark.usefixtures("fourth_exchange")
async def test_a_further_exchange_is_one_file() -> None:
    assert "fourth" in {kind.slug for kind in find_exchanges()}
    assert any(key.exchange == "fourth" for key in list_keys())
    app = create_sandbox(clock=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ORIGIN) as client:
        assert (await client.get("/fourth/own%2Fpath")).text == "/own%2Fpath"


def test_a_file_without_its_exchange_is_named(tmp_path: Path) -> None:
    (tmp_path / "fifth.py").write_text('"""Nothing."""\n')
    exchanges.__path__.append(str(tmp_path))
    try:
        with pytest.raises(LookupError, match="fifth"):
            find_exchanges()
    finally:
        exchanges.__path__.remove(str(tmp_path))
