"""What calls see of an exchange: judged from its sites and rests, shown to operators, and to whoever is about to connect."""

from datetime import timedelta
from typing import Any

from app.credentials.presentation import list_silent
from app.exchanges.breaker import BreakerState
from app.exchanges.health import RestingSite, SiteHealth
from app.exchanges.types import Environment
from app.operations.repository import CredentialCount
from app.operations.service import list_problems
from app.operations.weather import judge_weather
from tests.operations.rows import NOW, add_check, add_credential
from tests.pages import open_page
from tests.people import SignedIn

LIVE, DEMO = Environment.LIVE, Environment.DEMO


def make_site(
    *, environment: Environment = LIVE, state: BreakerState = BreakerState.CLOSED, failing: int | None = None, **values: Any
) -> SiteHealth:
    since = None if failing is None else NOW - timedelta(minutes=failing)
    calm = {"failures": 0, "next_try_at": None, "calls_last_minute": 3, "retries_last_minute": 1, "clock_ahead_seconds": None}
    return SiteHealth("htx", environment, "https://x", state, failing_since=since, **(calm | values))


def make_rest(minutes: int, *, environment: Environment = LIVE, way: str = "") -> RestingSite:
    return RestingSite("htx", environment, way, NOW - timedelta(minutes=minutes), NOW + timedelta(seconds=20))


def test_an_exchange_that_answers_is_not_failing() -> None:
    weather = judge_weather("htx", sites=[make_site(), make_site(way="b")], resting=[])
    assert (weather.failing_since, weather.next_try_at, weather.is_resting) == (None, None, False)
    assert (weather.calls_last_minute, weather.retries_last_minute) == (6, 2)


def test_a_rest_anywhere_in_the_instance_counts() -> None:
    weather = judge_weather("htx", sites=[make_site(failing=2)], resting=[make_rest(9, way="203.0.113.10"), make_rest(4)])
    assert weather.is_resting
    assert weather.failing_since == NOW - timedelta(minutes=9)
    assert weather.resting_ways == ("", "203.0.113.10")


def test_an_open_breaker_of_this_process_counts_too() -> None:
    open_site = make_site(state=BreakerState.OPEN, failing=3, next_try_at=NOW + timedelta(seconds=5))
    assert judge_weather("htx", sites=[open_site], resting=[]).next_try_at == NOW + timedelta(seconds=5)


def test_a_few_failures_are_told_but_are_no_rest() -> None:
    weather = judge_weather("htx", sites=[make_site(failing=1)], resting=[])
    assert (weather.failing_since, weather.is_resting) == (NOW - timedelta(minutes=1), False)


def test_the_test_site_of_an_exchange_says_nothing_of_its_real_one() -> None:
    sick = make_site(environment=DEMO, state=BreakerState.OPEN, failing=30, next_try_at=NOW)
    assert not judge_weather("htx", sites=[make_site(), sick], resting=[make_rest(30, environment=DEMO)]).is_resting
    assert list_silent([make_rest(30, environment=DEMO), make_rest(2), make_rest(7)]) == {"htx": NOW - timedelta(minutes=7)}


def test_a_clock_is_told_and_named_when_it_is_off() -> None:
    assert not judge_weather("htx", sites=[make_site(clock_ahead_seconds=0.4)], resting=[]).is_clock_off
    assert judge_weather("htx", sites=[make_site(clock_ahead_seconds=-8.0)], resting=[]).is_clock_off


def test_problems_come_with_the_operators_own_first() -> None:
    rows = [CredentialCount("htx", "ok", 50), CredentialCount("htx", "invalid_key", 9), CredentialCount("kraken", "paused", 2)]
    rows.append(CredentialCount("hitbtc", "clock_skew", 1))
    problems = list_problems(rows)
    assert [(one.exchange, one.code, one.count, one.who_acts) for one in problems] == [
        ("hitbtc", "clock_skew", 1, "operator"),
        ("htx", "invalid_key", 9, "trader"),
    ]
    assert all(one.words.endswith(".") for one in problems)


async def test_an_exchange_that_rests_is_shown_first_and_warned_of_before_connecting(app: Any, signed_in: SignedIn) -> None:
    async def list_resting() -> list[RestingSite]:
        return [
            RestingSite("htx", LIVE, "", app.state.clock() - timedelta(minutes=71), app.state.clock() + timedelta(seconds=20))
        ]

    async with app.state.database.write() as session:
        credential_id = add_credential(session, signed_in.user_id)
        await session.flush()
        await add_check(session, credential_id, code="invalid_key", at=app.state.clock())
    calm = await open_page(signed_in.client, "/operations")
    assert calm.find(data_incident="*") == []
    assert [row.attributes["data-problem"] for row in calm.find(data_problem="*")] == ["htx invalid_key"]
    app.state.exchanges.list_resting = list_resting
    page = await open_page(signed_in.client, "/operations/live")
    assert "HTX has not answered since 10:49" in page.find(data_incident="htx")[0].text
    assert "Not answering since 10:49 , next try in 20 s" in page.find(data_exchange_row="htx")[0].text
    choice = await open_page(signed_in.client, "/credentials/connect")
    cards = {
        card.attributes["href"].rsplit("/", 1)[1].split("?")[0]: card.text for card in choice.find(tag="a", cls="exchange-card")
    }
    assert "Not answering since 10:49 ; connecting will not work now" in cards["htx"]
    assert "Not answering" not in cards["kraken"]
    app.state.exchanges.list_resting = no_rest
    assert "Not answering" not in (await open_page(signed_in.client, "/credentials/connect")).text


async def no_rest() -> list[RestingSite]:
    return []
