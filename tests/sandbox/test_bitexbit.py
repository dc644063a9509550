"""bitexbit in the sandbox, driven by a small client written from its documents: nonces, rights, orders, the Gateway."""

from collections.abc import Callable
from decimal import Decimal

import httpx
import pytest

from app.sandbox.state import Sandbox
from tests.sandbox.clients import BitexbitClient, MovableClock

BALANCE = "/api/v2/private/balance"
NO_ORDER = "/api/v2/private/order/0/cancel"
WITHDRAW = "/api/gateway/withdraw/create"
Opener = Callable[[str], BitexbitClient]


@pytest.fixture
def opened(http: httpx.AsyncClient, moment: MovableClock) -> Opener:
    return lambda scenario: BitexbitClient(http, scenario, moment)


@pytest.mark.parametrize(
    ("scenario", "statuses"),
    [
        ("read-only", [200, 403, 403]),
        ("read-trade", [200, 404, 403]),
        ("withdraw-enabled", [200, 404, 400]),
        ("no-permissions", [403, 403, 403]),
    ],
)
async def test_rights_show_in_the_probes(opened: Opener, sandbox: Sandbox, scenario: str, statuses: list[int]) -> None:
    client = opened(scenario)
    replies = [await client.ask("GET", BALANCE), await client.ask("POST", NO_ORDER), await client.ask_gateway("POST", WITHDRAW)]
    assert [reply.status_code for reply in replies] == statuses
    assert sandbox.alarms == []


@pytest.mark.parametrize(
    ("scenario", "status", "detail"),
    [
        ("revoked", 401, "Invalid API key."),
        ("wrong-secret", 401, "Invalid signature."),
        ("ip-restricted", 401, "IP address 127.0.0.1 is not allowed for this API key."),
        ("clock-skew", 401, "Invalid nonce."),
        ("account-blocked", 403, "User account is blocked."),
        ("rate-limited", 429, "Request was throttled. Expected available in 2 seconds."),
        ("maintenance", 503, "Service is under maintenance."),
    ],
)
async def test_refusal_tells_its_detail(opened: Opener, scenario: str, status: int, detail: str) -> None:
    reply = await opened(scenario).ask("GET", BALANCE)
    assert (reply.status_code, reply.json()) == (status, {"detail": detail})
    assert reply.headers.get("retry-after") == ("2" if status == 429 else None)


async def test_html_error_and_slow(opened: Opener, slept: list[float]) -> None:
    page = await opened("html-error").ask("GET", BALANCE)
    assert (page.status_code, page.headers["content-type"][:9]) == (502, "text/html")
    assert (await opened("slow").ask("GET", BALANCE)).status_code == 200
    assert slept == [20.0]


async def test_nonce_must_rise_and_a_refused_call_does_not_move_it(opened: Opener, moment: MovableClock) -> None:
    client = opened("read-only")
    assert (await client.ask("GET", BALANCE)).status_code == 200
    client.nonce -= 2
    client.clock = lambda: moment.now.replace(year=2020)
    late = await client.ask("GET", BALANCE)
    assert (late.status_code, late.json()) == (401, {"detail": "Invalid nonce."})
    client.clock = moment
    client.nonce += 1
    assert (await client.ask("GET", BALANCE)).status_code == 200


async def test_query_is_not_signed(opened: Opener) -> None:
    rows = (await opened("read-trade").ask("GET", BALANCE, query="?symbols=BTC,USD")).json()
    assert rows == [
        {"symbol": "BTC", "available": "0.42000000", "reserved": "0.01000000"},
        {"symbol": "USD", "available": "1250.55000000", "reserved": "310.00000000"},
    ]


async def test_empty_and_large_purses(opened: Opener) -> None:
    assert (await opened("empty").ask("GET", BALANCE)).json() == []
    assert len((await opened("large").ask("GET", BALANCE)).json()) > 300


async def test_gateway_lists_payment_methods_until_the_deadline(opened: Opener) -> None:
    client = opened("read-only")
    assert (await client.ask_gateway("GET", "/api/gateway/payment-methods")).status_code == 200
    assert (await client.ask_gateway("GET", "/api/gateway/payment-methods", ahead=-1)).status_code == 401


