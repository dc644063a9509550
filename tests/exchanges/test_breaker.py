"""The breaker: opens on weather alone, lets one probe out every half minute, and says since when and until when."""

import contextlib

import pytest

from app.exchanges.breaker import FAILURES_TO_OPEN, PROBE_EVERY_SECONDS, Breaker, BreakerState
from app.exchanges.errors import OutOfService, RateLimited, Resting, Unreachable


class Bench:
    def __init__(self) -> None:
        self.now = 50.0
        self.breaker = Breaker(monotonic=lambda: self.now)

    @property
    def state(self) -> BreakerState:
        return self.breaker.read().state

    def ask(self, outcome: int | BaseException = 200) -> None:
        try:
            with self.breaker.admit(call="GET /") as admission:
                if isinstance(outcome, BaseException):
                    raise outcome
                admission.status = outcome
        except (Unreachable, OutOfService, RateLimited, KeyboardInterrupt):
            pass

    def open(self) -> None:
        for _ in range(FAILURES_TO_OPEN):
            self.ask(Unreachable())


@pytest.mark.parametrize("failure", [Unreachable(), OutOfService(), 500, 503, 599])
def test_weather_opens_it(failure: int | BaseException) -> None:
    bench = Bench()
    for _ in range(FAILURES_TO_OPEN):
        assert bench.state is BreakerState.CLOSED
        bench.ask(failure)
        bench.now += 1
    assert bench.state is BreakerState.OPEN
    with pytest.raises(Resting) as caught:
        bench.ask()
    assert caught.value.failing_for_seconds == FAILURES_TO_OPEN
    assert caught.value.retry_after_seconds == PROBE_EVERY_SECONDS - 1
    assert caught.value.code == "exchange_unavailable"
    assert caught.value.who_acts == "exchange"


@pytest.mark.parametrize("answer", [200, 302, 400, 401, 403, 404, 418, 429, 451])
def test_answers_never_count_and_make_good(answer: int) -> None:
    bench = Bench()
    for _ in range(3 * FAILURES_TO_OPEN):
        bench.ask(answer)
    for _ in range(3):
        for _ in range(FAILURES_TO_OPEN - 1):
            bench.ask(500)
        bench.ask(answer)
    assert bench.state is BreakerState.CLOSED
    assert bench.breaker.read().failing_for_seconds is None


def test_what_is_no_verdict_counts_neither_way() -> None:
    bench = Bench()
    for _ in range(FAILURES_TO_OPEN - 1):
        bench.ask(500)
    for outcome in (RateLimited(), KeyboardInterrupt()):
        bench.ask(outcome)
    assert bench.breaker.read().failures == FAILURES_TO_OPEN - 1
    bench.ask(500)
    assert bench.state is BreakerState.OPEN


def test_one_probe_at_a_time_and_a_failed_one_waits_again() -> None:
    bench = Bench()
    bench.open()
    bench.now += PROBE_EVERY_SECONDS
    with bench.breaker.admit(call="probe") as admission:
        assert bench.state is BreakerState.PROBING
        with pytest.raises(Resting):
            bench.ask()
        admission.status = 502
    assert bench.state is BreakerState.OPEN
    reading = bench.breaker.read()
    assert reading.next_try_in_seconds == PROBE_EVERY_SECONDS
    assert reading.failing_for_seconds == PROBE_EVERY_SECONDS
    bench.now += PROBE_EVERY_SECONDS
    bench.ask(401)
    assert bench.state is BreakerState.CLOSED
    bench.ask()


def test_a_probe_given_up_leaves_room_for_the_next() -> None:
    bench = Bench()
    bench.open()
    bench.now += PROBE_EVERY_SECONDS
    bench.ask(KeyboardInterrupt())
    assert bench.state is BreakerState.OPEN
    bench.ask(200)
    assert bench.state is BreakerState.CLOSED


def test_stragglers_neither_put_off_the_probe_nor_are_lost() -> None:
    bench = Bench()
    with bench.breaker.admit(call="late") as late, bench.breaker.admit(call="good") as good:
        bench.open()
        bench.now += 10
        late.status = 500
        good.status = 500
    assert bench.breaker.read().next_try_in_seconds == PROBE_EVERY_SECONDS - 10
    with pytest.raises(Resting):
        bench.ask()


def test_a_probe_that_left_and_came_to_nothing_counts_as_one() -> None:
    bench = Bench()
    bench.open()
    bench.now += PROBE_EVERY_SECONDS
    with contextlib.suppress(KeyboardInterrupt), bench.breaker.admit(call="probe") as admission:
        admission.is_sent = True
        bench.now += 2
        raise KeyboardInterrupt
    assert bench.breaker.read().next_try_in_seconds == PROBE_EVERY_SECONDS
    with pytest.raises(Resting):
        bench.ask()
    bench.now += PROBE_EVERY_SECONDS
    bench.ask(200)
    assert bench.state is BreakerState.CLOSED
