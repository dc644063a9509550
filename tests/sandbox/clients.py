"""Small signing clients for the sandbox's tests, written from the exchanges' documents and nothing of Keydeck's."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx

from app.sandbox.keys import list_keys

ORIGIN = "http://sandbox.test"


def find_secrets(exchange: str, scenario: str) -> tuple[str, str]:
    key = next(key for key in list_keys() if (key.exchange, key.scenario) == (exchange, scenario))
    return key.secrets["api_key"].reveal(), key.secrets["secret_key"].reveal()


class HitbtcClient:
    def __init__(self, http: httpx.AsyncClient, scenario: str, clock: Callable[[], datetime]) -> None:
        self.http, self.clock = http, clock
        self.key, self.secret = find_secrets("hitbtc", scenario)
        self.window: str | None = None

    async def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        content = b"" if body is None else json.dumps(body).encode()
        timestamp = str(int(self.clock().timestamp() * 1000))
        message = f"{method}/api/3{path}".encode() + content + timestamp.encode() + (self.window or "").encode()
        signature = hmac.new(self.secret.encode(), message, hashlib.sha256).hexdigest()
        parts = [self.key, signature, timestamp, *([self.window] if self.window else [])]
        headers = {"Authorization": "HS256 " + base64.b64encode(":".join(parts).encode()).decode()}
        if body is not None:
            headers["Content-Type"] = "application/json"
        return await self.http.request(method, f"{ORIGIN}/hitbtc/api/3{path}", content=content or None, headers=headers)


class HtxClient:
    def __init__(self, http: httpx.AsyncClient, scenario: str, clock: Callable[[], datetime]) -> None:
        self.http, self.clock = http, clock
        self.key, self.secret = find_secrets("htx", scenario)

    async def ask(
        self, method: str, path: str, body: Any = None, *, changes: dict[str, str] | None = None, **query: str
    ) -> httpx.Response:
        signed = {"AccessKeyId": self.key, "SignatureMethod": "HmacSHA256", "SignatureVersion": "2"}
        signed["Timestamp"] = self.clock().strftime("%Y-%m-%dT%H:%M:%S")
        signed |= query | (changes or {})
        text = "&".join(f"{name}={quote(value, safe='-_.~')}" for name, value in sorted(signed.items()))
        message = f"{method}\nsandbox.test\n{path}\n{text}"
        signature = base64.b64encode(hmac.new(self.secret.encode(), message.encode(), hashlib.sha256).digest()).decode()
        url = f"{ORIGIN}/htx{path}?{text}&Signature={quote(signature, safe='')}"
        if method == "GET":
            return await self.http.get(url)
        content = b"" if body is None else json.dumps(body).encode()
        return await self.http.post(url, content=content, headers={"Content-Type": "application/json"})


class BitexbitClient:
    def __init__(self, http: httpx.AsyncClient, scenario: str, clock: Callable[[], datetime], origin: str = ORIGIN) -> None:
        self.http, self.clock, self.origin = http, clock, origin
        self.key, self.secret = find_secrets("bitexbit", scenario)
        self.nonce = 0

    def _hash(self, message: str) -> str:
        return hmac.new(self.secret.encode(), message.encode(), hashlib.sha256).hexdigest()

    async def ask(self, method: str, path: str, body: dict[str, Any] | None = None, *, query: str = "") -> httpx.Response:
        self.nonce = max(self.nonce + 1, int(self.clock().timestamp() * 1000))
        text = "" if method == "GET" else json.dumps(body or {})
        headers = {"X-API-Key": self.key, "X-Nonce": str(self.nonce)}
        headers["X-Signature"] = self._hash(f"{path}{self.nonce}{text}")
        return await self._send(method, path + query, text, headers)

    async def ask_gateway(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, ahead: int = 500
    ) -> httpx.Response:
        until = int(self.clock().timestamp() * 1000) + ahead
        text = "" if method == "GET" else json.dumps(body or {})
        headers = {"X-Key": self.key, "X-Timeout": str(until), "X-Sign": self._hash(f"{self.key}{path}{until}{text}")}
        return await self._send(method, path, text, headers)

    async def _send(self, method: str, path: str, text: str, headers: dict[str, str]) -> httpx.Response:
        headers |= {"Content-Type": "application/json; charset=utf-8", "Accept": "application/json"}
        return await self.http.request(method, f"{self.origin}/bitexbit{path}", content=text or None, headers=headers)


class BinanceClient:
    def __init__(self, http: httpx.AsyncClient, scenario: str, clock: Callable[[], datetime]) -> None:
        self.http, self.clock = http, clock
        self.key, self.secret = find_secrets("binance", scenario)

    async def ask(self, method: str, path: str, *, ahead_ms: int = 0, as_form: bool = False, **entered: str) -> httpx.Response:
        moment = int(self.clock().timestamp() * 1000) + ahead_ms
        text = "&".join(f"{name}={quote(value, safe='')}" for name, value in {**entered, "timestamp": str(moment)}.items())
        text += "&signature=" + hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        headers = {"X-MBX-APIKEY": self.key, "Content-Type": "application/x-www-form-urlencoded"}
        if as_form:
            return await self.http.request(method, f"{ORIGIN}/binance{path}", content=text, headers=headers)
        return await self.http.request(method, f"{ORIGIN}/binance{path}?{text}", headers=headers)


class KrakenClient:
    def __init__(self, http: httpx.AsyncClient, scenario: str, clock: Callable[[], datetime]) -> None:
        self.http, self.clock = http, clock
        self.key, self.secret = find_secrets("kraken", scenario)
        self.nonce = 0

    async def ask(self, path: str, *, as_json: bool = False, nonce: int | None = None, **entered: Any) -> httpx.Response:
        self.nonce = nonce or max(self.nonce + 1, int(self.clock().timestamp() * 1000))
        fields = {"nonce": self.nonce, **entered}
        text = json.dumps(fields) if as_json else "&".join(f"{name}={quote(str(value))}" for name, value in fields.items())
        signed = f"/0/private/{path}".encode() + hashlib.sha256(f"{self.nonce}{text}".encode()).digest()
        mac = hmac.new(base64.b64decode(self.secret), signed, hashlib.sha512).digest()
        kind = "application/json" if as_json else "application/x-www-form-urlencoded"
        headers = {"API-Key": self.key, "API-Sign": base64.b64encode(mac).decode(), "Content-Type": kind}
        return await self.http.post(f"{ORIGIN}/kraken/0/private/{path}", content=text, headers=headers)


class MovableClock:
    """A clock that stands where the test puts it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now
