"""HTX in the sandbox: errors inside HTTP 200, a key that tells its permissions, and orders that reserve funds."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from app.sandbox.state import Sandbox
from tests.sandbox.clients import HtxClient, MovableClock

Opener = Callable[[str], HtxClient]


@pytest.fixture
def opened(http: httpx.AsyncClient, moment: MovableClock) -> Opener:
    return lambda scenario: HtxClient(http, scenario, moment)


async def ask_key(client: HtxClient) -> dict[str, Any]:
    uid = (await client.ask("GET", "/v2/user/uid")).json()["data"]
    rows = (await client.ask("GET", "/v2/user/api-key", uid=str(uid), accessKey=client.key)).json()["data"]
    assert [row["accessKey"] for row in rows] == [client.key]
    return dict(rows[0])


@pytest.mark.parametrize(
    ("scenario", "permission", "days"),
    [
        ("read-only", "readOnly", -1),
        ("read-trade", "readOnly,trade", -1),
        ("withdraw-enabled", "readOnly,trade,withdraw", -1),
        ("swapped-words", "trade,readOnly", -1),
        ("expiring", "readOnly", 7),
        ("several-keys", "readOnly", -1),
    ],
)
async def test_key_tells_its_permissions(opened: Opener, scenario: str, permission: str, days: int) -> None:
    row = await ask_key(opened(scenario))
    assert (row["permission"], row["validDays"], row["status"]) == (permission, days, "normal")


async def test_several_keys_come_without_the_filter_and_not_ours_first(opened: Opener) -> None:
    client = opened("several-keys")
    rows = (await client.ask("GET", "/v2/user/api-key")).json()["data"]
    assert [row["accessKey"] == client.key for row in rows] == [False, True]
    assert "withdraw" in rows[0]["permission"]


@pytest.mark.parametrize(
    ("scenario", "words"),
    [
        ("revoked", "Incorrect Access key [Access key错误]"),
        ("wrong-secret", "Verification failure [校验失败]"),
        ("ip-restricted", "Incorrect IP address [IP地址错误]:127.0.0.1"),
        ("expired", "API key has expired [API Key已经过期]"),
        ("no-permissions", "API key has no permission [API Key没有权限]"),
        ("clock-skew", "Invalid submission time or incorrect time format [无效的提交时间，或时间格式错误]"),
        ("account-blocked", "Abnormal user status [用户状态不正常]"),
    ],
)
async def test_refusal_comes_with_http_200_on_both_versions(opened: Opener, scenario: str, words: str) -> None:
    for path in ("/v1/account/accounts", "/v2/user/uid"):
        reply = await opened(scenario).ask("GET", path)
        assert reply.status_code == 200
        assert reply.json() == {
            "status": "error",
            "err-code": "api-signature-not-valid",
            "err-msg": f"Signature not valid: {words}",
            "data": None,
        }


async def test_v2_forms_can_be_switched(opened: Opener, sandbox: Sandbox) -> None:
    key = sandbox.find_key("htx", "expired")
    key.switches = {"v2-number", "code-as-text"}
    reply = await opened("expired").ask("GET", "/v2/user/uid")
    assert reply.json() == {"code": "12004", "message": "API key has expired [API Key已经过期]", "data": None}
    key.switches = {"v2-1003"}
    assert (await opened("expired").ask("GET", "/v2/user/uid")).json()["code"] == 1003
    sandbox.find_key("htx", "read-only").switches = {"no-message", "code-as-text"}
    answer = (await opened("read-only").ask("GET", "/v2/user/uid")).json()
    assert (answer["code"], "message" in answer) == ("200", False)


async def test_weather(opened: Opener) -> None:
    limited = await opened("rate-limited").ask("GET", "/v1/account/accounts")
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "2")
    assert limited.json()["err-code"] == "base-request-exceed-frequency-limit"
    maintained = await opened("maintenance").ask("GET", "/v1/account/accounts")
    assert (maintained.status_code, maintained.json()["err-code"]) == (200, "system-maintenance")
    page = await opened("html-error").ask("GET", "/v1/account/accounts")
    assert (page.status_code, page.headers["content-type"][:9]) == (403, "text/html")


async def test_slow_waits_before_it_answers(opened: Opener, slept: list[float]) -> None:
    assert (await opened("slow").ask("GET", "/v1/account/accounts")).json()["status"] == "ok"
    assert slept == [20.0]


async def test_balance_can_be_slow_and_the_gateway_out_of_order(opened: Opener, sandbox: Sandbox, slept: list[float]) -> None:
    client, key = opened("read-only"), sandbox.find_key("htx", "read-only")
    key.switches = {"slow-balance"}
    account = (await client.ask("GET", "/v1/account/accounts")).json()["data"][0]["id"]
    await client.ask("GET", f"/v1/account/accounts/{account}/balance")
    assert slept == [10.0]
    key.switches = {"gateway-internal-error"}
    assert (await client.ask("GET", "/v2/user/uid")).json()["err-code"] == "gateway-internal-error"


@pytest.mark.parametrize(
    ("scenario", "status", "code"), [("sub-user", 200, 1002), ("sub-user-403", 200, 403), ("sub-user-empty", 403, None)]
)
async def test_sub_user_may_not_ask_for_its_key(opened: Opener, scenario: str, status: int, code: int | None) -> None:
    client = opened(scenario)
    uid = (await client.ask("GET", "/v2/user/uid")).json()["data"]
    reply = await client.ask("GET", "/v2/user/api-key", uid=str(uid), accessKey=client.key)
    assert reply.status_code == status
    assert (reply.json()["code"] if reply.content else None) == code
    probe = await client.ask("POST", "/v1/order/orders/submitCancelClientOrder", {"client-order-id": "5d" * 16})
    assert "API key has no permission" in probe.json()["err-msg"]


async def test_harmless_cancel_finds_nothing_with_trade(opened: Opener) -> None:
    reply = await opened("read-trade").ask("POST", "/v1/order/orders/submitCancelClientOrder", {"client-order-id": "5d" * 16})
    assert reply.json() == {"status": "ok", "data": 0}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"SignatureMethod": "HmacSHA1"}, "Incorrect signature method"),
        ({"SignatureVersion": "1"}, "Incorrect signature version"),
        ({"Timestamp": ""}, "Submission time is required"),
        ({"Timestamp": "2026-11-21T12:00:00.000Z"}, "Invalid submission time"),
    ],
)
async def test_odd_signature_parameters_are_named(opened: Opener, changes: dict[str, str], words: str) -> None:
    reply = await opened("read-only").ask("GET", "/v1/account/accounts", changes=changes)
    assert words in reply.json()["err-msg"]


@pytest.mark.parametrize(("minutes", "is_accepted"), [(-4, True), (4, True), (-6, False), (6, False)])
async def test_clock_may_be_five_minutes_off(opened: Opener, moment: MovableClock, minutes: int, is_accepted: bool) -> None:
    client = opened("read-only")
    client.clock = lambda: moment.now + timedelta(minutes=minutes)
    assert ((await client.ask("GET", "/v1/account/accounts")).json()["status"] == "ok") is is_accepted


async def test_front_end_refuses_bodies_on_get_unknown_paths_and_unsigned_calls(http: httpx.AsyncClient) -> None:
    with_body = await http.request("GET", "/htx/v1/common/timestamp", content=b"{}")
    assert with_body.status_code == 403
    unknown = await http.get("/htx/v1/common/Timestamp")
    assert (unknown.status_code, unknown.json()["err-code"]) == (405, "method-not-allowed")
    assert (await http.get("/htx/v1/account/accounts")).json()["err-code"] == "login-required"


async def test_post_needs_json(opened: Opener, http: httpx.AsyncClient) -> None:
    reply = await opened("read-trade").ask("POST", "/v1/order/orders/place", "not an object")
    assert reply.json()["err-code"] == "gateway-internal-error"


async def test_read_trade_holds_something_in_every_account(opened: Opener) -> None:
    client = opened("read-trade")
    accounts = (await client.ask("GET", "/v1/account/accounts")).json()["data"]
    assert [row["type"] for row in accounts] == ["spot", "margin", "otc", "point", "super-margin"]
    kinds: dict[str, set[str]] = {}
    for account in accounts:
        data = (await client.ask("GET", f"/v1/account/accounts/{account['id']}/balance")).json()["data"]
        kinds[account["type"]] = {row["type"] for row in data["list"]}
        assert any(Decimal(row["balance"]) > 0 for row in data["list"])
    assert kinds["spot"] == {"trade", "frozen", "lock"}
    assert kinds["super-margin"] == {"trade", "frozen", "loan", "interest", "loan-available", "transfer-out-available"}


async def test_large_account_has_hundreds_of_assets_and_1500_zero_rows(opened: Opener) -> None:
    client = opened("large")
    account = (await client.ask("GET", "/v1/account/accounts")).json()["data"][0]
    rows = (await client.ask("GET", f"/v1/account/accounts/{account['id']}/balance")).json()["data"]["list"]
    assert len({row["currency"] for row in rows if Decimal(row["balance"]) > 0}) > 300
    assert sum(Decimal(row["balance"]) == 0 for row in rows) >= 1500


async def test_uid_is_not_an_account_id(opened: Opener) -> None:
    client = opened("read-only")
    uid = (await client.ask("GET", "/v2/user/uid")).json()["data"]
    refused = (await client.ask("GET", f"/v1/account/accounts/{uid}/balance")).json()
    assert refused["err-code"] == "account-get-balance-account-inexistent-error"
    assert refused["err-msg"] == f"account for id `{uid:,}` and user id `{uid // 10:,}` does not exist"


async def test_order_reserves_funds_and_cancelling_releases_them(opened: Opener) -> None:
    client = opened("read-trade")
    account = str((await client.ask("GET", "/v1/account/accounts")).json()["data"][0]["id"])

    async def usdt() -> dict[str, Decimal]:
        rows = (await client.ask("GET", f"/v1/account/accounts/{account}/balance")).json()["data"]["list"]
        return {row["type"]: Decimal(row["balance"]) for row in rows if row["currency"] == "usdt"}

    before = await usdt()
    draft = {"account-id": account, "symbol": "btcusdt", "type": "buy-limit", "amount": "0.01", "price": "50000"}
    number = (await client.ask("POST", "/v1/order/orders/place", draft)).json()["data"]
    assert (await usdt())["frozen"] == before["frozen"] + 500
    (row,) = (await client.ask("GET", "/v1/order/openOrders", **{"account-id": account, "symbol": "btcusdt"})).json()["data"]
    assert (str(row["id"]), row["state"], row["price"], row["filled-amount"]) == (number, "submitted", "50000", "0")
    assert (await client.ask("POST", f"/v1/order/orders/{number}/submitcancel", {})).json() == {"status": "ok", "data": number}
    assert await usdt() == before
    again = (await client.ask("POST", f"/v1/order/orders/{number}/submitcancel", {})).json()
    assert (again["err-code"], again["order-state"]) == ("order-orderstate-error", 7)
    assert (await client.ask("GET", f"/v1/order/orders/{number}")).json()["data"]["state"] == "canceled"


async def test_market_buy_takes_a_value(opened: Opener) -> None:
    client = opened("read-trade")
    account = (await client.ask("GET", "/v1/account/accounts")).json()["data"][0]["id"]
    draft = {"account-id": account, "symbol": "ethusdt", "type": "buy-market", "amount": "1000"}
    number = (await client.ask("POST", "/v1/order/orders/place", draft)).json()["data"]
    order = (await client.ask("GET", f"/v1/order/orders/{number}")).json()["data"]
    assert (order["state"], order["amount"]) == ("filled", "1000")
    assert Decimal(order["field-cash-amount"]) <= 1000


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"symbol": "nope"}, "invalid-parameter"),
        ({"amount": None}, "validation-constraints-required"),
        ({"amount": "x"}, "validation-format-error"),
        ({"amount": "0.000001"}, "order-limitorder-amount-min-error"),
        ({"amount": "0.0100001"}, "order-orderamount-precision-error"),
        ({"price": "50000.001"}, "order-orderprice-precision-error"),
        ({"amount": "0.00001"}, "order-value-min-error"),
        ({"amount": "1"}, "account-frozen-balance-insufficient-error"),
        ({"account-id": "1"}, "account-get-accounts-inexistent-error"),
        ({"client-order-id": "a b"}, "invalid-client-order-id"),
    ],
)
async def test_bad_order_is_refused_by_its_code(opened: Opener, changes: dict[str, Any], code: str) -> None:
    client = opened("read-trade")
    account = (await client.ask("GET", "/v1/account/accounts")).json()["data"][0]["id"]
    draft = {"account-id": account, "symbol": "btcusdt", "type": "buy-limit", "amount": "0.01", "price": "50000"}
    assert (await client.ask("POST", "/v1/order/orders/place", draft | changes)).json()["err-code"] == code


@pytest.mark.parametrize("path", ["/v1/dw/withdraw/api/create", "/v1/account/transfer", "/v1/dw/withdraw-virtual/1/cancel"])
async def test_moving_money_is_refused_and_sounds_the_alarm(opened: Opener, sandbox: Sandbox, path: str) -> None:
    reply = await opened("withdraw-enabled").ask("POST", path, {"amount": "1", "currency": "usdt"})
    assert reply.json()["status"] == "error"
    assert [(alarm.scenario, alarm.path) for alarm in sandbox.alarms] == [("withdraw-enabled", path)]


async def test_the_get_that_cancels_everything_sounds_the_alarm(opened: Opener, sandbox: Sandbox) -> None:
    await opened("read-trade").ask("GET", "/v1/order/cancelAllOrders")
    assert [alarm.path for alarm in sandbox.alarms] == ["/v1/order/cancelAllOrders"]


@pytest.mark.parametrize(
    "path",
    [
        "/v2/market-status",
        "/v1/common/symbols",
        "/v1/settings/common/market-symbols",
        "/v2/reference/currencies?currency=usdt",
        "/market/tickers",
        "/market/detail/merged?symbol=btcusdt",
        "/market/depth?symbol=btcusdt&type=step0&depth=5",
        "/market/trade?symbol=btcusdt",
        "/market/history/trade?symbol=btcusdt&size=3",
        "/market/history/kline?symbol=btcusdt&period=1day&size=3",
    ],
)
async def test_public_data_answers(http: httpx.AsyncClient, path: str) -> None:
    body = (await http.get(f"/htx{path}")).json()
    assert body.get("status") == "ok" or body["code"] == 200


async def test_market_errors_name_the_parameter(http: httpx.AsyncClient) -> None:
    body = (await http.get("/htx/market/detail/merged?symbol=nope")).json()
    assert (body["err-code"], body["err-msg"]) == ("invalid-parameter", "invalid symbol")
    assert "ts" in body
