"""HitBTC in the sandbox: every scenario's answers in the exchange's own shapes, and orders that reserve funds."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from app.exchanges.types import Permission
from app.sandbox.scenarios import Fault
from app.sandbox.state import Sandbox
from tests.sandbox.clients import ORIGIN, HitbtcClient, MovableClock

NO_SUCH_WITHDRAWAL = "/wallet/crypto/withdraw/5f0c3e3e-7a53-4bb2-9a3a-1d7b1c0f2e11"
Opener = Callable[[str], HitbtcClient]


@pytest.fixture
def opened(http: httpx.AsyncClient, moment: MovableClock) -> Opener:
    return lambda scenario: HitbtcClient(http, scenario, moment)


def error_of(reply: httpx.Response) -> tuple[int, int, str]:
    error = reply.json()["error"]
    return reply.status_code, error["code"], error["description"]


async def ask_rights(client: HitbtcClient) -> list[int]:
    replies = [await client.ask("GET", path) for path in ("/sub-account", "/spot/balance", "/spot/order", "/wallet/balance")]
    replies.append(await client.ask("DELETE", NO_SUCH_WITHDRAWAL))
    return [reply.status_code for reply in replies]


@pytest.mark.parametrize(
    ("scenario", "statuses"),
    [
        ("read-only", [200, 200, 403, 200, 403]),
        ("read-trade", [200, 200, 200, 200, 403]),
        ("withdraw-enabled", [200, 200, 200, 200, 400]),
        ("no-permissions", [200, 403, 403, 403, 403]),
        ("waiting", [200, 200, 403, 200, 403]),
        ("ip-restricted", [403] * 5),
        ("revoked", [401] * 5),
        ("demo-key", [401] * 5),
        ("wrong-secret", [401] * 5),
        ("clock-skew", [401] * 5),
        ("account-blocked", [400] * 5),
        ("rate-limited", [429] * 5),
        ("maintenance", [503] * 5),
        ("html-error", [502] * 5),
    ],
)
async def test_scenario_answers_each_right(opened: Opener, scenario: str, statuses: list[int]) -> None:
    assert await ask_rights(opened(scenario)) == statuses


@pytest.mark.parametrize(
    ("scenario", "expected"),
    [
        ("ip-restricted", (403, 1003, "Check permissions for API key")),
        ("revoked", (401, 1002, "unknown or inactive API key")),
        ("wrong-secret", (401, 1002, "invalid signature")),
        ("clock-skew", (401, 1002, "request is outside of the time window")),
        ("account-blocked", (400, 600, "Action is not allowed for this account")),
        ("rate-limited", (429, 429, "Too many requests")),
        ("maintenance", (503, 503, "Service is under maintenance")),
    ],
)
async def test_refusal_is_worded_as_hitbtc_words_it(opened: Opener, scenario: str, expected: tuple[int, int, str]) -> None:
    reply = await opened(scenario).ask("GET", "/spot/balance")
    assert error_of(reply) == expected
    assert reply.headers.get("retry-after") == ("2" if scenario == "rate-limited" else None)


async def test_html_error_is_a_page_not_json(opened: Opener) -> None:
    reply = await opened("html-error").ask("GET", "/spot/balance")
    assert reply.headers["content-type"].startswith("text/html")
    assert reply.text.startswith("<html>")


async def test_slow_waits_before_it_answers(opened: Opener, slept: list[float]) -> None:
    assert (await opened("slow").ask("GET", "/spot/balance")).status_code == 200
    assert slept == [20.0]


async def test_faults_never_touch_public_calls(http: httpx.AsyncClient, slept: list[float]) -> None:
    for path in ("currency", "symbol", "ticker", "price/rate?to=USDT", "orderbook/BTCUSDT", "trades/BTCUSDT", "candles/BTCUSDT"):
        reply = await http.get(f"/hitbtc/api/3/public/{path}")
        assert reply.status_code == 200, path
    assert slept == []


async def test_clock_is_checked_against_the_window(opened: Opener, moment: MovableClock) -> None:
    client = opened("read-only")
    client.clock = lambda: moment.now - timedelta(seconds=11)
    assert error_of(await client.ask("GET", "/spot/balance"))[1] == 1002
    client.window = "60000"
    assert (await client.ask("GET", "/spot/balance")).status_code == 200
    client.window = "60001"
    assert error_of(await client.ask("GET", "/spot/balance"))[1] == 1002


@pytest.mark.parametrize(
    ("header", "code"),
    [(None, 1002), ("Digest abc", 1004), ("HS256 ***", 1002), ("HS256 YTpi", 1002), ("HS256 YTpiOmM=", 1002)],
)
async def test_mangled_authorization_is_refused(http: httpx.AsyncClient, header: str | None, code: int) -> None:
    reply = await http.get("/hitbtc/api/3/spot/balance", headers={"Authorization": header} if header else {})
    assert error_of(reply)[:2] == (401, code)


async def test_basic_authentication_works(opened: Opener, http: httpx.AsyncClient) -> None:
    client = opened("read-only")
    reply = await http.get(f"{ORIGIN}/hitbtc/api/3/spot/balance", auth=(client.key, client.secret))
    assert reply.status_code == 200
    reply = await http.get(f"{ORIGIN}/hitbtc/api/3/spot/balance", auth=(client.key, "another"))
    assert error_of(reply)[1] == 1002


async def test_read_trade_holds_something_in_every_account(opened: Opener) -> None:
    client = opened("read-trade")
    for path in ("/spot/balance", "/wallet/balance", "/futures/balance"):
        rows = (await client.ask("GET", path)).json()
        assert len(rows) >= 2
        assert all(isinstance(row["available"], str) and "e" not in row["available"].lower() for row in rows)
    spot = {row["currency"]: row for row in (await client.ask("GET", "/spot/balance")).json()}
    assert spot["USDT"] == {
        "currency": "USDT",
        "available": "1840.55731",
        "reserved": "250.25",
        "reserved_margin": "75.5",
        "cross_margin_reserved": "0",
    }


async def test_empty_and_large_purses(opened: Opener) -> None:
    assert (await opened("empty").ask("GET", "/spot/balance")).json() == []
    assert len((await opened("large").ask("GET", "/spot/balance")).json()) > 300


async def test_drifting_key_gains_withdraw_after_25_calls(opened: Opener) -> None:
    client = opened("drifting")
    for _ in range(25):
        assert error_of(await client.ask("DELETE", NO_SUCH_WITHDRAWAL))[1] == 1003
    assert error_of(await client.ask("DELETE", NO_SUCH_WITHDRAWAL))[1] == 20004


async def test_order_reserves_funds_and_cancelling_releases_them(opened: Opener) -> None:
    client = opened("read-trade")

    async def usdt() -> tuple[Decimal, Decimal]:
        row = (await client.ask("GET", "/spot/balance/USDT")).json()
        return Decimal(row["available"]), Decimal(row["reserved"])

    before = await usdt()
    draft = {"symbol": "BTCUSDT", "side": "buy", "type": "limit", "quantity": "0.01", "price": "50000"}
    order = (await client.ask("POST", "/spot/order", {**draft, "client_order_id": "keydeck-0001"})).json()
    assert (order["status"], order["client_order_id"]) == ("new", "keydeck-0001")
    held = Decimal(500) * Decimal("1.0025")
    assert await usdt() == (before[0] - held, before[1] + held)
    assert error_of(await client.ask("POST", "/spot/order", {**draft, "client_order_id": "keydeck-0001"}))[1] == 20008
    assert [row["id"] for row in (await client.ask("GET", "/spot/order?symbol=BTCUSDT")).json()] == [order["id"]]
    assert (await client.ask("DELETE", "/spot/order/keydeck-0001")).json()["status"] == "canceled"
    assert await usdt() == before
    assert error_of(await client.ask("DELETE", "/spot/order/keydeck-0001"))[1] == 20002


async def test_market_order_fills_at_the_fixed_price(opened: Opener) -> None:
    client = opened("read-trade")
    order = (
        await client.ask("POST", "/spot/order", {"symbol": "ETHUSDT", "side": "sell", "type": "market", "quantity": "1"})
    ).json()
    assert (order["status"], order["price_average"]) == ("filled", "3127.83")
    trades = (await client.ask("GET", "/spot/history/trade")).json()
    assert [(row["order_id"], row["quantity"]) for row in trades] == [(order["id"], "1")]
    ether = (await client.ask("GET", "/spot/balance/ETH")).json()
    assert (ether["available"], ether["reserved"]) == ("1.418", "0.5")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"symbol": "NOPE"}, 2001),
        ({"quantity": "many"}, 2010),
        ({"quantity": "0.000001"}, 2011),
        ({"quantity": "0.0100001", "strict_validate": True}, 2012),
        ({"price": ""}, 2020),
        ({"price": "50000.001", "strict_validate": True}, 2022),
        ({"quantity": "100"}, 20001),
        ({"price": "90000"}, 20045),
        ({"side": "hold"}, 10001),
        ({"client_order_id": "short"}, 10001),
    ],
)
async def test_bad_order_is_refused_by_its_code(opened: Opener, changes: dict[str, Any], code: int) -> None:
    draft = {"symbol": "BTCUSDT", "side": "buy", "quantity": "0.01", "price": "50000"}
    assert error_of(await opened("read-trade").ask("POST", "/spot/order", draft | changes))[1] == code


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/wallet/crypto/withdraw"),
        ("PUT", NO_SUCH_WITHDRAWAL),
        ("POST", "/wallet/transfer"),
        ("POST", "/wallet/convert"),
        ("POST", "/sub-account/freeze"),
    ],
)
async def test_moving_money_is_refused_and_sounds_the_alarm(opened: Opener, sandbox: Sandbox, method: str, path: str) -> None:
    reply = await opened("withdraw-enabled").ask(method, path, {"currency": "BTC", "amount": "1"})
    assert reply.status_code == 400
    assert [(alarm.exchange, alarm.scenario, alarm.method) for alarm in sandbox.alarms] == [
        ("hitbtc", "withdraw-enabled", method)
    ]


async def test_rollback_of_an_unknown_withdrawal_sounds_no_alarm(opened: Opener, sandbox: Sandbox) -> None:
    await opened("withdraw-enabled").ask("DELETE", NO_SUCH_WITHDRAWAL)
    assert sandbox.alarms == []
    assert sandbox.recorded_calls == [("hitbtc", "withdraw-enabled", "DELETE", f"/api/3{NO_SUCH_WITHDRAWAL}")]


async def test_switches_show_the_other_known_forms(opened: Opener, sandbox: Sandbox) -> None:
    key = sandbox.find_key("hitbtc", "read-only")
    key.switches |= {"zero-rows", "no-reserved-margin", "no-description", "wrapped-errors", "429-in-200"}
    rows = (await opened("read-only").ask("GET", "/spot/balance")).json()
    assert any(row["available"] == "0" for row in rows)
    assert not any("reserved_margin" in row for row in rows)
    refused = (await opened("read-only").ask("GET", "/spot/order")).json()
    assert refused["path"] == "/api/3/spot/order"
    assert refused["error"] == {"code": 1003, "message": "Action is forbidden for this API key"}
    sandbox.set_fault("hitbtc", scenario="read-only", fault=Fault.RATE_LIMITED)
    limited = await opened("read-only").ask("GET", "/spot/balance")
    assert (limited.status_code, limited.json()["error"]["code"]) == (200, 429)


async def test_tests_may_move_money_and_rights(opened: Opener, sandbox: Sandbox) -> None:
    sandbox.set_balance("hitbtc", scenario="empty", account="spot", asset="BTC", available=Decimal("1.5"))
    sandbox.set_permissions("hitbtc", scenario="empty", permissions={Permission.READ})
    assert (await opened("empty").ask("GET", "/spot/balance")).json()[0]["available"] == "1.5"
    assert error_of(await opened("empty").ask("GET", "/wallet/balance"))[1] == 1003


async def test_unknown_path_and_symbol(http: httpx.AsyncClient, opened: Opener) -> None:
    assert error_of(await http.get("/hitbtc/api/3/nothing"))[:2] == (404, 800)
    assert error_of(await opened("read-only").ask("GET", "/user/api-keys"))[:2] == (404, 800)
    assert error_of(await http.get("/hitbtc/api/3/public/ticker/NOPE"))[:2] == (400, 2001)
    assert error_of(await http.get("/hitbtc/api/3/public/currency/NOPE"))[:2] == (400, 2002)
