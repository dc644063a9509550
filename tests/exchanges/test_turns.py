"""One call at a time per key, numbers that only rise, and never more calls a second than allowed."""

import asyncio
from urllib.parse import parse_qs

import httpx
import pytest

from app.exchanges.errors import ExchangeError
from app.exchanges.turns import KeyTurn, KeyTurns
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
        async with turn.take(2):
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
        async with turn.take(0):
            raise LookupError
    async with turn.take(0):
        assert turn.is_taken


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
