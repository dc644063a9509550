"""One call at a time per key, numbers that only rise, and never more calls a second than allowed."""

import asyncio
from urllib.parse import parse_qs

import httpx
import pytest

from app.exchanges.adapter import ExchangeAdapter
from app.exchanges.errors import ExchangeError, RateLimited
from app.exchanges.http import find_origin
from app.exchanges.retry import RetryBudget
from app.exchanges.traffic import LocalTraffic
from app.exchanges.turns import KeyTurn, KeyTurns
from app.exchanges.types import Call, CallLimit, Exchange
from tests.exchanges.stage import KINDS, FakeExchange, load_fixture, make_adapter, make_response, stage

ONE_AT_A_TIME = sorted(slug for slug, kind in KINDS.items() if kind.exchange.one_call_at_a_time)


def test_numbers_rise_even_when_the_clock_does_not() -> None:
    turn = KeyTurn()
    assert [turn.next_number(now) for now in (100, 100, 99, 105, 50)] == [100, 101, 102, 105, 106]


async def test_calls_wait_for_each_other_and_for_the_second() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    turn = KeyTurn(sleep=sleep)
    inside = 0

    async def call() -> None:
        nonlocal inside
        async with turn.take(CallLimit(2)):
            inside += 1
            assert inside == 1
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(call() for _ in range(4)))
    assert len(slept) == 2
    assert all(0 < seconds <= 1 for seconds in slept)
    assert not turn.is_taken


async def test_a_failed_call_gives_the_turn_back() -> None:
    turn = KeyTurn()
    with pytest.raises(LookupError):
        async with turn.take():
            raise LookupError
    async with turn.take():
        assert turn.is_taken


class SteadyClock:
    """The event loop's time, standing still but for waits."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: self.now)

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


async def make_calls(turn: KeyTurn, call: Call, exchange: Exchange, *, times: int) -> None:
    for _ in range(times):
        async with turn.take_for(call, exchange=exchange):
            pass


async def test_a_key_stays_below_krakens_counter(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often it is asked: the counter of the lowest tier grows by 1, falls by 0.33 a second and may reach 15."""
    kind = KINDS["kraken"]
    call = next(call for call in kind.calls if call.reads)
    clock = SteadyClock(monkeypatch)
    turn = KeyTurn(sleep=clock.sleep, keeper=LocalTraffic())
    counter, highest, last = 0.0, 0.0, clock.now
    waits: list[float] = []
    for _ in range(400):
        try:
            async with turn.take_for(call, exchange=kind.exchange):
                counter = max(0.0, counter - 0.33 * (clock.now - last)) + 1
                highest, last = max(highest, counter), clock.now
        except RateLimited as error:
            waits.append(error.retry_after_seconds or 0)
            clock.now += 0.7
    assert 8 < highest < 15
    assert all(3 < wait <= 40 for wait in waits)
    assert waits
    clock.now += 60
    before = clock.now
    await make_calls(turn, call, kind.exchange, times=4)
    assert clock.now - before <= 3, "a check alone is held up by nothing but the pace of one a second"


async def test_a_call_with_a_pace_of_its_own_waits_for_itself_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTX: the user's number and the list of keys, each once a second, whoever asks; one check asks each of them once."""
    kind = KINDS["htx"]
    paced = [call for call in kind.calls if call.calls_per_second]
    assert {call.path for call in paced} == {"/v2/user/uid", "/v2/user/api-key"}
    clock = SteadyClock(monkeypatch)
    turn = KeyTurn(sleep=clock.sleep)
    for call in kind.calls:
        await make_calls(turn, call, kind.exchange, times=1)
    assert clock.now == 1000, "a check is slowed by nothing"
    for call in paced:
        await make_calls(turn, call, kind.exchange, times=1)
    assert clock.now == 1001, "the next one within the second waits, once"
    await make_calls(turn, paced[0], kind.exchange, times=2)
    assert clock.now == 1003


def test_turns_are_kept_per_key_and_forgotten_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.exchanges.turns._KEYS_CAP", 2)
    turns = KeyTurns()
    first = turns.get("a")
    assert turns.get("a") is first
    assert [turns.get(key) for key in ("b", "c")]
    assert turns.get("a") is not first


def read_number(request: httpx.Request) -> str | None:
    """Return the rising number of a signed call: in a header, or the first field of the form."""
    return request.headers.get("x-nonce") or parse_qs(request.content.decode()).get("nonce", [None])[0]


@pytest.mark.parametrize("slug", ONE_AT_A_TIME)
async def test_the_number_rises_with_every_call(slug: str) -> None:
    adapter, fake = stage(slug, probes="all")
    for _ in range(2):
        await adapter.check()
        await adapter.fetch_balances()
    numbers = [int(number) for request in fake.requests if (number := read_number(request))]
    assert len(numbers) >= 4
    assert numbers == sorted(set(numbers))


