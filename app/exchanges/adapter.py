"""The base of every adapter: declared calls only, one error ladder, evidence of each call.

An adapter is data (exchange, calls, refusals) plus four small acts: `sign`, `find_refusal`, `check`,
`fetch_balances`. Transport, error mapping and the refusal of undeclared calls are written once, here.
"""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import ClassVar
from urllib.parse import quote

import httpx

from app.exchanges.clock_offset import ClockOffset
from app.exchanges.collecting import Part, collect_accounts
from app.exchanges.errors import ClockSkew, ExchangeError, ExchangeUnavailable, RateLimited, Resting, StoodStill, UndeclaredCall
from app.exchanges.http import ExchangeHttp, OutgoingRequest, Query, Reply, Sign, encode_query
from app.exchanges.reading import PLAINLY, Expected, Json, Reading, Shape, parse_json, parse_retry_after
from app.exchanges.retry import Attempts
from app.exchanges.turns import KeyTurn
from app.exchanges.types import (
    Answer,
    BalanceSheet,
    Call,
    CallEvidence,
    ClockReading,
    Environment,
    Exchange,
    Grant,
    KeyReport,
    ProbePolicy,
    Proof,
    Secrets,
)
from app.exchanges.weather import name_weather
from app.masking import MASK

_WORDS_CAP = 300
_CODE_CAP = 60
_LONG_TOKEN = re.compile(r"[A-Za-z0-9+/=%_-]{40,}")


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
    turn: KeyTurn = field(default_factory=KeyTurn)
    offset: ClockOffset = field(default_factory=ClockOffset)


