"""The check lists at the end of the exchanges' fact sheets, demand by demand: a key that is so, or a switch that makes it so.

Each row is proved by what the exchange then answers. The rows' words are the lists' own.
"""

from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from app.sandbox.app import create_sandbox
from app.sandbox.exchange import find_exchanges
from tests.sandbox.clients import ORIGIN, BitexbitClient, HitbtcClient, HtxClient, MovableClock

CLIENTS: Mapping[str, Any] = {"hitbtc": HitbtcClient, "htx": HtxClient, "bitexbit": BitexbitClient}
BALANCE = "/api/v2/private/balance"
UID, KEYS = "/v2/user/uid", "/v2/user/api-key"

# exchange, demand, scenario, what is turned for the key, method and path, status, a part of the answer
ROWS: list[tuple[str, str, str, dict[str, Any], str, str, int, str]] = [
    ("hitbtc", "key: all rights", "withdraw-enabled", {}, "GET", "/wallet/balance", 200, "currency"),
    ("hitbtc", "key: R only", "read-only", {"permissions": ["read"]}, "GET", "/wallet/balance", 403, "1003"),
    ("hitbtc", "key: R+P", "read-only", {}, "GET", "/wallet/balance", 200, "currency"),
    ("hitbtc", "key: none", "no-permissions", {}, "GET", "/spot/balance", 403, "1003"),
    ("hitbtc", "key: OFF", "revoked", {}, "GET", "/spot/balance", 401, "inactive API key"),
    ("hitbtc", "key: IP-locked", "ip-restricted", {}, "GET", "/spot/balance", 403, "1003"),
    ("hitbtc", "key: W set", "withdraw-enabled", {}, "DELETE", "/wallet/crypto/withdraw/x", 400, "20004"),
    ("hitbtc", "key: account blocked (600)", "account-blocked", {}, "GET", "/spot/balance", 400, "600"),
    ("hitbtc", "pending-e-mail flag on T", "waiting", {}, "GET", "/spot/order", 403, "1003"),
    ("hitbtc", "pending-e-mail flag taken off", "waiting", {"awaits_email": False}, "GET", "/spot/order", 200, "["),
    ("hitbtc", "live/demo environment", "demo-key", {}, "GET", "/spot/balance", 401, "1002"),
    ("hitbtc", "check order is configurable", "ip-restricted", {"forms": ["address-first"]}, "GET", "/spot/balance", 403, "1003"),
    ("hitbtc", "zero rows off", "read-only", {}, "GET", "/spot/balance", 200, "USDT"),
    ("hitbtc", "zero rows on", "read-only", {"forms": ["zero-rows"]}, "GET", "/spot/balance", 200, "ALGO"),
    ("hitbtc", "reserved_margin present", "read-only", {}, "GET", "/spot/balance", 200, "reserved_margin"),
    ("hitbtc", "reserved_margin absent", "read-only", {"forms": ["no-reserved-margin"]}, "GET", "/spot/balance", 200, "!margin"),
    (
        "hitbtc",
        "error description empty",
        "revoked",
        {"forms": ["empty-description"]},
        "GET",
        "/spot/balance",
        401,
        '"description":""',
    ),
    ("hitbtc", "error description absent", "revoked", {"forms": ["no-description"]}, "GET", "/spot/balance", 401, "!description"),
    ("hitbtc", "wrapped error body", "revoked", {"forms": ["wrapped-errors"]}, "GET", "/spot/balance", 401, "requestId"),
    ("hitbtc", "429-in-200", "rate-limited", {"forms": ["429-in-200"]}, "GET", "/spot/balance", 200, "429"),
    ("hitbtc", "HTML 503", "html-error", {"forms": ["html-503"]}, "GET", "/spot/balance", 503, "<html>"),
    ("htx", "key: read", "read-only", {}, "GET", UID, 200, '"code":200'),
    ("htx", "key: read+trade", "read-trade", {}, "GET", KEYS, 200, "readOnly,trade"),
    ("htx", "key: read+trade+withdraw", "withdraw-enabled", {}, "GET", KEYS, 200, "withdraw"),
    ("htx", "key: order-swapped trade,readOnly", "swapped-words", {}, "GET", KEYS, 200, "trade,readOnly"),
    ("htx", "key: unbound with validDays 7", "expiring", {}, "GET", KEYS, 200, '"validDays":7'),
    ("htx", "key: bound to another IP", "ip-restricted", {}, "GET", UID, 200, "Incorrect IP address"),
    ("htx", "key: expired", "expired", {}, "GET", UID, 200, "has expired"),
    ("htx", "key: deleted", "revoked", {}, "GET", UID, 200, "Incorrect Access key"),
    ("htx", "key: sub-user, refused as 1002", "sub-user", {}, "GET", KEYS, 200, "1002"),
    ("htx", "key: sub-user, refused as 403", "sub-user-403", {}, "GET", KEYS, 200, "403"),
    ("htx", "key: sub-user, HTTP 403 and empty", "sub-user-empty", {}, "GET", KEYS, 403, ""),
    ("htx", "several keys on one uid", "several-keys", {}, "GET", KEYS, 200, "old bot"),
    ("htx", "unknown permission word", "read-only", {"permission_words": "readOnly,lending"}, "GET", KEYS, 200, "lending"),
    ("htx", "v2 paths: v1 envelope", "revoked", {}, "GET", UID, 200, "err-code"),
    ("htx", "v2 paths: by number", "expired", {"forms": ["v2-number"]}, "GET", UID, 200, '"code":12004'),
    ("htx", "v2 paths: 1003 invalid signature", "revoked", {"forms": ["v2-1003"]}, "GET", UID, 200, "invalid signature"),
    (
        "htx",
        "switch: slow balance (10 s)",
        "read-only",
        {"forms": ["slow-balance"]},
        "GET",
        "/v1/account/accounts/{}/balance",
        200,
        "",
    ),
    (
        "htx",
        "switch: 1,500 zero rows",
        "read-only",
        {"forms": ["many-zero-rows"]},
        "GET",
        "/v1/account/accounts/{}/balance",
        200,
        "*1500",
    ),
    ("htx", "switch: 429", "read-only", {"fault": "rate-limited"}, "GET", UID, 429, "frequency"),
    (
        "htx",
        "switch: gateway-internal-error",
        "read-only",
        {"forms": ["gateway-internal-error"]},
        "GET",
        UID,
        200,
        "gateway-internal",
    ),
    ("htx", "switch: maintenance", "read-only", {"fault": "maintenance"}, "GET", UID, 200, "maintenance"),
    ("htx", "switch: HTML 403", "read-only", {"fault": "html-error"}, "GET", UID, 403, "<html>"),
    ("htx", "switch: code as string", "read-only", {"forms": ["code-as-text"]}, "GET", UID, 200, '"code":"200"'),
    ("htx", "switch: missing message", "read-only", {"forms": ["no-message"]}, "GET", UID, 200, "!message"),
    ("htx", "405 for unknown paths", "read-only", {}, "GET", "/v2/nowhere", 405, "Method Not Allowed"),
    ("bitexbit", "401: unknown or deleted key", "revoked", {}, "GET", BALANCE, 401, "Invalid API key"),
    ("bitexbit", "401: bad signature", "wrong-secret", {}, "GET", BALANCE, 401, "Invalid signature"),
    ("bitexbit", "401: late nonce", "read-only", {"fault": "clock-skew"}, "GET", BALANCE, 401, "nonce"),
    ("bitexbit", "401: IP not listed", "ip-restricted", {}, "GET", BALANCE, 401, "IP address"),
    ("bitexbit", "403: no access", "no-permissions", {}, "GET", BALANCE, 403, "permission"),
    ("bitexbit", "429", "rate-limited", {}, "GET", BALANCE, 429, "throttled"),
    ("bitexbit", "502: HTML", "html-error", {}, "GET", BALANCE, 502, "<html>"),
    (
        "bitexbit",
        "errors in v1's form",
        "revoked",
        {"forms": ["v1-errors"]},
        "GET",
        BALANCE,
        401,
        '"error":"Invalid API',
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}: {row[1]}")
async def test_the_sandbox_does_what_the_check_list_demands(
    row: tuple[str, str, str, dict[str, Any], str, str, int, str],
) -> None:
    exchange, demand, scenario, turned, method, path, status, part = row
    moment, slept = MovableClock(), []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    app = create_sandbox(clock=moment, sleep=sleep)
    app.state.switchboard.change_key(exchange, scenario, turned)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ORIGIN) as http:
        client = CLIENTS[exchange](http, scenario, moment)
        customer = app.state.sandbox.find_key(exchange, scenario).customer
        query = {"uid": str(customer.number)} if path == KEYS else {}
        answer = await client.ask(method, path.format(customer.accounts[0].number), **query)
    assert answer.status_code == status, answer.text
    if part.startswith("!"):
        assert part[1:] not in answer.text
    elif part.startswith("*"):
        assert len(answer.json()["data"]["list"]) >= int(part[1:])
    else:
        assert part in answer.text
    assert bool(slept) is ("slow" in demand)


@pytest.mark.parametrize("kind", find_exchanges(), ids=lambda kind: kind.slug)
def test_every_form_an_exchange_knows_is_on_its_list(kind: Any) -> None:
    """A form that is in the code but on no list could not be switched to."""
    used = {switch for scenario in kind.scenarios for switch in scenario.switches}
    assert used <= kind.forms.keys()
    listed = {form for row in ROWS if row[0] == kind.slug for form in row[3].get("forms", [])} | used
    assert listed == kind.forms.keys()
