"""Adapters against an independent client library's signer: the same key, moment and parameters give the same bytes."""

from datetime import UTC, datetime
from urllib.parse import parse_qsl

import ccxt
import httpx
import pytest

from app.exchanges.adapter import encode_query
from app.exchanges.http import OutgoingRequest
from tests.exchanges.stage import KINDS, load_fixture, make_adapter
from tests.exchanges.test_contract import raise_refused

FORMS: list[dict[str, str]] = [{}, {"asset": "XXBT"}, {"pair": "XBTUSD", "cl_ord_id": "a-b_c", "price": "37500"}]
AT_MS = 1_795_262_400_123
QUERIES = [[], [("omitZeroBalances", "true")], [("symbol", "BTCUSDT"), ("note", "a b+c/d=50%")], [("coin", "币")]]


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_binance(query: list[tuple[str, str]]) -> None:
    fixture = load_fixture("binance")
    now = datetime.fromtimestamp(AT_MS / 1000, UTC)
    adapter = make_adapter(KINDS["binance"], fixture, httpx.MockTransport(raise_refused), now=now)
    url = f"{adapter.context.base_url}/api/v3/account" + (f"?{encode_query(query)}" if query else "")
    ours = adapter.sign(OutgoingRequest("GET", url))
    client = ccxt.binance({"apiKey": fixture["secrets"]["api_key"], "secret": fixture["secrets"]["secret_key"]})
    client.nonce = lambda: AT_MS
    client.options["recvWindow"] = None
    # its parameters in our order: theirs starts with the timestamp, and the order is part of what is signed
    asked = dict(parse_qsl(ours.url.partition("?")[2], keep_blank_values=True))
    signature = asked.pop("signature")
    client.urlencode = lambda params, sort=False: encode_query([(name, str(params[name])) for name in asked])
    theirs = client.sign("account", ["private"], "GET", {name: value for name, value in asked.items() if name != "timestamp"})
    assert dict(parse_qsl(theirs["url"].partition("?")[2]))["signature"] == signature
    assert theirs["headers"] == {"X-MBX-APIKEY": ours.headers["X-MBX-APIKEY"]}


@pytest.mark.parametrize("fields", FORMS, ids=str)
def test_kraken(fields: dict[str, str]) -> None:
    fixture = load_fixture("kraken")
    now = datetime.fromtimestamp(AT_MS / 1000, UTC)
    adapter = make_adapter(KINDS["kraken"], fixture, httpx.MockTransport(raise_refused), now=now)
    content = encode_query(list(fields.items())).encode()
    ours = adapter.sign(OutgoingRequest("POST", f"{adapter.context.base_url}/0/private/BalanceEx", {}, content))
    client = ccxt.kraken({"apiKey": fixture["secrets"]["api_key"], "secret": fixture["secrets"]["secret_key"]})
    client.incrementing_nonce = lambda: AT_MS
    theirs = client.sign("BalanceEx", ["private"], "POST", fields)
    assert (theirs["url"], theirs["body"].encode()) == (ours.url, ours.content)
    assert {name: ours.headers[name] for name in ("API-Key", "API-Sign")} == {
        name: theirs["headers"][name] for name in ("API-Key", "API-Sign")
    }
