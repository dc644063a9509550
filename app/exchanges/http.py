"""The one outgoing HTTP client: every byte Keydeck sends to an exchange passes here.

One total deadline per call, a byte cap, identity encoding, no redirects, no environment proxies, no cookies, TLS
always verified, https only (plain http on loopback), fixed hosts only. URLs never reach a log or an exception: HTX
signs in the query. The transport is the seam: aiohttp's by default (the reason is in docs/decisions), httpx's
MockTransport, respx's router or the in-process sandbox in its place. It is asked directly, without httpx's client
around it: that client logs every URL, and follows, stores and reads things we would have to forbid one by one.

One ExchangeHttp is one way out, named by `way`. Rate limits and breakers are counted by way and origin in `Traffic`,
retry budgets here. An exchange played in process (`routes`) has no weather of its own, its faults belong to single
keys: none of the three applies.
"""

import asyncio
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlsplit

import aiohttp
import httpx

from app.exchanges.breaker import BreakerReading
from app.exchanges.errors import NoWayOut, OutOfService, StoodStill, UndeclaredCall, Unreachable
from app.exchanges.retry import Attempts, Draw, RetryBudget
from app.exchanges.stillness import Stillness
from app.exchanges.traffic import Lane, LocalTraffic, Traffic
from app.exchanges.transport import DirectTransport, is_no_way_out
from app.exchanges.turns import Sleep
from app.exchanges.types import CallLimit