class Late:
    """An adapter whose first signed calls meet a number that came too late, `times` of them, then good answers."""

    def __init__(self, slug: str, *, times: int = 1) -> None:
        kind, fixture = KINDS[slug], load_fixture(slug)
        self.refusal = next(case for case in fixture["refusals"] if case["name"] == "late number")
        self.times = times
        self.fake = FakeExchange(kind, fixture["replies"])
        self.adapter: ExchangeAdapter = make_adapter(kind, fixture, httpx.MockTransport(self.answer), probes="all")
        self.http = self.adapter.context.http
        self.budget: RetryBudget = self.http._budgets[find_origin(self.adapter.context.base_url)]

    def answer(self, request: httpx.Request) -> httpx.Response:
        good = self.fake.answer(request)
        if self.fake.seen[-1].public or self.times == 0:
            return good
        self.times -= 1
        return make_response(self.refusal)

    @property
    def outcomes(self) -> list[tuple[str, int | None]]:
        return [(evidence.outcome, evidence.http_status) for evidence in self.adapter.evidence]


@pytest.mark.parametrize("slug", ONE_AT_A_TIME)
async def test_a_late_number_is_asked_once_more(slug: str) -> None:
    late = Late(slug)
    assert (await late.adapter.fetch_balances()).balances
    assert late.outcomes == [("number_refused", late.refusal["status"]), ("ok", 200)]
    refused = Late(slug, times=99)
    with pytest.raises(ExchangeError, match="number_refused"):
        await refused.adapter.check()
    assert len(refused.outcomes) == 2


@pytest.mark.parametrize("slug", ONE_AT_A_TIME)
async def test_asking_once_more_counts_as_a_retry(slug: str) -> None:
    late = Late(slug)
    await late.adapter.fetch_balances()
    assert late.budget.count()[1] == 1
    while late.budget.take_retry():
        pass
    late.times = 1
    with pytest.raises(ExchangeError, match="number_refused"):
        await late.adapter.fetch_balances()
    assert len(late.outcomes) == 3, "asked beyond the budget"


@pytest.mark.parametrize("slug", ONE_AT_A_TIME)
async def test_one_deadline_holds_over_both_questions(slug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second question has the time the first one left, and is not asked when that is next to nothing."""
    for took, expected in ((3.0, [5.0, 2.0]), (4.8, [5.0])):
        late = Late(slug)
        allowed: list[float] = []
        send = late.http.send
        clock = late.http.monotonic.__self__  # type: ignore[attr-defined]  # the stage's clock

        async def note(request, *, within_seconds, send=send, allowed=allowed, clock=clock, took=took, **options):
            allowed.append(within_seconds)
            reply = await send(request, within_seconds=within_seconds, **options)
            clock.leapt += took
            return reply

        monkeypatch.setattr(late.http, "send", note)
        try:
            await late.adapter.fetch_balances()
        except ExchangeError as error:
            assert error.code == "number_refused"  # noqa: PT017  # only where the time was over
        assert allowed == pytest.approx(expected, abs=0.2)


@pytest.mark.parametrize(
    ("slug", "call"), [(slug, call) for slug in ONE_AT_A_TIME for call in KINDS[slug].calls if not call.public]
)
async def test_what_is_no_read_is_asked_once_whatever_the_number(slug: str, call: Call) -> None:
    late = Late(slug, times=9)
    with pytest.raises(ExchangeError):
        await late.adapter._ask(call, body={})
    assert len(late.fake.seen) == (2 if call.method == "GET" or call.reads else 1)


async def test_a_bare_401_that_could_not_be_heard_twice_is_no_verdict_on_the_key() -> None:
    late = Late("bitexbit", times=99)
    late.refusal = {"status": 401, "body": {"detail": "Authentication failed."}}
    while late.budget.take_retry():
        pass
    with pytest.raises(ExchangeError, match="unreachable"):
        await late.adapter.check()
    fresh = Late("bitexbit", times=99)
    fresh.refusal = late.refusal
    with pytest.raises(ExchangeError, match="invalid_key"):
        await fresh.adapter.check()


async def test_bitexbits_bare_401_may_be_a_late_number_and_a_named_reason_is_none() -> None:
    for words, asked in (("Invalid API key.", 2), ("", 2), ("Invalid signature.", 1), ("Your IP address is not allowed.", 1)):
        refusal = {"status": 401, "body": {"detail": words}}
        adapter, fake = stage("bitexbit", replies={call.label: refusal for call in KINDS["bitexbit"].calls})
        with pytest.raises(ExchangeError):
            await adapter.check()
        assert len(fake.seen) == asked, words
        adapter, fake = stage("bitexbit", probes="all", replies={"POST /api/gateway/withdraw/create": refusal})
        await adapter.check()
        assert [call.path for call in fake.seen].count("/api/gateway/withdraw/create") == 1
