"""Binance's sandbox: order of its checks, window, rights told, orders by query and by form, refusals that never move money."""

from typing import Any

import httpx
import pytest

from app.exchanges.types import Permission
from app.sandbox.state import Sandbox
from tests.sandbox.clients import ORIGIN, BinanceClient, MovableClock

RIGHTS = "/sapi/v1/account/apiRestrictions"
ACCOUNT = "/api/v3/account"
ORDER = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01", "price": "50000"}


async def test_rights_are_told_flag_by_flag(http: httpx.AsyncClient, moment: MovableClock) -> None:
    expected = {
        "read-only": (True, False, False, False),
        "read-trade": (True, True, False, False),
        "withdraw-enabled": (True, True, True, True),
        "no-permissions": (False, False, False, False),
    }
    for scenario, flags in expected.items():
        told = (await BinanceClient(http, scenario, moment).ask("GET", RIGHTS)).json()
        names = ("enableReading", "enableSpotAndMarginTrading", "permitsUniversalTransfer", "enableWithdrawals")
        assert tuple(told[name] for name in names) == flags, scenario
        assert "tradingAuthorityExpirationTime" not in told
    told = (await BinanceClient(http, "expiring", moment).ask("GET", RIGHTS)).json()
    assert told["tradingAuthorityExpirationTime"] == (int(moment().timestamp()) + 7 * 86_400) * 1000


@pytest.mark.parametrize(
    ("scenario", "status", "code"),
    [
        ("revoked", 401, -2015),
        ("ip-restricted", 401, -2015),
        ("no-permissions", 401, -2015),
        ("demo-key", 401, -2015),
        ("wrong-secret", 400, -1022),
        ("clock-skew", 400, -1021),
        ("rate-limited", 429, -1003),
        ("maintenance", 503, -1016),
        ("account-blocked", 401, -2017),
    ],
)
async def test_refusals(http: httpx.AsyncClient, moment: MovableClock, scenario: str, status: int, code: int) -> None:
    reply = await BinanceClient(http, scenario, moment).ask("GET", ACCOUNT)
    assert (reply.status_code, reply.json()["code"]) == (status, code)
    assert ("retry-after" in reply.headers) == (status == 429)


async def test_the_firewall_answers_in_html(http: httpx.AsyncClient, moment: MovableClock) -> None:
    reply = await BinanceClient(http, "html-error", moment).ask("GET", ACCOUNT)
    assert (reply.status_code, reply.headers["content-type"].split(";")[0]) == (403, "text/html")


@pytest.mark.parametrize(
    ("ahead_ms", "window", "code"),
    [
        (0, "5000", None),
        (999, "5000", None),
        (1000, "5000", -1021),
        (-5000, "5000", None),
        (-5001, "5000", -1021),
        (-59_000, "60000", None),
        (0, "60001", -1131),
        (0, "x", -1131),
    ],
)
async def test_window(http: httpx.AsyncClient, moment: MovableClock, ahead_ms: int, window: str, code: int | None) -> None:
    reply = await BinanceClient(http, "read-only", moment).ask("GET", ACCOUNT, ahead_ms=ahead_ms, recvWindow=window)
    assert reply.json().get("code") == code


async def test_what_is_missing_is_named(http: httpx.AsyncClient, moment: MovableClock) -> None:
    client = BinanceClient(http, "read-only", moment)
    assert (await http.get(f"{ORIGIN}/binance{ACCOUNT}")).json()["code"] == -2014
    headers = {"X-MBX-APIKEY": client.key}
    assert "timestamp" in (await http.get(f"{ORIGIN}/binance{ACCOUNT}", headers=headers)).json()["msg"]
    query = {"timestamp": str(int(moment().timestamp() * 1000))}
    assert "signature" in (await http.get(f"{ORIGIN}/binance{ACCOUNT}", params=query, headers=headers)).json()["msg"]
    assert (await http.get(f"{ORIGIN}/binance/api/v3/nothing")).status_code == 404


async def test_zero_balances_can_be_left_out(http: httpx.AsyncClient, moment: MovableClock) -> None:
    client = BinanceClient(http, "empty", moment)
    assert (await client.ask("GET", ACCOUNT, omitZeroBalances="true")).json()["balances"] == []
    rows = (await client.ask("GET", ACCOUNT)).json()["balances"]
    assert len(rows) > 10
    assert {row["free"] for row in rows} == {"0.00000000"}