class ExchangeAdapter(ABC):
    """One user's keys, bound to one exchange's API. Never moves money, never changes anything at the exchange."""

    exchange: ClassVar[Exchange]
    calls: ClassVar[tuple[Call, ...]]
    refusals: ClassVar[tuple[Refusal, ...]]
    clock_call: ClassVar[Call]
    skew_limit_seconds: ClassVar[float] = 60.0

    def __init__(self, context: AdapterContext) -> None:
        self.context = context
        self.evidence: list[CallEvidence] = []
        self.ends_at: float | None = None  # by the client's own clock: nothing is sent afterwards, whatever was begun
        self._rests_until: float | None = None  # the exchange asked this key to wait that long

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
        """Ask the public clock call: proves the exchange reachable, and learns its time for signing.

        Beyond `skew_limit_seconds` the reading says that calls are signed with the exchange's time. Raises ClockSkew
        when the clocks are farther apart than that can mend.
        """
        reply, body = await self._send(self.clock_call, query=(), path={}, body=None, reading=PLAINLY)
        told = self.parse_server_time(reply, body)
        if told is None:
            return ClockReading(None, reply.latency_ms)
        kept = self.context.http.monotonic() - reply.received_at  # here, before we came to look at it
        way_back = reply.latency_ms / 2000  # half of the way, and by so much it may be wrong
        ahead = (self.context.clock() - told).total_seconds() - kept - way_back
        if not self.context.offset.learn(ahead, doubt_seconds=way_back):
            raise ClockSkew(call=self.clock_call.label, skew_seconds=ahead)
        ahead = self.context.offset.ahead_seconds or 0.0
        return ClockReading(ahead, reply.latency_ms, is_corrected=abs(ahead) > self.skew_limit_seconds)

    def read_signing_time(self) -> datetime:
        """Return the moment to sign with: ours, by the exchange's clock where the two are known to differ."""
        return self.context.offset.correct(self.context.clock())

    def parse_server_time(self, reply: Reply, body: Json) -> datetime | None:
        """Return the exchange's clock; by default the answer's Date header (whole seconds)."""
        try:
            return parsedate_to_datetime(reply.headers.get("date", "")).astimezone(UTC)
        except (ValueError, TypeError):
            return None

    def may_ask(self, call: Call) -> bool:
        """Whether the call is declared and the probe policy allows it; what is no read must name the policy it needs."""
        ranks = list(ProbePolicy)
        is_allowed = ranks.index(call.probe) <= ranks.index(self.context.probes)
        is_read = call.method == "GET" or (call.method == "POST" and call.reads)
        return call in self.calls and is_allowed and (is_read or call.probe is not ProbePolicy.READS)

    def is_late_number(self, error: ExchangeError) -> bool:
        """Whether the refusal may only mean that the call's number came too late: a read is then asked once more."""
        return False

    def probed(self, answer: bool | None, call: Call) -> Grant:  # noqa: FBT001  # None is the third answer
        """Return the grant a harmless call showed; None means it showed nothing."""
        if answer is None:
            return Grant()
        return Grant(Answer.YES if answer else Answer.NO, Proof.PROBED, self.context.clock(), call.label)

    def split_signed(self, request: OutgoingRequest) -> tuple[str, str, str]:
        """Return (host line, path, query) as the exchange sees them: the base URL's own path prefix is not signed."""
        host = httpx.URL(self.context.base_url).netloc.decode("ascii")
        path, _, query = request.url.removeprefix(self.context.base_url).partition("?")
        return host, path, query

    async def _ask(
        self,
        call: Call,
        *,
        query: Query = (),
        path: Mapping[str, str] | None = None,
        body: Json = None,
        expected: Expected = (),
        shape: Shape | None = None,
    ) -> Json:
        """Make one declared call, signed unless public, and return its body. Raises the error tree.

        `expected` names refusals that are a good answer here: "no such order" proves that orders may be cancelled.
        An answer of the given `shape` is returned as the shape's type.
        """
        _, answer = await self._send(call, query=query, path=path or {}, body=body, reading=Reading(expected, shape))
        return answer

    async def _collect(self, parts: Iterable[Part]) -> BalanceSheet:
        """Read account after account; one that fails is missing, never zero. Raises the first error when all fail."""
        return await collect_accounts(parts, http=self.context.http)

    async def _send(
        self, call: Call, *, query: Query, path: Mapping[str, str], body: Json, reading: Reading
    ) -> tuple[Reply, Json]:
        """Make a declared call, a read again after passing weather or a late number; each attempt leaves its evidence."""
        if not self.may_ask(call):
            raise UndeclaredCall(call=call.label)
        request = self._build(call, query=query, path=path, body=body)
        attempts = self.context.http.start_attempts(self.context.base_url, is_read=call.method == "GET" or call.reads)
        while True:
            try:
                return await self._attempt(call, request, attempts=attempts, reading=reading)
            except (Resting, StoodStill) as unsent:  # asked once, it met what it met: not asking again says no more
                raise attempts.met or unsent from None
            except ExchangeUnavailable as error:
                self._heed(error)
                is_answered = self.evidence[-1].http_status is not None
                if not await attempts.wait_to_retry(error, is_answered=is_answered):
                    raise
            except ExchangeError as error:
                if call.public or not self.is_late_number(error):
                    raise
                attempts.repeat_or_raise(error)

    async def _attempt(self, call: Call, request: OutgoingRequest, *, attempts: Attempts, reading: Reading) -> tuple[Reply, Json]:
        asked_at = self.context.clock()
        reply: Reply | None = None
        outcome = "internal"
        try:
            self._refuse_while_resting(call)
            reply = await self._transmit(request, call=call, attempts=attempts)
            answer = self._judge(reply, call=call, reading=reading)
            outcome = "ok"
        except ClockSkew as error:
            self.context.offset.forget()
            outcome = error.code
            raise
        except ExchangeError as error:
            outcome = error.code
            raise
        finally:
            took = reply.latency_ms if reply else round((self.context.clock() - asked_at).total_seconds() * 1000)
            status = reply.status if reply else None
            self.evidence.append(CallEvidence(call.label, asked_at, outcome, status, took))
        return reply, answer

    async def _transmit(self, request: OutgoingRequest, *, call: Call, attempts: Attempts) -> Reply:
        limits = [limit for limit in self.exchange.host_limits if call.path.startswith(limit.path)]

        async def send(sign: Sign | None = None) -> Reply:
            within = attempts.take_seconds()
            if self.ends_at is not None:
                within = min(within, self.ends_at - self.context.http.monotonic())
            return await self.context.http.send(request, sign=sign, call=call.label, limits=limits, within_seconds=within)

        if call.public:
            return await send()
        async with self.context.turn.take_for(call, exchange=self.exchange):
            return await send(self.sign)

    def _heed(self, error: ExchangeUnavailable) -> None:
        """Keep the wait that the exchange itself asked for: nothing is asked with this key before it is over."""
        if self.evidence[-1].http_status is not None and error.retry_after_seconds:
            self._rests_until = self.context.http.monotonic() + error.retry_after_seconds

    def _refuse_while_resting(self, call: Call) -> None:
        left = 0.0 if self._rests_until is None else self._rests_until - self.context.http.monotonic()
        if left > 0:
            raise RateLimited(call=call.label, retry_after_seconds=left)

    def _build(self, call: Call, *, query: Query, path: Mapping[str, str], body: Json) -> OutgoingRequest:
        if any(value in ("", ".", "..") for value in path.values()):
            raise UndeclaredCall(call=call.label)  # an empty id can turn "cancel one" into "cancel all"
        filled = call.path.format(**{name: quote(value, safe="") for name, value in path.items()})
        url = f"{self.context.base_url}{filled}" + (f"?{encode_query(query)}" if query else "")
        content = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json"} if body is not None else {}
        return OutgoingRequest(call.method, url, headers, content)

    def _judge(self, reply: Reply, *, call: Call, reading: Reading = PLAINLY) -> Json:
        """Return the body of a good answer; turn every other one into the error tree. The body decides, not the status."""
        if reading.shape is not None and 200 <= reply.status < 300 and (shaped := reading.shape.read(reply.content)) is not None:
            return shaped
        try:
            body = parse_json(reply.content)
        except ValueError:
            raise name_weather(reply, call=call.label) from None
        refusal = self.find_refusal(reply.status, body)
        if refusal is None and 200 <= reply.status < 300:
            return body
        code, told = refusal or ("", "")
        if refusal and any(code == wanted and text.lower() in told.lower() for wanted, text in reading.expected):
            return body
        told = self._clean_words(told)
        row = next((row for row in self.refusals if row.matches(status=reply.status, code=code, text=told)), None)
        if row is None:
            error = name_weather(reply, call=call.label, told=told or self._clean_words(code))
        else:
            error = self.explain(row.error, told=told, reply=reply, call=call)
        error.told_code = self._clean_words(code)[:_CODE_CAP]
        raise error

    def _clean_words(self, told: str) -> str:
        """Return the exchange's words on one short line, our secrets and whatever looks like a signature masked."""
        for secret in self.context.secrets.values.values():
            told = secret.hide_in(told)
        told = _LONG_TOKEN.sub(MASK, told)
        return "".join(letter if letter.isprintable() else " " for letter in told)[:_WORDS_CAP]

    def explain(self, error: type[ExchangeError], *, told: str, reply: Reply, call: Call) -> ExchangeError:
        """Make the error for a matched refusal; adapters override it to add what the words tell (an address …)."""
        return error(told, call=call.label, retry_after_seconds=parse_retry_after(reply))
