"""The learned clock: used within bounds, never beyond, and dropped when the exchange does not agree."""

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