@pytest.mark.parametrize("as_form", [False, True])
async def test_an_order_is_placed_found_and_cancelled(http: httpx.AsyncClient, moment: MovableClock, as_form: bool) -> None:
    client = BinanceClient(http, "read-trade", moment)
    placed = (await client.ask("POST", "/api/v3/order", as_form=as_form, **ORDER, newClientOrderId="mine")).json()
    assert (placed["status"], placed["clientOrderId"], placed["fills"]) == ("NEW", "mine", [])
    assert (await client.ask("POST", "/api/v3/order", **ORDER, newClientOrderId="mine")).json()["code"] == -2010
    number = str(placed["orderId"])
    assert (await client.ask("GET", "/api/v3/order", symbol="BTCUSDT", orderId=number)).json()["status"] == "NEW"
    assert [row["orderId"] for row in (await client.ask("GET", "/api/v3/openOrders")).json()] == [placed["orderId"]]
    gone = (await client.ask("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="mine")).json()
    assert gone["status"] == "CANCELED"
    assert (await client.ask("DELETE", "/api/v3/order", symbol="BTCUSDT", orderId=number)).json()["code"] == -2011
    assert (await client.ask("GET", "/api/v3/order", symbol="ETHUSDT", orderId=number)).json()["code"] == -2013
    assert len((await client.ask("GET", "/api/v3/allOrders", symbol="BTCUSDT")).json()) == 1


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"symbol": "NONE"}, -1121),
        ({"side": "HOLD"}, -1117),
        ({"type": "STOP"}, -1116),
        ({"timeInForce": ""}, -1102),
        ({"timeInForce": "GTX"}, -1115),
        ({"quantity": ""}, -1102),
        ({"quantity": "many"}, -1100),
        ({"quantity": "0.00000001"}, -1013),
        ({"price": "50000.00001"}, -1013),
        ({"price": "1"}, -1013),
        ({"quantity": "900"}, -2010),
    ],
)
async def test_a_wrong_order_is_refused(http: httpx.AsyncClient, moment: MovableClock, changed: Any, code: int) -> None:
    client = BinanceClient(http, "read-trade", moment)
    assert (await client.ask("POST", "/api/v3/order", **ORDER | changed)).json()["code"] == code
    assert (await client.ask("GET", "/api/v3/openOrders")).json() == []


async def test_a_test_order_places_nothing(http: httpx.AsyncClient, moment: MovableClock) -> None:
    client = BinanceClient(http, "read-trade", moment)
    assert (await client.ask("POST", "/api/v3/order/test", **ORDER)).json() == {}
    assert (await client.ask("GET", "/api/v3/openOrders")).json() == []
    refused = await BinanceClient(http, "read-only", moment).ask("POST", "/api/v3/order/test", **ORDER)
    assert refused.json()["code"] == -2015


async def test_moving_money_is_refused_and_sounds_the_alarm(
    http: httpx.AsyncClient, moment: MovableClock, sandbox: Sandbox
) -> None:
    client = BinanceClient(http, "withdraw-enabled", moment)
    for path in ("/sapi/v1/capital/withdraw/apply", "/sapi/v1/asset/transfer"):
        assert (await client.ask("POST", path, asset="BTC", amount="1")).json()["code"] == -1020
    assert (await client.ask("DELETE", "/api/v3/openOrders", symbol="BTCUSDT")).json() == []
    assert len(sandbox.alarms) == 3


async def test_a_drifting_key_gains_withdrawing(http: httpx.AsyncClient, moment: MovableClock, sandbox: Sandbox) -> None:
    client = BinanceClient(http, "drifting", moment)
    told = [(await client.ask("GET", RIGHTS)).json()["enableWithdrawals"] for _ in range(26)]
    assert told == [False] * 25 + [True]
    assert Permission.WITHDRAW in sandbox.find_key("binance", "drifting").permissions


ODD = ["", "x", "-1", "1e400", "[]", "NaN", "٣", "9" * 5000, "1e999999", "\x00", "%ff"]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: repr(odd)[:12])
async def test_odd_input_never_breaks_it(http: httpx.AsyncClient, moment: MovableClock, odd: str) -> None:
    client = BinanceClient(http, "read-trade", moment)
    replies = [await client.ask("POST", "/api/v3/order", as_form=True, **ORDER | {name: odd}) for name in ORDER]
    replies += [await client.ask("GET", "/api/v3/allOrders", symbol="BTCUSDT", limit=odd)]
    replies += [await client.ask("DELETE", "/api/v3/order", symbol="BTCUSDT", orderId=odd)]
    for path in ("depth", "klines", "aggTrades", "trades", "ticker/24hr"):
        replies.append(await http.get(f"/binance/api/v3/{path}", params={"symbol": "BTCUSDT", "limit": odd, "interval": odd}))
    assert {reply.status_code for reply in replies} <= {200, 400}
