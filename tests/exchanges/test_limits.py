"""The limits per host: no window ever holds more calls than allowed, and no call waits for long."""

import itertools

import pytest

from app.exchanges.errors import RateLimited
from app.exchanges.limits import HostLimits
from app.exchanges.types import CallLimit
from tests.exchanges.stage import KINDS, SLUGS

ORIGIN = "https://api.example.org"


class Bench:
    """Limits on a clock that stands still but for waits; `left_at` holds when each call went out."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.limits = HostLimits(monotonic=lambda: self.now, sleep=self.sleep)
        self.waits: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    async def ask(self, *limits: CallLimit, within_seconds: float = 10, origin: str = ORIGIN) -> float:
        """Return when the call may go out."""
        before = len(self.waits)
        await self.limits.wait_for_place(origin, limits=limits, call="GET /", within_seconds=within_seconds)
        return self.now + sum(self.waits[before:])


async def test_no_window_holds_more_than_allowed() -> None:
    bench, limit, wallet = Bench(), CallLimit(5), CallLimit(2, path="/wallet")
    moments: list[float] = []
    paid: list[float] = []
    for number in range(60):
        bench.now += (number % 7) * 0.05
        is_wallet = number % 3 == 0
        try:
            moment = await bench.ask(*([limit, wallet] if is_wallet else [limit]))
        except RateLimited:
            bench.now += 1
            continue
        moments.append(moment)
        if is_wallet:
            paid.append(moment)
    assert len(moments) > 40
    for times, calls in ((moments, 5), (paid, 2)):
        for end in times:
            assert sum(end - 1.0 + 1e-9 < moment <= end for moment in times) <= calls


async def test_a_place_too_far_away_is_refused_unsent_and_taken_by_nobody() -> None:
    bench, limit = Bench(), CallLimit(1, seconds=2)
    assert await bench.ask(limit) == 1000
    assert await bench.ask(limit) == pytest.approx(1002.2)
    with pytest.raises(RateLimited) as caught:
        await bench.ask(limit)
    assert caught.value.retry_after_seconds == pytest.approx(4.4)
    with pytest.raises(RateLimited):
        await bench.ask(limit, within_seconds=0.5)
    bench.now += 2
    assert await bench.ask(limit) == pytest.approx(1004.4)


async def test_a_call_that_stood_still_takes_another_place() -> None:
    """A process that was stopped, or starved, must not send at once what it had spread over a second."""
    now = [1000.0]
    left: list[float] = []
    slept: list[float] = []

    async def oversleep(seconds: float) -> None:
        now[0] += seconds + (0.0 if slept else 2.0)
        slept.append(seconds)

    limits = HostLimits(monotonic=lambda: now[0], sleep=oversleep)
    for _ in range(4):
        await limits.wait_for_place(ORIGIN, limits=[CallLimit(2)], call="GET /", within_seconds=10)
        left.append(now[0])
    assert all(later - earlier >= 0.5 for earlier, later in itertools.pairwise(left)), left
    assert left[1] > 1002.5, "the first place had gone: another one was taken"
    now[0] = left[-1] + 0.1
    with pytest.raises(RateLimited):
        await limits.wait_for_place(ORIGIN, limits=[CallLimit(2)], call="GET /", within_seconds=0.3)


async def test_hosts_do_not_share() -> None:
    bench, limit = Bench(), CallLimit(1)
    await bench.ask(limit)
    assert await bench.ask(limit, origin="https://other.example.org") == bench.now
    assert await bench.ask() == bench.now


WEIGHTS = {"/api/v3/account": 20, "/api/v3/time": 1}  # docs/exchanges/binance.md; /sapi has a budget of its own
WEIGHT_A_MINUTE = 6000


@pytest.mark.parametrize("mix", [(1, 0), (0, 1), (1, 1), (1, 3), (8, 1)], ids=str)
async def test_no_mix_of_calls_exceeds_binances_weight_of_a_minute(mix: tuple[int, int]) -> None:
    """As many calls as there are places for, in three minutes and each as late in its place as it may be."""
    limits = KINDS["binance"].exchange.host_limits
    now = 1000.0

    async def oversleep(seconds: float) -> None:
        nonlocal now
        now += seconds + (0.09 if len(sent) % 2 else 0.0)

    places = HostLimits(monotonic=lambda: now, sleep=oversleep)
    paths = ["/api/v3/account"] * mix[0] + ["/api/v3/time"] * mix[1]
    sent: list[tuple[float, int]] = []
    for path in itertools.cycle(paths):
        here = [limit for limit in limits if path.startswith(limit.path)]
        await places.wait_for_place(ORIGIN, limits=here, call=path, within_seconds=10)
        sent.append((now, WEIGHTS[path]))
        if now > 1180:
            break
    most = max(sum(weight for moment, weight in sent if end - 60 < moment <= end) for end, _ in sent)
    assert most <= 0.9 * WEIGHT_A_MINUTE
    assert mix != (1, 0) or most > 0.8 * WEIGHT_A_MINUTE, "more careful than it need be"


@pytest.mark.parametrize("slug", SLUGS)
def test_every_exchange_names_its_limits(slug: str) -> None:
    kind = KINDS[slug]
    assert kind.exchange.host_limits
    for limit in kind.exchange.host_limits:
        assert limit.calls > 0
        assert limit.seconds > 0
        assert any(call.path.startswith(limit.path) for call in kind.calls), "a limit that no call meets"
