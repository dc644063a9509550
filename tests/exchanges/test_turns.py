"""One call at a time per key, numbers that only rise, and never more calls a second than allowed."""

import asyncio
from urllib.parse import parse_qs

import httpx
import pytest

from app.exchanges.errors import ExchangeError, RateLimited
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


@pytest.mark.parametrize("slug", ONE_AT_A_TIME)
async def test_a_late_number_is_asked_once_more(slug: str) -> None:
    fixture = load_fixture(slug)
    kind = KINDS[slug]
    late = next(case for case in fixture["refusals"] if case["name"] == "late number")
    answers = [make_response(late)]
    fake = FakeExchange(kind, fixture["replies"])

    def answer(request: httpx.Request) -> httpx.Response:
        return answers.pop() if answers else fake.answer(request)

    adapter = make_adapter(kind, fixture, httpx.MockTransport(answer))
    assert (await adapter.fetch_balances()).balances
    outcomes = [(evidence.outcome, evidence.http_status) for evidence in adapter.evidence]
    assert outcomes == [("number_refused", late["status"]), ("ok", 200)]
    refused, _ = stage(slug, replies={call.label: late for call in kind.calls if not call.public})
    with pytest.raises(ExchangeError, match="number_refused"):
        await refused.check()
    assert len(refused.evidence) == 2
