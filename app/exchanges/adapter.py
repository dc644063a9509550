"""The base of every adapter: declared calls only, one error ladder, evidence of each call.

An adapter is data (exchange, calls, refusals) plus four small acts: `sign`, `find_refusal`, `check`,
`fetch_balances`. Transport, error mapping and the refusal of undeclared calls are written once, here.
"""

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar
from urllib.parse import quote

from app.exchanges.errors import (
    ClockSkew,
    ExchangeError,
    Maintenance,
    OutOfService,
    RateLimited,
    UndeclaredCall,
    UnexpectedReply,
)
from app.exchanges.http import ExchangeHttp, OutgoingRequest, Reply
from app.exchanges.types import (
    BalanceSheet,
    Call,
    CallEvidence,
    ClockReading,
    Environment,
    Exchange,
    KeyReport,
    ProbePolicy,
    Secrets,
)

SKEW_LIMIT_SECONDS = 60.0
_DEPTH_CAP = 40
Json = Any  # whatever json.loads gives; adapters narrow it with the parse_ helpers


@dataclass(frozen=True, slots=True)
class Refusal:
    """One row of an exchange's error table: first match wins. Empty `code` or `text` matches anything.

    `text` is looked for in the exchange's words, ignoring case; `status` 0 matches any HTTP status.
    """

    code: str
    text: str
    error: type[ExchangeError]
    status: int = 0

    def matches(self, *, status: int, code: str, text: str) -> bool:
        return (
            (not self.code or self.code == code)
            and (not self.text or self.text.lower() in text.lower())
            and (not self.status or self.status == status)
        )


@dataclass(frozen=True, slots=True)
class AdapterContext:
    """What an adapter is handed: one user's secrets for one environment, and the outside world."""

    secrets: Secrets
    environment: Environment
    base_url: str
    http: ExchangeHttp
    clock: Callable[[], datetime]
    probes: ProbePolicy = ProbePolicy.HARMLESS
    key_lock: asyncio.Lock | None = None


