"""Kraken's sandbox: rising numbers, form and JSON, words of rights, old names, orders, refusals that never move money."""

from typing import Any

import httpx
import pytest

from app.sandbox.state import Sandbox
from tests.sandbox.clients import ORIGIN, KrakenClient, MovableClock

ORDER = {"pair": "XXBTZUSD", "type": "buy", "ordertype": "limit", "volume": "0.001", "price": "50000"}


async def ask(client: KrakenClient, path: str, **entered: Any) -> Any:
    reply = await client.ask(path, **entered)
    assert reply.status_code == 200
    return reply.json()


async def test_rights_are_told_in_words(http: httpx.AsyncClient, moment: MovableClock) -> None:
    expected = {
        "read-only": {"query-funds"},
        "read-trade": {"query-funds", "modify-trades", "close-trades"},
        "withdraw-enabled": {"query-funds", "modify-trades", "earn-funds", "withdraw-funds"},
        "no-permissions": set(),
    }
    for scenario, words in expected.items():
        told = (await ask(KrakenClient(http, scenario, moment), "GetApiKeyInfo"))["result"]
        assert words <= set(told["permissions"]), scenario
        assert ("withdraw-funds" in told["permissions"]) == (scenario == "withdraw-enabled")
        assert told["validUntil"] == "0"
    told = (await ask(KrakenClient(http, "expiring", moment), "GetApiKeyInfo"))["result"]
    assert int(told["validUntil"]) == int(moment().timestamp()) + 7 * 86_400


@pytest.mark.parametrize(
    ("scenario", "words"),
    [
        ("revoked", "EAPI:Invalid key"),
        ("ip-restricted", "EAPI:Invalid key"),
        ("expired", "EAPI:Invalid key"),
        ("wrong-secret", "EAPI:Invalid signature"),
        ("clock-skew", "EAPI:Invalid nonce"),
        ("rate-limited", "EAPI:Rate limit exceeded"),
        ("maintenance", "EService:Unavailable"),
        ("account-blocked", "EAuth:Account temporary disabled"),
        ("no-permissions", "EGeneral:Permission denied"),
    ],
)
async def test_refusals(http: httpx.AsyncClient, moment: MovableClock, scenario: str, words: str) -> None:
    assert await ask(KrakenClient(http, scenario, moment), "BalanceEx") == {"error": [words]}


async def test_what_is_missing_is_refused(http: httpx.AsyncClient, moment: MovableClock) -> None:
    url = f"{ORIGIN}/kraken/0/private/BalanceEx"
    headers = {"API-Key": KrakenClient(http, "read-only", moment).key}
    assert (await http.post(url)).json() == {"error": ["EAPI:Invalid key"]}
    assert (await http.post(url, headers=headers)).json() == {"error": ["EAPI:Invalid nonce"]}
    assert (await http.post(url, headers=headers, data={"nonce": "1"})).json() == {"error": ["EAPI:Invalid signature"]}
    assert (await http.post(url, headers=headers, json=[1])).json() == {"error": ["EAPI:Bad request"]}
    assert (await http.get(url, headers=headers)).json() == {"error": ["EGeneral:Unknown method"]}


async def test_the_number_must_rise_and_a_refused_one_is_not_used_up(http: httpx.AsyncClient, moment: MovableClock) -> None:
    client = KrakenClient(http, "read-only", moment)
    assert (await ask(client, "BalanceEx", nonce=100))["error"] == []
    assert (await ask(client, "BalanceEx", nonce=100))["error"] == ["EAPI:Invalid nonce"]
    client.secret, right = "AAAA", client.secret
    assert (await ask(client, "BalanceEx", nonce=200))["error"] == ["EAPI:Invalid signature"]
    client.secret = right
    assert (await ask(client, "BalanceEx", nonce=101))["error"] == []


async def test_names_are_krakens_own(http: httpx.AsyncClient, moment: MovableClock) -> None:
    balances = (await ask(KrakenClient(http, "read-trade", moment), "BalanceEx"))["result"]
    assert set(balances) == {"XXBT", "XETH", "USDT", "ZUSD", "TRX"}
    assert balances["XXBT"] == {"balance": "0.1723074100", "hold_trade": "0.0200000000"}
    pairs = (await http.get("/kraken/0/public/AssetPairs")).json()["result"]
    assert {"XXBTZUSD", "XETHXXBT", "XBTUSDT", "SOLUSDT", "XDGUSDT"} <= set(pairs)
    assert (pairs["XXBTZUSD"]["altname"], pairs["XXBTZUSD"]["wsname"]) == ("XBTUSD", "XBT/USD")
    one = (await http.get("/kraken/0/public/Ticker", params={"pair": "XBTUSD"})).json()["result"]
    assert list(one) == ["XXBTZUSD"]
    assert (await http.get("/kraken/0/public/Ticker", params={"pair": "NO"})).json()["error"] == ["EQuery:Unknown asset pair"]


