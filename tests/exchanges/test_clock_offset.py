"""The learned clock: used within bounds, never beyond, and dropped when the exchange does not agree."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from app.exchanges.clock_offset import OFFSET_CAP_SECONDS, ClockOffset
from app.exchanges.errors import ClockSkew, ExchangeError, KeyRefused
from app.exchanges.types import ClockReading
from tests.exchanges.stage import KINDS, SLUGS, FakeExchange, load_fixture, make_adapter, make_response, stage

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SKEWS = [seconds * sign for seconds in (1, 30, 90, 590, 700, 3600, 31_536_000) for sign in (1, -1)]


def test_learned_within_bounds_only() -> None:
    now = 0.0
    offset = ClockOffset(monotonic=lambda: now)
    assert offset.ahead_seconds is None
    assert offset.correct(NOW) == NOW
    assert offset.learn(90.0)
    assert offset.correct(NOW) == NOW - timedelta(seconds=90)
    assert offset.learn(0.9)
    assert offset.correct(NOW) == NOW
    assert offset.learn(-OFFSET_CAP_SECONDS)
    for beyond in (OFFSET_CAP_SECONDS + 1, -1e9, float("nan"), float("inf")):
        offset.learn(100.0)
        assert not offset.learn(beyond)
        assert offset.ahead_seconds is None
    offset.learn(100.0)
    now = 3601.0
    assert offset.correct(NOW) == NOW


def tell_time(slug: str, now: datetime) -> dict[str, Any]:
    """Return replies whose clock says `now`, by header and by whatever the body says."""
    fixture = load_fixture(slug)
    label = KINDS[slug].clock_call.label
    reply = fixture["replies"][label]
    then = datetime.fromisoformat(fixture["now"])
    text = make_response(reply).text
    for unit in (1, 1000):
        text = text.replace(str(round(then.timestamp() * unit)), str(round(now.timestamp() * unit)))
    return {label: {"text": text, "headers": {"Date": now.strftime("%a, %d %b %Y %H:%M:%S GMT")}}}


@pytest.mark.parametrize("skew", SKEWS)
@pytest.mark.parametrize("slug", SLUGS)
async def test_a_wrong_clock_is_corrected_or_told_but_never_the_keys_fault(slug: str, skew: int) -> None:
    now = datetime.fromisoformat(load_fixture(slug)["now"]) + timedelta(seconds=skew)
    theirs = now - timedelta(seconds=skew)
    adapter, _ = stage(slug, replies=tell_time(slug, theirs), now=now)
    told: ClockReading | ExchangeError
    try:
        told = await adapter.read_clock()
    except ExchangeError as error:
        told = error
    if abs(skew) > OFFSET_CAP_SECONDS:
        assert isinstance(told, ClockSkew)
        assert told.skew_seconds == pytest.approx(skew, abs=1)
        assert adapter.read_signing_time() == now
    else:
        assert isinstance(told, ClockReading)
        assert told.is_corrected == (abs(skew) > adapter.skew_limit_seconds)
        assert abs((adapter.read_signing_time() - theirs).total_seconds()) <= 2
    try:
        await adapter.check()
    except ExchangeError as error:
        assert not isinstance(error, KeyRefused)  # noqa: PT017  # weather may pass or fail here


def find_late(slug: str) -> list[dict[str, Any]]:
    return [case for case in load_fixture(slug)["refusals"] if case["error"] == "clock_skew"]


@pytest.mark.parametrize("slug", [slug for slug in SLUGS if find_late(slug)])
async def test_an_offset_that_the_exchange_refuses_is_dropped(slug: str) -> None:
    fixture, late = load_fixture(slug), find_late(slug)
    fake = FakeExchange(KINDS[slug], {call.label: late[0] for call in KINDS[slug].calls})
    adapter = make_adapter(KINDS[slug], fixture, httpx.MockTransport(fake.answer))
    adapter.context.offset.learn(120.0)
    with pytest.raises(ClockSkew):
        await adapter.check()
    assert adapter.context.offset.ahead_seconds is None


@pytest.mark.parametrize("known", [None, 0.0, 0.4, 90.0])
@pytest.mark.parametrize("stall", [3.0, 9.0])
def test_an_answer_that_was_held_up_never_makes_what_is_known_worse(known: float | None, stall: float) -> None:
    """Whatever the truth, and wherever on the way the time was lost."""
    for truth in (-30.0, 0.0, 0.3, 90.0):
        for share in (0.0, 0.5, 1.0):
            offset = ClockOffset(monotonic=lambda: 0.0)
            if known is not None:
                offset.learn(known)
            assert offset.learn(truth + stall * (share - 0.5), doubt_seconds=stall / 2)
            assert offset.ahead_seconds is not None
            assert abs(offset.ahead_seconds - truth) <= abs((known or 0.0) - truth)
            if known == truth:
                assert offset.ahead_seconds == truth
    assert not offset.learn(OFFSET_CAP_SECONDS + stall, doubt_seconds=stall / 2)


@pytest.mark.parametrize("slug", SLUGS)
@pytest.mark.parametrize("is_late_at", ["the exchange", "the way back", "home"])
async def test_a_clock_call_that_was_held_up_teaches_no_wrong_time(slug: str, is_late_at: str) -> None:
    now = [datetime.fromisoformat(load_fixture(slug)["now"])]
    adapter, fake = stage(slug)
    http = adapter.context.http
    clock = http.monotonic.__self__  # type: ignore[attr-defined]  # the stage's clock
    adapter.context = replace(adapter.context, clock=lambda: now[0])

    def lose(seconds: float) -> None:
        now[0] += timedelta(seconds=seconds)
        clock.leapt += seconds

    def answer(_: httpx.Request) -> httpx.Response:
        if is_late_at == "the exchange":
            lose(4.5)
        reply = make_response(tell_time(slug, now[0])[KINDS[slug].clock_call.label])
        if is_late_at == "the way back":
            lose(4.5)
        return reply

    fake.replies[KINDS[slug].clock_call.label] = answer
    send = http.send

    async def send_and_wait(*args: Any, **options: Any) -> Any:
        reply = await send(*args, **options)
        lose(8.0 if is_late_at == "home" else 0.0)
        return reply

    http.send = send_and_wait  # type: ignore[method-assign]  # what follows an answer may take its time, too
    told = await adapter.read_clock()
    assert told.ahead_seconds == pytest.approx(0, abs=1)
    assert adapter.read_signing_time() == now[0]