async def test_empty_withdrawal_lists_fields_and_a_real_one_sounds_the_alarm(opened: Opener, sandbox: Sandbox) -> None:
    client = opened("withdraw-enabled")
    empty = await client.ask_gateway("POST", WITHDRAW)
    assert (empty.status_code, set(empty.json())) == (400, {"ticker", "network", "address", "amount"})
    assert sandbox.alarms == []
    body = {"ticker": "BTC", "network": "BTC", "address": "bc1q", "amount": "0.1"}
    assert (await client.ask_gateway("POST", WITHDRAW, body)).status_code == 400
    assert [alarm.path for alarm in sandbox.alarms] == [WITHDRAW]


@pytest.mark.parametrize("path", ["coupon/create", "coupon/redeem", "transfers/create"])
async def test_coupons_and_transfers_sound_the_alarm(opened: Opener, sandbox: Sandbox, path: str) -> None:
    assert (await opened("withdraw-enabled").ask("POST", f"/api/v2/private/{path}")).status_code == 400
    assert len(sandbox.alarms) == 1


async def test_order_reserves_funds_and_cancelling_releases_them(opened: Opener) -> None:
    client = opened("read-trade")

    async def dollars() -> Decimal:
        return Decimal((await client.ask("GET", BALANCE, query="?symbols=USD")).json()[0]["available"])

    before = await dollars()
    draft = {"symbol": "BTC_USD", "type": "buy-limit", "price": "50000", "amount": "0.01"}
    placed = (await client.ask("POST", "/api/v2/private/order/create", draft)).json()
    number = placed["order"]["id"]
    assert (placed["order"]["state"], placed["trades"]) == ("submitted", [])
    assert await dollars() == before - 500
    active = (await client.ask("GET", "/api/v2/private/orders", query="?status=active")).json()
    assert [row["id"] for row in active] == [number]
    canceled = (await client.ask("POST", f"/api/v2/private/order/{number}/cancel")).json()
    assert (canceled["cancel"]["id"], canceled["order"]["amount_cancelled"]) == (number, "0.01000000")
    assert await dollars() == before


async def test_crossing_order_fills_and_leaves_a_trade(opened: Opener) -> None:
    client = opened("read-trade")
    draft = {"symbol": "LTC_USD", "type": "sell-limit", "price": "80", "amount": "2"}
    placed = (await client.ask("POST", "/api/v2/private/order/create", draft)).json()
    assert (placed["order"]["state"], placed["order"]["amount_filled"]) == ("filled", "2.00000000")
    (trade,) = (await client.ask("GET", "/api/v2/private/trades")).json()
    assert (trade["type"], trade["fee_symbol"]) == ("sell", "USD")


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"symbol": "X_Y"}, "symbol"), ({"type": "buy"}, "type"), ({"amount": ""}, "amount"), ({"price": "0"}, "price")],
)
async def test_bad_order_names_its_field(opened: Opener, changes: dict[str, str], field: str) -> None:
    draft = {"symbol": "BTC_USD", "type": "buy-limit", "price": "50000", "amount": "0.01"} | changes
    reply = await opened("read-trade").ask("POST", "/api/v2/private/order/create", draft)
    assert (reply.status_code, list(reply.json())) == (400, [field])


@pytest.mark.parametrize(
    "path",
    [
        "currencies",
        "pairs",
        "tickers?symbols=BTC_USD",
        "depth?symbol=BTC_USD&limit=5",
        "trades?symbol=BTC_USD&limit=2",
        "orders?symbol=BTC_USD",
        "ohlcv?symbol=BTC_USD&timeframe=60&limit=3",
    ],
)
async def test_public_data_answers(http: httpx.AsyncClient, path: str) -> None:
    reply = await http.get(f"/bitexbit/api/v2/public/{path}")
    assert reply.status_code == 200
    assert reply.json()


async def test_unknown_path_and_unsigned_call(http: httpx.AsyncClient) -> None:
    assert (await http.get("/bitexbit/api/v3/")).status_code == 404
    assert (await http.get(f"/bitexbit{BALANCE}")).status_code == 401
