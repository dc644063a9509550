"""Every row of the fact sheets' error tables comes to one typed problem: the list is held here, and nothing falls through.

Rows that a check can never meet (an order's, a payout's) blame what was asked, never the key.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from app.exchanges.errors import ExchangeError, list_leaves
from app.exchanges.http import Reply
from tests.exchanges.stage import KINDS, SLUGS, load_fixture, stage

OURS = "request_refused"
HTX_KEY_ROWS = (
    ("Incorrect Access key", "Access key错误", "12007", "invalid_key"),
    ("Verification failure", "校验失败", "12008", "bad_signature"),
    ("Incorrect IP address", "IP地址错误", "12005", "ip_not_allowed"),
    ("API key has expired", "API Key已经过期", "12004", "key_expired"),
    ("API key has no permission", "API Key没有权限", "", "permission_missing"),
    ("Invalid submission time or incorrect time format", "无效的提交时间，或时间格式错误", "12001", "clock_skew"),
    ("Submission time is required", "提交时间不能为空", "12006", OURS),
    ("Incorrect signature version", "错误的签名版本", "12002", OURS),
    ("Incorrect signature method", "错误的签名方法", "12003", OURS),
    ("Abnormal user status", "用户状态不正常", "12009", "account_blocked"),
    ("Incorrect Private Key signature", "", "12010", "bad_signature"),
    ("Incorrect Public key", "", "12011", "bad_signature"),
)
HTX_ROWS = (
    ("v1", 200, "login-required", "Login required.", OURS),
    ("v1", 200, "api-signature-check-failed", "Api Signature check failed (unknown).", "exchange_unavailable"),
    ("v2", 200, "1003", "invalid signature", "bad_signature"),
    ("v2", 200, "1003", "unauthorized", "invalid_key"),
    ("v2", 200, "1002", "forbidden", "permission_missing"),
    ("v2", 200, "1002", "unauthorized", "permission_missing"),
    ("v2", 200, "403", "", "permission_missing"),
    ("v2", 200, "2002", 'invalid field value in "x"', OURS),
    ("v2", 200, "2003", "missing mandatory field", OURS),
    ("v2", 200, "1001", "bad URL", OURS),
    ("v2", 200, "1007", "no record", OURS),
    ("v2", 200, "2014", "limit", OURS),
    ("v2", 200, "2016", "sub-user state", OURS),
    ("v1", 429, "", "", "rate_limited"),
    ("v1", 200, "base-request-exceed-frequency-limit", "", "rate_limited"),
    ("v1", 200, "rate-too-many-requests", "exceeded rate limit", "rate_limited"),
    ("v1", 200, "frequent-invoke", "", "rate_limited"),
    ("v1", 200, "510", "", "rate_limited"),
    ("v2", 200, "1006", "", "rate_limited"),
    ("v2", 200, "40403", "", "rate_limited"),
    ("v2", 200, "429", "", "rate_limited"),
    ("v1", 200, "invalid-parameter", "request limit", "rate_limited"),
    ("v1", 200, "invalid-parameter", "429 too many request", "rate_limited"),
    ("v1", 200, "gateway-internal-error", "Failed to load data. Try again later.", "exchange_unavailable"),
    ("v1", 200, "base-system-error", "", "exchange_unavailable"),
    ("v1", 200, "timeout", "", "exchange_unavailable"),
    ("v1", 200, "error", "request timeout", "exchange_unavailable"),
    ("v2", 200, "500", "", "exchange_unavailable"),
    ("v2", 500, "500", "", "exchange_unavailable"),
    ("v1", 200, "system-maintenance", "System is in maintenance!", "maintenance"),
    ("v1", 200, "sub-user-auth-required", "", "permission_missing"),
    ("v1", 200, "operation-forbidden-for-lock-account-state", "", "account_blocked"),
    ("v1", 405, "method-not-allowed", "", OURS),
    ("v1", 200, "order-accountbalance-error", "", OURS),
    ("v1", 200, "account-get-accounts-inexistent-error", "", OURS),
)
HITBTC_ROWS = (
    (401, 403, "", "account_blocked"),
    (429, 429, "Too many requests", "rate_limited"),
    (200, 429, "Too many requests", "rate_limited"),
    (500, 500, "", "exchange_unavailable"),
    (503, 503, "", "maintenance"),
    (504, 504, "", "exchange_unavailable"),
    (400, 600, "Action is not allowed", "account_blocked"),
    (401, 1002, "Authorization is required or has been failed", "invalid_key"),
    (401, 1002, "Invalid signature", "bad_signature"),
    (401, 1002, "timestamp outside the window", "clock_skew"),
    (401, 1002, "user is not allowed to perform the requested operation", "account_blocked"),
    (403, 1003, "Action is forbidden for this API key", "permission_missing"),
    (401, 1004, "Unsupported authorization method", OURS),
    (401, 1005, "Authorization invalid, device not recognised", "invalid_key"),
    (400, 1006, "Should upgrade scopes", "permission_missing"),
    (400, 10021, "User disabled", "account_blocked"),
    (400, 21004, "Sub-account is frozen", "account_blocked"),
    (400, 22008, "Gateway timeout exceeded", "exchange_unavailable"),
    *(
        (status, code, "told", "exchange_unavailable" if code in (20010, 20018, 20044, 20080) else OURS)
        for status, codes in (
            (400, (400, 602, 604, 2001, 2002, 2003, 2010, 2011, 2012, 2020, 2021, 2022, 2024, 10001, 10022, 20001, 20002, 20003)),
            (400, (20004, 20005, 20006, 20007, 20008, 20009, 20010, 20011, 20012, 20014, 20016, 20018, 20031, 20032, 20033)),
            (400, (20034, 20040, 20041, 20042, 20043, 20044, 20045, 20047, 20048, 20049, 20080, 21003)),
            (400, (22000, 22001, 22002, 22003, 22005, 22006, 22007)),
            (401, (1001,)),
            (404, (800, 21001, 22004)),
        )
        for code in codes
    ),
)
BITEXBIT_ROWS = (
    (400, '{"amount": ["This field is required."]}', OURS),
    (401, '{"detail": "Invalid API key."}', "invalid_key"),
    (401, '{"detail": "Invalid signature."}', "bad_signature"),
    (401, '{"detail": "Invalid nonce."}', "number_refused"),
    (401, '{"detail": "Your IP address is not allowed."}', "ip_not_allowed"),
    (403, '{"detail": "You do not have permission to perform this action."}', "permission_missing"),
    (404, '{"detail": "Not found."}', OURS),
    (429, '{"detail": "Request was throttled."}', "rate_limited"),
    (500, '{"detail": "Server error"}', "exchange_unavailable"),
    (502, "<html>502 Bad Gateway</html>", "exchange_unavailable"),
    (400, '{"date": 1570599531.48, "error": "Out of balance -9.99 BTC"}', OURS),
)


def write_htx(kind: str, code: str, text: str) -> str:
    if kind == "v1":
        return json.dumps({"status": "error", "err-code": code, "err-msg": text, "data": None}, ensure_ascii=False)
    return json.dumps({"code": int(code), "message": text, "data": None}, ensure_ascii=False)


def list_rows() -> Iterator[tuple[str, int, str, str]]:
    """Return exchange, HTTP status, body and the expected code of every row."""
    for english, chinese, number, code in HTX_KEY_ROWS:
        for text in filter(None, (f"{english} [{chinese}]" if chinese else english, chinese)):
            told = f"{text}:104.128.67.45" if code == "ip_not_allowed" else text
            yield "htx", 200, write_htx("v1", "api-signature-not-valid", f"Signature not valid: {told}"), code
            if number:
                yield "htx", 200, write_htx("v2", number, told), code
        if number:
            yield "htx", 200, write_htx("v2", number, ""), code
    for kind, status, number, text, code in HTX_ROWS:
        yield "htx", status, write_htx(kind, number, text), code
    for status, told_code, text, code in HITBTC_ROWS:
        error: dict[str, Any] = {"code": told_code, "message": text, "description": ""}
        yield "hitbtc", status, json.dumps({"error": error}), code
        yield (
            "hitbtc",
            status,
            json.dumps({"timestamp": "2023-09-02T14:38:20.351Z", "error": error, "path": "/", "requestId": "x"}),
            code,
        )
    for status, body, code in BITEXBIT_ROWS:
        yield "bitexbit", status, body, code


def judge(slug: str, status: int, body: str) -> ExchangeError:
    adapter, _ = stage(slug)
    call = next(call for call in adapter.calls if not call.public)
    with pytest.raises(ExchangeError) as told:
        adapter._judge(Reply(status, {}, body.encode(), 1), call=call)
    return told.value


@pytest.mark.parametrize(("slug", "status", "body", "code"), list(list_rows()))
def test_every_row_has_its_problem(slug: str, status: int, body: str, code: str) -> None:
    error = judge(slug, status, body)
    assert error.code == code
    assert type(error) in list_leaves()
    if code == "ip_not_allowed" and "104.128.67.45" in body:
        assert error.seen_ip == "104.128.67.45"


def test_an_empty_403_is_no_key_problem() -> None:
    assert judge("htx", 403, "").who_acts != "trader"
    assert judge("htx", 403, "<html>Cloudflare</html>").who_acts != "trader"


@pytest.mark.parametrize("slug", SLUGS)
def test_every_leaf_that_an_exchange_can_tell_is_in_some_table(slug: str) -> None:
    """A key, its secret, a missing right, a wrong clock, a limit and an outage: each exchange says them in its own words."""
    leaves = {row.error.code for row in KINDS[slug].refusals} | {case["error"] for case in load_fixture(slug)["refusals"]}
    wanted = {"invalid_key", "bad_signature", "permission_missing", "account_blocked", "clock_skew", "rate_limited"}
    if "number_refused" in leaves:  # it looks at numbers and not at our clock
        wanted -= {"clock_skew"}
    assert wanted <= leaves