DEADLINE_SECONDS = 10.0
BYTE_CAP = 4 * 1024 * 1024
USER_AGENT = "Mozilla/5.0 (compatible; Keydeck/0.1)"
Query = Sequence[tuple[str, str]]
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_CONTROL = re.compile(r"[\x00-\x1f]")
_HEADERS = {"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True)
class OutgoingRequest:
    """A request ready to be sent: the URL goes out byte for byte as written here, because it may be signed."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    content: bytes = field(default=b"", repr=False)


Sign = Callable[[OutgoingRequest], OutgoingRequest]


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer; header names in lower case. `received_at` is by the client's own clock."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)
    latency_ms: int
    received_at: float = 0.0


@dataclass(frozen=True, slots=True)
class OriginHealth:
    """How one origin does, from this way out: its breaker, and the calls and retries of the last minute."""

    origin: str
    breaker: BreakerReading
    calls_last_minute: int
    retries_last_minute: int


class ExchangeHttp:
    """Send requests to the allowed origins only. `routes` maps an origin to the transport that serves it in process."""

    def __init__(
        self,
        *,
        origins: frozenset[str],
        transport: httpx.AsyncBaseTransport | None = None,
        routes: Mapping[str, httpx.AsyncBaseTransport] | None = None,
        deadline_seconds: float = DEADLINE_SECONDS,
        byte_cap: int = BYTE_CAP,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Sleep = asyncio.sleep,
        draw: Draw = random.uniform,
        traffic: Traffic | None = None,
        way: str = "",
    ) -> None:
        self._origins = origins
        self._routes = dict(routes or {})
        self._transport = transport or DirectTransport()
        self._deadline_seconds = deadline_seconds
        self._byte_cap = byte_cap
        self._sleep = sleep
        self._draw = draw
        self._budgets = {origin: RetryBudget(monotonic=monotonic) for origin in origins - set(self._routes)}
        self.traffic: Traffic = traffic or LocalTraffic(monotonic=monotonic, sleep=sleep)
        self.way = way
        self.monotonic = monotonic

    @property
    def deadline_seconds(self) -> float:
        """The seconds a call may take, all its attempts together."""
        return self._deadline_seconds

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        for transport in (self._transport, *self._routes.values()):
            await transport.aclose()

    def is_in_process(self, origin: str) -> bool:
        """Whether this origin is played in process, without a network between."""
        return origin in self._routes

    def describe_health(self) -> tuple[OriginHealth, ...]:
        """Return how every origin does that is reached over the network, sorted by name."""
        return tuple(
            OriginHealth(origin, self.traffic.read(Lane(self.way, origin)), *budget.count())
            for origin, budget in sorted(self._budgets.items())
        )

    def start_attempts(self, url: str, *, is_read: bool) -> Attempts:
        """Return the attempts that one call to this URL may take."""
        budget = self._budgets.get(find_origin(url))
        if budget is not None:
            budget.note_call()
        return Attempts(
            is_read=is_read,
            budget=budget,
            deadline_seconds=self._deadline_seconds,
            monotonic=self.monotonic,
            sleep=self._sleep,
            draw=self._draw,
        )

    async def send(
        self,
        request: OutgoingRequest,
        *,
        call: str,
        sign: Sign | None = None,
        limits: Sequence[CallLimit] = (),
        within_seconds: float | None = None,
    ) -> Reply:
        """Send one request, once, and return its whole answer. `within_seconds` may shorten the deadline.

        `sign` is called last of all, when nothing is left to wait for: a signature ages. Raises UndeclaredCall for a host
        that is not allowed or a request that would not go out as written, Unreachable when no answer came within the
        deadline, NoWayOut when our own way failed, OutOfService when the answer is too large or compressed against our
        wish, StoodStill when this process did; and without asking: StoodStill when the time was over before, RateLimited
        when a limit leaves no place soon, Resting while the breaker is open.
        """
        transport = self._choose_transport(request.url, call=call)
        self._build(request, call=call)
        seconds = self._deadline_seconds if within_seconds is None else min(self._deadline_seconds, within_seconds)
        if seconds <= 0:  # this process stood still: others may have gone on with the same key
            raise StoodStill(call=call)
        ends_at = self.monotonic() + seconds
        origin = find_origin(request.url)
        if origin in self._routes:
            built = self._prepare(request, call=call, sign=sign, ends_at=ends_at)
            return await self._attempt(transport, built, call=call, ends_at=ends_at)
        lane = Lane(self.way, origin)
        async with self.traffic.admit(lane, limits=limits, call=call, within_seconds=seconds) as admission:
            built = self._prepare(request, call=call, sign=sign, ends_at=ends_at)
            admission.is_sent = True
            reply = await self._attempt(transport, built, call=call, ends_at=ends_at)
            admission.status = reply.status
        return reply

    def _prepare(self, request: OutgoingRequest, *, call: str, sign: Sign | None, ends_at: float) -> httpx.Request:
        """Sign the request and return what goes out. Raises StoodStill when the time is over, UndeclaredCall as `send` does."""
        ready = request if sign is None else sign(request)
        if find_origin(ready.url) != find_origin(request.url):
            raise UndeclaredCall(call=call)
        built = self._build(ready, call=call)
        if self.monotonic() >= ends_at:  # it stood still while it waited for a place
            raise StoodStill(call=call)
        return built

    async def _attempt(self, transport: httpx.AsyncBaseTransport, built: httpx.Request, *, call: str, ends_at: float) -> Reply:
        reply: Reply | None = None
        is_ours = False
        started = self.monotonic()
        try:
            with Stillness() as stillness:
                async with asyncio.timeout(ends_at - started):
                    reply = await self._exchange(transport, built, call=call, started=started)
        except (httpx.HTTPError, aiohttp.ClientError, OSError) as error:
            is_ours = is_no_way_out(error)
        # raised out here: inside the except block the client's error, which may hold the URL, would hang on ours
        if reply is None and stillness.was_met:  # an answer may lie in the socket; the silence was ours
            raise StoodStill(call=call)
        if reply is None:
            raise NoWayOut(call=call) if is_ours else Unreachable(call=call)
        return reply

    def _build(self, request: OutgoingRequest, *, call: str) -> httpx.Request:
        """Return httpx's request. Raises UndeclaredCall when it would send other bytes than were signed, or none at all."""
        limits = httpx.Timeout(self._deadline_seconds).as_dict()
        try:
            built = httpx.Request(
                request.method,
                request.url,
                headers={**_HEADERS, **request.headers},
                content=request.content or None,
                extensions={"timeout": limits},
            )
            target = "/" + request.url.split("/", 3)[3]
            is_exact = built.url.raw_path == target.encode("ascii")
            is_whole = is_exact and not any(map(_CONTROL.search, built.headers.values()))
        except (ValueError, IndexError, httpx.InvalidURL):  # UnicodeError is a ValueError
            is_whole = False
        if not is_whole:  # raised out here, for the same reason as above
            raise UndeclaredCall(call=call)
        return built

    async def _exchange(self, transport: httpx.AsyncBaseTransport, built: httpx.Request, *, call: str, started: float) -> Reply:
        answer = await transport.handle_async_request(built)
        try:
            if answer.headers.get("content-encoding", "identity").lower() not in ("identity", ""):
                raise OutOfService(call=call)
            if not isinstance(answer.stream, httpx.AsyncByteStream):
                raise TypeError("the transport's answers must be asynchronous")
            content = bytearray()
            async for chunk in answer.stream:
                content += chunk
                if len(content) > self._byte_cap:
                    raise OutOfService(call=call)
        finally:
            await answer.aclose()
        headers = {name.lower(): value for name, value in answer.headers.items()}
        received_at = self.monotonic()
        return Reply(answer.status_code, headers, bytes(content), round((received_at - started) * 1000), received_at)

    def _choose_transport(self, url: str, *, call: str) -> httpx.AsyncBaseTransport:
        """Return the transport that serves the URL's origin. Raises UndeclaredCall for an origin that is not allowed."""
        origin = find_origin(url)
        if origin not in self._origins:
            raise UndeclaredCall(call=call)
        if origin in self._routes:
            return self._routes[origin]
        parts = urlsplit(origin)
        if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
            raise UndeclaredCall(call=call)
        return self._transport


def encode_query(query: Query) -> str:
    """Return the query with upper-case percent escapes, a space as %20: the one form that all exchanges sign."""
    return "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in query)


def find_origin(url: str) -> str:
    """Return scheme://host[:port] of a URL, as written."""
    return "/".join(url.split("/", 3)[:3])
