"""Repeats: reads only, twice at most, within one deadline and a budget, and each attempt leaves its evidence."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

import httpx
import pytest

from app.exchanges.adapter import ExchangeAdapter
from app.exchanges.breaker import FAILURES_TO_OPEN, Admission
from app.exchanges.errors import (
    ExchangeError,
    KeyRefused,
    Maintenance,
    OutOfService,
    RateLimited,
    Resting,
    StoodStill,
    Unreachable,
)
from app.exchanges.retry import RetryBudget
from app.exchanges.traffic import Lane, LocalTraffic
from app.exchanges.turns import KeyTurn
from app.exchanges.types import Call, CallLimit
from tests.exchanges.stage import KINDS, SLUGS, FakeExchange, LeapClock, load_fixture, make_adapter, make_response

GOOD = "good"


class Unlimited(LocalTraffic):
    """Breakers without limits."""

    def admit(
        self, lane: Lane, *, limits: Sequence[CallLimit], call: str, within_seconds: float
    ) -> AbstractAsyncContextManager[Admission]:
        return super().admit(lane, limits=(), call=call, within_seconds=within_seconds)


class Bench:
    """An adapter whose first signed read meets the given answers in turn, then good ones."""

    def __init__(self, slug: str, *answers: Any, deadline_seconds: float = 10) -> None:
        fixture = load_fixture(slug)
        self.fake = FakeExchange(KINDS[slug], fixture["replies"])
        self.answers: Iterator[Any] = iter(answers)
        self.adapter = make_adapter(
            KINDS[slug], fixture, httpx.MockTransport(self.answer), deadline_seconds=deadline_seconds, probes="all"
        )
        http = self.adapter.context.http
        self.clock: LeapClock = http.monotonic.__self__  # type: ignore[attr-defined]  # the stage's clock
        http.traffic = Unlimited(monotonic=self.clock.read, sleep=self.clock.sleep)  # every wait is one before a repeat

    def answer(self, request: httpx.Request) -> httpx.Response:
        good = self.fake.answer(request)
        bad = GOOD if self.fake.seen[-1].public else next(self.answers, GOOD)
        if isinstance(bad, Exception):
            raise bad
        return good if bad == GOOD else make_response(bad)

    @property
    def outcomes(self) -> list[str]:
        return [entry.outcome for entry in self.adapter.evidence]


WEATHER = [
    {"status": 502, "text": "Bad Gateway"},
    {"status": 503, "text": ""},
    {"status": 429, "text": ""},
    httpx.ConnectError("no"),
]


@pytest.mark.parametrize("slug", SLUGS)
@pytest.mark.parametrize("weather", WEATHER, ids=["502", "503", "429", "refused"])
async def test_a_read_is_tried_again(slug: str, weather: Any) -> None:
    bench = Bench(slug, weather, weather)
    assert (await bench.adapter.fetch_balances()).missing == ()
    assert bench.outcomes[:3] == [bench.outcomes[0]] * 2 + ["ok"]
    assert bench.outcomes[0] != "ok"
    assert len(bench.clock.waits) == 2
    assert [entry.call for entry in bench.adapter.evidence[:3]] == [bench.adapter.evidence[0].call] * 3


@pytest.mark.parametrize("slug", SLUGS)
async def test_twice_at_most(slug: str) -> None:
    bench = Bench(slug, *[{"status": 502, "text": ""}] * 3)
    try:
        sheet = await bench.adapter.fetch_balances()
    except ExchangeError as error:
        assert error.code == "exchange_unavailable"  # noqa: PT017  # exchanges with several accounts answer in part
    else:
        assert len(sheet.missing) == 1
    assert bench.outcomes[:3] == ["exchange_unavailable"] * 3
    assert bench.outcomes[3:] == ["ok"] * len(bench.outcomes[3:])


@pytest.mark.parametrize("slug", SLUGS)
async def test_a_refused_key_is_never_tried_again(slug: str) -> None:
    kind = KINDS[slug]
    for case in load_fixture(slug)["refusals"]:
        bench = Bench(slug, *[case] * 20)
        with pytest.raises(ExchangeError) as caught:
            await bench.adapter.check()
        if isinstance(caught.value, KeyRefused):
            assert bench.clock.waits == []
            asked = [call for call in bench.fake.seen if not call.public]
            assert kind.exchange.one_call_at_a_time or len(asked) == len(set(asked))


def list_changing(kind: type[ExchangeAdapter]) -> list[Call]:
    return [call for call in kind.calls if call.method != "GET" and not call.reads]


@pytest.mark.parametrize(("slug", "call"), [(slug, call) for slug in SLUGS for call in list_changing(KINDS[slug])])
async def test_what_is_no_read_is_asked_once(slug: str, call: Call) -> None:
    bench = Bench(slug, *[{"status": 502, "text": ""}] * 5)
    names = {name: "1" for name in ("id", "account_id") if f"{{{name}}}" in call.path}
    with pytest.raises(ExchangeError):
        await bench.adapter._ask(call, path=names, body=None if call.method == "DELETE" else {})
    assert len(bench.outcomes) == 1


def find_read(kind: type[ExchangeAdapter]) -> Call:
    reads = [call for call in kind.calls if not call.public and (call.method == "GET" or call.reads) and "{" not in call.path]
    return reads[0]


READ = {slug: find_read(KINDS[slug]) for slug in SLUGS}


@pytest.mark.parametrize("slug", sorted(READ))
async def test_retry_after_is_heeded_up_to_a_cap(slug: str) -> None:
    short = {"status": 429, "text": "", "headers": {"Retry-After": "2"}}
    bench = Bench(slug, short)
    await bench.adapter._ask(READ[slug])
    assert 2 <= bench.clock.waits[0] <= 3
    bench = Bench(slug, {**short, "headers": {"Retry-After": "30"}})
    with pytest.raises(RateLimited) as caught:
        await bench.adapter._ask(READ[slug])
    assert caught.value.retry_after_seconds == 30
    asked = len(bench.fake.seen)
    with pytest.raises(RateLimited) as caught:
        await bench.adapter._ask(READ[slug])
    assert 29 < (caught.value.retry_after_seconds or 0) <= 30
    assert len(bench.fake.seen) == asked, "asked again before the time the exchange named"
    bench.clock.leapt += 30
    assert await bench.adapter._ask(READ[slug])


@pytest.mark.parametrize("slug", sorted(READ))
async def test_no_attempt_beyond_the_deadline(slug: str) -> None:
    bench = Bench(slug, *[{"status": 502, "text": ""}] * 5, deadline_seconds=0.0001)
    with pytest.raises(ExchangeError):
        await bench.adapter._ask(READ[slug])
    assert bench.clock.waits == []


@pytest.mark.parametrize("slug", sorted(READ))
async def test_none_after_the_callers_time_is_up(slug: str) -> None:
    asked = 0

    async def stay_silent(request: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        await asyncio.sleep(60)
        return httpx.Response(200)

    adapter = make_adapter(KINDS[slug], load_fixture(slug), httpx.MockTransport(stay_silent))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await adapter._ask(READ[slug])
    assert asked == 1


def test_the_budget_is_a_tenth_with_a_small_floor() -> None:
    now = 0.0
    budget = RetryBudget(monotonic=lambda: now)

    def spend() -> int:
        taken = 0
        while budget.take_retry():
            taken += 1
        return taken

    budget.note_call()
    assert spend() == 3
    for _ in range(99):
        budget.note_call()
    assert spend() == 7
    assert budget.count() == (100, 10)
    now = 60.0
    assert budget.count() == (0, 0)
    assert spend() == 3


@pytest.mark.parametrize("slug", sorted(READ))
async def test_an_exchange_that_is_down_is_left_alone(slug: str) -> None:
    fake = FakeExchange(KINDS[slug], {call.label: {"status": 502, "text": ""} for call in KINDS[slug].calls})
    adapter = make_adapter(KINDS[slug], load_fixture(slug), httpx.MockTransport(fake.answer))
    for _ in range(20):
        with pytest.raises(ExchangeError) as caught:
            await adapter._ask(READ[slug])
    assert isinstance(caught.value, Resting)
    assert not isinstance(caught.value, Unreachable)
    assert len(fake.seen) == FAILURES_TO_OPEN
    health = adapter.context.http.describe_health()
    assert [one.breaker.state.value for one in health if one.breaker.failures] == ["open"]


@pytest.mark.parametrize("slug", sorted(READ))
async def test_a_call_that_is_not_asked_again_ends_by_what_it_met(slug: str) -> None:
    """Its first attempt opened the breaker: that it was not repeated says less than the answer it had."""
    bench = Bench(slug, *[{"status": 503, "text": ""}] * 9)
    traffic, http = bench.adapter.context.http.traffic, bench.adapter.context.http
    lane = Lane(
        http.way, next(one.origin for one in http.describe_health() if bench.adapter.context.base_url.startswith(one.origin))
    )
    for _ in range(FAILURES_TO_OPEN - 1):
        with pytest.raises(Unreachable):
            async with traffic.admit(lane, limits=(), call="c", within_seconds=1):
                raise Unreachable
    with pytest.raises(Maintenance):
        await bench.adapter._ask(READ[slug])
    assert [(entry.outcome, entry.http_status) for entry in bench.adapter.evidence] == [
        ("maintenance", 503),
        ("exchange_unavailable", None),
    ]
    with pytest.raises(Resting):
        await bench.adapter._ask(READ[slug])


@pytest.mark.parametrize("slug", [slug for slug in sorted(READ) if KINDS[slug].exchange.one_call_at_a_time])
@pytest.mark.parametrize("is_late_number", [False, True])
async def test_a_repeat_that_waits_too_long_for_its_turn_ends_by_what_the_call_met(slug: str, is_late_number: bool) -> None:
    late = next(case for case in load_fixture(slug)["refusals"] if case["name"] == "late number")
    first = late if is_late_number else {"status": 502, "text": ""}
    bench = Bench(slug, *[first] * 9)

    class Busy(LocalTraffic):
        turns = 0

        async def take_turn(self, key_id: str) -> int:
            self.turns += 1
            bench.clock.leapt += 0.0 if self.turns == 1 else 14.0
            return 0

    async def no_wait(_: float) -> None:
        pass

    bench.adapter.context = replace(bench.adapter.context, turn=KeyTurn(sleep=no_wait, key_id="k", keeper=Busy()))
    with pytest.raises(ExchangeError) as met:
        await bench.adapter._ask(READ[slug])
    assert not isinstance(met.value, StoodStill | KeyRefused)
    assert isinstance(met.value, OutOfService) is not is_late_number
    assert [entry.http_status for entry in bench.adapter.evidence] == [first["status"], None]
