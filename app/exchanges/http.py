"""The one outgoing HTTP client: every byte Keydeck sends to an exchange passes here.

One total deadline per call, a byte cap, identity encoding, no redirects, no environment proxies, no cookies, TLS
always verified, https only (plain http on loopback), fixed hosts only. URLs never reach a log or an exception: HTX
signs in the query. The transport is the seam: aiohttp's by default (the reason is in docs/decisions), httpx's
MockTransport, respx's router or the in-process sandbox in its place.
"""

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import Any, Self

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport
from yarl import URL

from app.exchanges.errors import OutOfService, UndeclaredCall, Unreachable

DEADLINE_SECONDS = 10.0
BYTE_CAP = 4 * 1024 * 1024
USER_AGENT = "Mozilla/5.0 (compatible; Keydeck/0.1)"
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_CONNECTIONS = 100


@dataclass(frozen=True, slots=True)
class OutgoingRequest:
    """A request ready to be sent: the URL goes out byte for byte as written here, because it may be signed."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    content: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes = field(repr=False)
    latency_ms: int


class _ExactSession:
    """An aiohttp session that sends URLs as written: aiohttp would re-quote `%2C` and break the signature.

    Callable because httpx-aiohttp asks for a session or something that makes one.
    """

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    def __call__(self) -> Self:
        return self

    def request(self, *, url: str, **options: Any) -> Any:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=_CONNECTIONS, ssl=ssl.create_default_context()),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                skip_auto_headers=("Content-Type", "Accept-Encoding", "User-Agent"),
            )
        return self._session.request(url=URL(url, encoded=True), **options)

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()


class DirectTransport(AiohttpTransport):
    """The default transport: httpx's interface on aiohttp's pool (28 times less CPU at 100 connections)."""

    def __init__(self) -> None:
        self._exact = _ExactSession()
        super().__init__(trust_env=False, client=self._exact)  # type: ignore[arg-type]  # a stand-in, see _ExactSession

    async def aclose(self) -> None:
        await self._exact.aclose()


class ExchangeHttp:
    """Send requests to the allowed origins only. `routes` maps an origin to the transport that serves it."""

    def __init__(
        self,
        *,
        origins: frozenset[str],
        transport: httpx.AsyncBaseTransport | None = None,
        routes: Mapping[str, httpx.AsyncBaseTransport] | None = None,
        deadline_seconds: float = DEADLINE_SECONDS,
        byte_cap: int = BYTE_CAP,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._origins = origins
        self._routes = dict(routes or {})
        self._deadline_seconds = deadline_seconds
        self._byte_cap = byte_cap
        self._monotonic = monotonic
        self._client = httpx.AsyncClient(
            transport=transport or DirectTransport(),
            mounts={f"{origin}": served for origin, served in self._routes.items()},
            follow_redirects=False,
            trust_env=False,
            timeout=deadline_seconds,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            headers={"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "identity"},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._client.aclose()

    async def send(self, request: OutgoingRequest, *, call: str) -> Reply:
        """Send one request and return its whole answer.

        Raises UndeclaredCall for a host that is not allowed, Unreachable when no answer came within the deadline,
        OutOfService when the answer is too large or compressed against our wish.
        """
        self._refuse_unknown_origin(request.url, call=call)
        started = self._monotonic()
        try:
            async with asyncio.timeout(self._deadline_seconds):
                return await self._exchange(request, call=call, started=started)
        except (httpx.HTTPError, aiohttp.ClientError, OSError, httpx.InvalidURL):
            raise Unreachable(call=call) from None

    async def _exchange(self, request: OutgoingRequest, *, call: str, started: float) -> Reply:
        built = self._client.build_request(
            request.method, request.url, headers=dict(request.headers), content=request.content or None
        )
        answer = await self._client.send(built, stream=True)
        try:
            if answer.headers.get("content-encoding", "identity").lower() not in ("identity", ""):
                raise OutOfService(call=call)
            content = bytearray()
            async for chunk in answer.aiter_raw():
                content += chunk
                if len(content) > self._byte_cap:
                    raise OutOfService(call=call)
        finally:
            await answer.aclose()
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Reply(answer.status_code, headers, bytes(content), round((self._monotonic() - started) * 1000))

    def _refuse_unknown_origin(self, url: str, *, call: str) -> None:
        parsed = URL(url, encoded=True)
        origin = f"{parsed.scheme}://{parsed.authority}"
        plain_allowed = parsed.host in _LOOPBACK or origin in self._routes
        if origin not in self._origins or (parsed.scheme != "https" and not plain_allowed):
            raise UndeclaredCall(call=call)