@pytest.mark.parametrize("as_json", [False, True])
async def test_an_order_is_validated_placed_found_and_cancelled(
    http: httpx.AsyncClient, moment: MovableClock, as_json: bool
) -> None:
    client = KrakenClient(http, "read-trade", moment)
    described = (await ask(client, "AddOrder", as_json=as_json, **ORDER, validate="true"))["result"]
    assert described == {"descr": {"order": "buy 0.00100000 XBTUSD @ limit 50000"}}
    assert (await ask(client, "OpenOrders", as_json=as_json))["result"] == {"open": {}}
    txid = (await ask(client, "AddOrder", as_json=as_json, **ORDER))["result"]["txid"][0]
    assert list((await ask(client, "OpenOrders", as_json=as_json))["result"]["open"]) == [txid]
    assert (await ask(client, "QueryOrders", as_json=as_json, txid=txid))["result"][txid]["status"] == "open"
    assert (await ask(client, "CancelOrder", as_json=as_json, txid=txid))["result"] == {"count": 1}
    assert (await ask(client, "CancelOrder", as_json=as_json, txid=txid))["error"] == ["EOrder:Unknown order"]
    assert (await ask(client, "ClosedOrders", as_json=as_json))["result"]["closed"][txid]["status"] == "canceled"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"pair": "NONE"}, "EQuery:Unknown asset pair"),
        ({"pair": ""}, "EGeneral:Invalid arguments:pair"),
        ({"type": "hold"}, "EGeneral:Invalid arguments:type"),
        ({"ordertype": "stop-loss"}, "EGeneral:Invalid arguments:ordertype"),
        ({"volume": "many"}, "EGeneral:Invalid arguments:volume"),
        ({"volume": "0.0000000001"}, "EGeneral:Invalid arguments:volume minimum not met"),
        ({"price": "x"}, "EGeneral:Invalid arguments:price"),
        ({"price": "50000.00001"}, "EOrder:Invalid price:Invalid price argument"),
        ({"volume": "900"}, "EOrder:Insufficient funds"),
        ({"price": "90000", "oflags": "post"}, "EOrder:Post only order"),
    ],
)
async def test_a_wrong_order_is_refused(http: httpx.AsyncClient, moment: MovableClock, changed: Any, words: str) -> None:
    client = KrakenClient(http, "read-trade", moment)
    assert await ask(client, "AddOrder", **ORDER | changed) == {"error": [words]}
    assert (await ask(client, "OpenOrders"))["result"] == {"open": {}}
    assert (await ask(KrakenClient(http, "read-only", moment), "AddOrder", **ORDER))["error"] == ["EGeneral:Permission denied"]


async def test_moving_money_is_refused_and_sounds_the_alarm(
    http: httpx.AsyncClient, moment: MovableClock, sandbox: Sandbox
) -> None:
    client = KrakenClient(http, "withdraw-enabled", moment)
    assert (await ask(client, "WithdrawMethods"))["result"] == []
    assert sandbox.alarms == []
    for path in ("Withdraw", "WalletTransfer", "Earn/Allocate"):
        assert (await ask(client, path, asset="XBT", key="mine", amount="1"))["error"] == ["EFunding:Unknown withdraw key"]
    assert (await ask(client, "CancelAll"))["result"] == {"count": 0}
    assert len(sandbox.alarms) == 4


ODD = ["", "x", "-1", "1e400", "[]", "NaN", "٣", "9" * 5000, "1e999999", None, [], [[]], {}, True, 1e400]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: repr(odd)[:12])
async def test_odd_input_never_breaks_it(http: httpx.AsyncClient, moment: MovableClock, odd: Any) -> None:
    client = KrakenClient(http, "read-trade", moment)
    for name in ORDER:
        await ask(client, "AddOrder", as_json=True, **ORDER | {name: odd})
    for path in ("CancelOrder", "QueryOrders"):
        assert (await ask(client, path, as_json=True, txid=odd))["error"] == ["EOrder:Unknown order"]
    for path in ("Depth", "OHLC", "Trades", "Ticker"):
        query = {"pair": "XBTUSD", "count": str(odd), "interval": str(odd)}
        assert (await http.get(f"/kraken/0/public/{path}", params=query)).status_code == 200
