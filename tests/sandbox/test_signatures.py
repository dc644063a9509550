"""The sandbox's own verifiers against the published vectors: accepted as they are, refused with one byte changed."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from app.sandbox.accounts import Customer, SimulatedKey
from app.sandbox.calls import ReceivedCall
from app.sandbox.exchanges.bitexbit.refusals import BitexbitRefusal
from app.sandbox.exchanges.bitexbit.signing import verify_call
from app.sandbox.exchanges.hitbtc.refusals import HitbtcRefusal
from app.sandbox.exchanges.hitbtc.signing import parse_authorization, verify_moment, verify_proof
from app.sandbox.exchanges.htx.refusals import HtxRefusal
from app.sandbox.exchanges.htx.signing import read_presented, verify_signature
from app.sandbox.orders import Desk


def make_call(method: str, path: str, *, query: str = "", body: bytes = b"", host: str = "", **headers: str) -> ReceivedCall:
    named: Mapping[str, str] = {name.replace("_", "-"): value for name, value in headers.items()}
    return ReceivedCall(method, path, query, named, body, host, "127.0.0.1", datetime.fromtimestamp(1_760_000_000, UTC))


ORDER = b'{"type":"limit","side":"buy","quantity":"10","symbol":"TRXUSDT","price":"0.05"}'
FORM = b"new_client_order_id=abcdefgh12345679&quantity=11&price=0.051"
HITBTC = {
    "A": (
        make_call("GET", "/api/3/spot/balance"),
        "aGItdGVzdC1rZXk6MDhkMTVlNmExNjhhMzkxNDZlM2ZmOTcyNmIwMjI4M2M1Mzg0Y2U4Njc4NjE5NjhlNWNhMmExMjA5MzMwNjA3MzoxNzYwMDAwMDAwMDAw",
    ),
    "B": (
        make_call("GET", "/api/3/wallet/transactions", query="types=DEPOSIT%2CWITHDRAW&limit=10"),
        "aGItdGVzdC1rZXk6YzM2N2ZkYjVkMmIwNGE4NzBhNmI4OTRjNWY5YjA1NDE3ODUyZTY3OTlmOGQxNzY4YjVlM2JhY2Y3ZmYwODk2ZDoxNzYwMDAwMDAwMDAw",
    ),
    "C": (
        make_call("POST", "/api/3/spot/order", body=ORDER),
        "aGItdGVzdC1rZXk6M2NmMGRjZTM4YmMyYWJlNzc2ODJmODU2MDI4MGNlMzg5NjE4ZTI0NTg3NTYzZDMzMTdlOTQ2MGU3YTQ0OWQ4ZToxNzYwMDAwMDAwMDAw",
    ),
    "D": (
        make_call("DELETE", "/api/3/spot/order/no-such-order-00000000", body=b'{"client_order_id":"no-such-order-00000000"}'),
        "aGItdGVzdC1rZXk6MGMyYTU5NTliYTUyOTA5MTVmYjZjZGRiOWZkNDRlZDc2NTJkNDhlMjRiNDZlMTRmM2Q1ZmQ2Yzg3NGQ5YjQwNzoxNzYwMDAwMDAwMDAw",
    ),
    "E": (
        make_call("GET", "/api/3/wallet/balance"),
        "aGItdGVzdC1rZXk6NmM0YTg3MjM3YjY4MDk0ZjEzYTZlMTMwYTUwYThiNzFjMWQwNzcwOGU1YTc2MGJjYzJlNmIyNGZiMDY5MDFiYjoxNzYwMDAwMDAwMDAwOjEwMDAw",
    ),
    "F": (
        make_call("PATCH", "/api/3/spot/order/abcdefgh12345678", body=FORM),
        "aGItdGVzdC1rZXk6NjhlZmY4ZGRjNTE4ODczN2MxZmM0MzI3MjRiY2U4NzE2OTQwODhiYTMxOGQ0ZjMwNjA0OTBiZjFkZjgyYjA2YjoxNzYwMDAwMDAwMDAwOjYwMDAw",
    ),
    "G": (
        make_call("DELETE", "/api/3/wallet/crypto/withdraw/00000000-0000-4000-8000-000000000000"),
        "aGItdGVzdC1rZXk6MDYzM2JmNjJiZWU0NDE5MjVkMjUyNmI2OTViZTAwYzBhMDA2MDkzMThmMTY3ZTFiNzdiYTU0NGIyNTg3NzBiMjoxNzYwMDAwMDAwMDAw",
    ),
    "H": (
        make_call("GET", "/api/3/spot/fee/BTCUSDT"),
        "aGItdGVzdC1rZXk6NTJjM2Y5N2ZhZTU3MjBiMzg1YTgyNGRlNDc4NWFlMWU3Njk4NWJkN2YxNGQzOWIxNDk4Y2Q2MWU3ZTAyNjJmMDoxNzYwMDAwMDAwMDAw",
    ),
}


@pytest.mark.parametrize("name", HITBTC)
def test_hitbtc_vector_is_accepted_and_a_changed_one_refused(name: str) -> None:
    call, encoded = HITBTC[name]
    presented = parse_authorization(f"HS256 {encoded}")
    assert presented.access_key == "hb-test-key"
    verify_moment(presented, now=call.received_at)
    verify_proof(presented, call, secret="hb-test-secret")
    for changed in (replace(call, path=call.path + "x"), replace(call, method="PUT"), replace(call, body=call.body + b" ")):
        with pytest.raises(HitbtcRefusal, match="invalid signature") as refused:
            verify_proof(presented, changed, secret="hb-test-secret")
        assert (refused.value.code, refused.value.status) == (1002, 401)
    with pytest.raises(HitbtcRefusal):
        verify_proof(presented, call, secret="hb-test-secreT")


def test_hitbtc_basic_vector_is_accepted() -> None:
    presented = parse_authorization("Basic aGItdGVzdC1rZXk6aGItdGVzdC1zZWNyZXQ=")
    verify_proof(presented, make_call("GET", "/api/3/spot/balance"), secret="hb-test-secret")
    with pytest.raises(HitbtcRefusal):
        verify_proof(presented, make_call("GET", "/api/3/spot/balance"), secret="another")


KEY = "b1rkuf4drg-7f3a9c21-5d8e0b46-a1c2e"
SECRET = "0f1e2d3c-4b5a6978-8796a5b4-c3d2e"
T1 = "2026-03-01T08%3A09%3A10"
PEM = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n-----END PRIVATE KEY-----"


def sign_of(stamp: str, *, rest: str = "", method: str = "HmacSHA256") -> str:
    return f"AccessKeyId={KEY}&SignatureMethod={method}&SignatureVersion=2&Timestamp={stamp}{rest}"


NOTE = "&currency=usdt&note=cold%20wallet%20A%2BB%2FC%3D50%25%20%E5%B8%81"
LISTED = "&size=100&start-time=1772352000000&states=filled%2Cpartial-canceled&symbol=btcusdt"
ACCOUNTS = "/v1/account/accounts"
HTX = {
    "V1": ("GET", "api.huobi.pro", ACCOUNTS, sign_of(T1), "4Ks0OI4EOWo05EYW%2FQn5KRxKWLFcqkYYHogcr0uv5tE%3D"),
    "V2": (
        "GET",
        "api.huobi.pro",
        "/v2/user/api-key",
        sign_of(T1, rest=f"&accessKey={KEY}&uid=412345678"),
        "RpV3QPrcbPh5hQyuZGjVAf%2F4DWWQMNWsRi7idyvPU9s%3D",
    ),
    "V3": (
        "GET",
        "api.huobi.pro",
        "/v1/order/orders",
        sign_of(T1, rest=LISTED),
        "xLOSNPaBjX7SkdOxT%2F5nUZC9335%2FRfltEgqOIfco12E%3D",
    ),
    "V4": (
        "GET",
        "api.huobi.pro",
        "/v2/account/withdraw/address",
        sign_of("2026-12-31T23%3A59%3A59", rest=NOTE),
        "GwgMaDCaDQihtf8ChAnudHpLPWd2C33r0dPcYrxSqEE%3D",
    ),
    "V5": ("POST", "api.huobi.pro", "/v1/order/orders/place", sign_of(T1), "qBpMkn74GXRoBKnEVzgokHel1nNYf1FehCJh27g9Qh4%3D"),
    "V6": ("GET", "api-aws.huobi.pro", ACCOUNTS, sign_of(T1), "I6awC9hntpUF03n10vekY%2BvyuQ1lSgOWSnkwjD7u5oc%3D"),
    "V7": ("GET", "127.0.0.1:8765", ACCOUNTS, sign_of(T1), "QvBjjW8ruIH3OPFKdbiWWmaJe5PPu8%2Ff7dmATcE11hs%3D"),
}


def make_htx_call(method: str, host: str, path: str, query: str, signature: str) -> ReceivedCall:
    return make_call(method, path, query=f"{query}&Signature={signature}", host=host)


@pytest.mark.parametrize("name", HTX)
def test_htx_vector_is_accepted_and_a_changed_one_refused(name: str) -> None:
    call = make_htx_call(*HTX[name])
    verify_signature(call, read_presented(call), secret=SECRET)
    for changed in (
        replace(call, path=call.path + "/"),
        replace(call, host="api.htx.com"),
        replace(call, query=call.query + "&size=1"),
    ):
        with pytest.raises(HtxRefusal) as refused:
            verify_signature(changed, read_presented(changed), secret=SECRET)
        assert "Verification failure" in refused.value.words


def test_htx_reads_the_query_in_any_order_and_writes_it_again() -> None:
    method, host, path, query, signature = HTX["V3"]
    shuffled = "&".join(reversed(query.split("&"))).replace("%3A", "%3a")
    call = make_htx_call(method, host, path, shuffled, signature)
    verify_signature(call, read_presented(call), secret=SECRET)


@pytest.mark.parametrize(
    "signature", ["Q6f90wy2w6gVzKfr0Ni2WtC5KVa24F5t%2BCsBczvgwzw%3D", "GW8ia1JMKsQiofQAXqDcTlXfHq5ZYY7Ua0rGtI4JC54%3D"]
)
def test_htx_refuses_lower_case_hex_and_case_blind_sorting(signature: str) -> None:
    call = make_htx_call(*HTX["V3"][:4], signature)
    with pytest.raises(HtxRefusal):
        verify_signature(call, read_presented(call), secret=SECRET)


def test_htx_ed25519_vector_is_accepted_and_a_changed_one_refused() -> None:
    signature = "mNL4K%2B8e3fVwtXmWTablzlRLao79CnEQSrn9uarIdmyI1ztih3YH9949FAIIKUfHCJak7%2B1%2Fq%2BFvScjc3k2NDg%3D%3D"
    call = make_htx_call("GET", "api.huobi.pro", ACCOUNTS, sign_of(T1, method="Ed25519"), signature)
    verify_signature(call, read_presented(call), secret=PEM)
    with pytest.raises(HtxRefusal, match="api-signature-not-valid"):
        verify_signature(replace(call, path="/v1/account/account"), read_presented(call), secret=PEM)
    with pytest.raises(HtxRefusal, match="Incorrect signature method"):
        verify_signature(call, read_presented(call), secret=SECRET)


def make_bitexbit_key() -> SimulatedKey:
    customer = Customer(1, [], Desk(first_number=1))
    return SimulatedKey("bitexbit", "read-only", "bxb-key-0001", "bxb-secret-0001", set(), customer)


CREATE = b'{"symbol":"BTC_USD","type":"buy-limit","price":"100.00","amount":"0.01000000"}'
BITEXBIT = {
    "balance": ("GET", "/api/v2/private/balance", 0, b"", "1672b744c7ccc47fe1c476c47ec7a383b7e3e8660d713d441aedc8a16c7c7590"),
    "orders": ("GET", "/api/v2/private/orders", 1, b"", "5f423cc27f42cbb32ba963553ca6c8c1447f29df2757806b7488d79451d64147"),
    "create": (
        "POST",
        "/api/v2/private/order/create",
        2,
        CREATE,
        "0abc35eb013d2a21e3a1d1e99d1818e4248d6697a67c42e5decaadc91566bec6",
    ),
    "cancel": (
        "POST",
        "/api/v2/private/order/0/cancel",
        3,
        b"{}",
        "9fadf592d64c8ab511a7e09644bbee61a7cef6a69d8cbaf47840924a4a696c18",
    ),
}


@pytest.mark.parametrize("name", BITEXBIT)
def test_bitexbit_vector_is_accepted_once_and_a_changed_one_refused(name: str) -> None:
    method, path, place, body, signature = BITEXBIT[name]
    nonce = str(1_700_000_000_000 + place)
    call = make_call(method, path, query="symbol=BTC_USD", body=body, x_nonce=nonce, x_signature=signature)
    key = make_bitexbit_key()
    with pytest.raises(BitexbitRefusal, match="Invalid signature"):
        verify_call(replace(call, body=body + b" "), key)
    verify_call(call, key)
    with pytest.raises(BitexbitRefusal, match="Invalid nonce"):
        verify_call(call, key)


@pytest.mark.parametrize(
    ("method", "path", "body", "signature"),
    [
        ("GET", "/api/gateway/payment-methods", b"", "7890ffd60afac3dacb4a0de01a7a9043e6bb1ea62bcc358bb305f95786c80357"),
        ("POST", "/api/gateway/withdraw/create", b"{}", "c1a4cfee36c091305620cd2b8f1965aee70ecf764e424e120dff55a829b65e13"),
    ],
)
def test_bitexbit_gateway_vector_is_accepted_until_its_deadline(method: str, path: str, body: bytes, signature: str) -> None:
    call = make_call(method, path, body=body, x_timeout="1700000000500", x_sign=signature)
    in_time = replace(call, received_at=datetime.fromtimestamp(1_700_000_000, UTC))
    verify_call(in_time, make_bitexbit_key())
    with pytest.raises(BitexbitRefusal, match="timeout"):
        verify_call(call, make_bitexbit_key())
    with pytest.raises(BitexbitRefusal, match="Invalid signature"):
        verify_call(replace(in_time, path=path + "/"), make_bitexbit_key())