class ExchangeAdapter(ABC):
    """One user's keys, bound to one exchange's API. Never moves money, never changes anything at the exchange."""

    exchange: ClassVar[Exchange]
    calls: ClassVar[tuple[Call, ...]]
    refusals: ClassVar[tuple[Refusal, ...]]
    clock_call: ClassVar[Call]

    def __init__(self, context: AdapterContext) -> None:
        self.context = context
        self.evidence: list[CallEvidence] = []

    @abstractmethod
    def sign(self, request: OutgoingRequest) -> OutgoingRequest:
        """Return the request with its authentication; pure but for the clock (and a nonce where one must rise)."""

    @abstractmethod
    def find_refusal(self, status: int, body: Json) -> tuple[str, str] | None:
        """Return (code, words) when the body says no, whatever the HTTP status; None when it says yes."""

    @abstractmethod
    async def check(self) -> KeyReport:
        """Ask what the key may do. Raises the error tree; a permission that cannot be known is `unknown`."""

    @abstractmethod
    async def fetch_balances(self) -> BalanceSheet:
        """Return the non-zero balances of every account of the exchange; what could not be read is in `missing`."""

    async def read_clock(self) -> ClockReading:
        """Ask the public clock call: proves the exchange reachable. Raises ClockSkew beyond a minute."""
        reply, body = await self._send(self.clock_call, {}, {}, None, signed=False)
        told = self.parse_server_time(reply, body)
        if told is None:
            return ClockReading(None, reply.latency_ms)
        ahead = (self.context.clock() - told).total_seconds()
        if abs(ahead) > SKEW_LIMIT_SECONDS:
            raise ClockSkew(call=self.clock_call.label, skew_seconds=ahead)
        return ClockReading(ahead, reply.latency_ms)

    def parse_server_time(self, reply: Reply, body: Json) -> datetime | None:
        """Return the exchange's clock; by default the answer's Date header (whole seconds)."""
        try:
            return parsedate_to_datetime(reply.headers.get("date", "")).astimezone(UTC)
        except (ValueError, TypeError):
            return None

    async def _ask(
        self,
        call: Call,
        *,
        query: Sequence[tuple[str, str]] = (),
        path: Mapping[str, str] | None = None,
        body: Json = None,
    ) -> Json:
        """Make one declared, signed call and return its body. Raises the error tree."""
        _, answer = await self._send(call, dict(query), path or {}, body, signed=not call.public)
        return answer

    async def _send(
        self, call: Call, query: Mapping[str, str], path: Mapping[str, str], body: Json, *, signed: bool
    ) -> tuple[Reply, Json]:
        self._refuse_undeclared(call)
        asked_at = self.context.clock()
        reply: Reply | None = None
        outcome = "ok"
        try:
            if signed and self.exchange.one_call_at_a_time and self.context.key_lock is not None:
                async with self.context.key_lock:
                    reply = await self._transmit(call, query, path, body, signed=signed)
            else:
                reply = await self._transmit(call, query, path, body, signed=signed)
            return reply, self._judge(reply, call=call)
        except ExchangeError as error:
            outcome = error.code
            raise
        finally:
            took = reply.latency_ms if reply else round((self.context.clock() - asked_at).total_seconds() * 1000)
            status = reply.status if reply else None
            self.evidence.append(CallEvidence(call.label, asked_at, outcome, status, took))

    async def _transmit(
        self, call: Call, query: Mapping[str, str], path: Mapping[str, str], body: Json, *, signed: bool
    ) -> Reply:
        request = self._build(call, query, path, body)
        return await self.context.http.send(self.sign(request) if signed else request, call=call.label)

    def _build(self, call: Call, query: Mapping[str, str], path: Mapping[str, str], body: Json) -> OutgoingRequest:
        if any(not value for value in path.values()):
            raise UndeclaredCall(call=call.label)  # an empty id can turn "cancel one" into "cancel all"
        filled = call.path.format(**{name: quote(value, safe="") for name, value in path.items()})
        encoded = "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in query.items())
        url = f"{self.context.base_url}{filled}" + (f"?{encoded}" if encoded else "")
        content = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json"} if body is not None else {}
        return OutgoingRequest(call.method, url, headers, content)

    def _refuse_undeclared(self, call: Call) -> None:
        ranks = list(ProbePolicy)
        allowed = ranks.index(call.probe) <= ranks.index(self.context.probes)
        if call not in self.calls or not allowed or (call.method != "GET" and call.probe is ProbePolicy.READS):
            raise UndeclaredCall(call=call.label)

    def _judge(self, reply: Reply, *, call: Call) -> Json:
        """Return the body of a good answer; turn every other one into the error tree. The body decides, not the status."""
        try:
            body = parse_json(reply.content)
        except ValueError:
            raise self._judge_weather(reply, call=call) from None
        refusal = self.find_refusal(reply.status, body)
        if refusal is None and 200 <= reply.status < 300:
            return body
        code, told = refusal or ("", "")
        for row in self.refusals:
            if row.matches(status=reply.status, code=code, text=told):
                raise self.explain(row.error, told=told, reply=reply, call=call)
        raise self._judge_weather(reply, call=call, told=told)

    def explain(self, error: type[ExchangeError], *, told: str, reply: Reply, call: Call) -> ExchangeError:
        """Make the error for a matched refusal; adapters override it to add what the words tell (an address …)."""
        return error(told, call=call.label, retry_after_seconds=parse_retry_after(reply))

    def _judge_weather(self, reply: Reply, *, call: Call, told: str = "") -> ExchangeError:
        """Name an answer that no refusal row explains: never a key problem."""
        if reply.status == 429:
            return RateLimited(told, call=call.label, retry_after_seconds=parse_retry_after(reply))
        if reply.status == 503:
            return Maintenance(told, call=call.label, retry_after_seconds=parse_retry_after(reply))
        if told or (200 <= reply.status < 300 and reply.content.lstrip()[:1] in (b"{", b"[")):
            return UnexpectedReply(told, call=call.label)
        return OutOfService(told, call=call.label)


def parse_retry_after(reply: Reply) -> float | None:
    """Return the seconds of a Retry-After header, at most one hour; None when absent or odd."""
    text = reply.headers.get("retry-after", "")
    return min(float(text), 3600.0) if text.isascii() and text.isdigit() else None


def parse_json(content: bytes) -> Json:
    """Return the JSON value, numbers with a point as Decimal. Raises ValueError for anything odd, NaN or too deep."""

    def refuse(constant: str) -> Json:
        raise ValueError("not a finite number")

    if max_depth(content) > _DEPTH_CAP:
        raise ValueError("too deep")
    try:
        return json.loads(content.decode("utf-8"), parse_float=Decimal, parse_constant=refuse)
    except (RecursionError, InvalidOperation):
        raise ValueError("not readable") from None


def max_depth(content: bytes) -> int:
    """Return an upper bound of the nesting depth (brackets inside texts count too)."""
    depth = deepest = 0
    for byte in content:
        if byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest


def parse_amount(value: Json, *, call: str) -> Decimal:
    """Return a finite, non-negative amount from an exchange's text or number. Raises UnexpectedReply otherwise."""
    try:
        amount = Decimal(value) if isinstance(value, str | int | Decimal) and not isinstance(value, bool) else None
    except InvalidOperation:
        amount = None
    if amount is None or not amount.is_finite() or amount < 0 or amount.adjusted() > 40:
        raise UnexpectedReply("an amount that is no amount", call=call)
    return amount


def parse_rows(value: Json, *, call: str) -> list[dict[str, Json]]:
    """Return a list of objects. Raises UnexpectedReply for any other shape."""
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise UnexpectedReply("not a list of objects", call=call)
    return value
