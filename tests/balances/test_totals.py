"""Totals are exact, never mix environments, never count a failure as zero, and say what they leave out."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.balances.totals import Counting, EnvironmentTotals, Reason, add_up
from app.credentials.views import CredentialView, Status
from app.exchanges.types import Environment, Exchange, MissingAccount
from tests.balances.views import NOW, make_exchange, make_view, with_failure


def explain(code: str, exchange: Exchange) -> str:
    return f"{exchange.name}: {code}."


def add(*views: CredentialView) -> tuple[EnvironmentTotals, ...]:
    return add_up(views, now=NOW, explain=explain)


def read(totals: EnvironmentTotals) -> dict[str, tuple[str, str, str]]:
    return {
        line.asset: (f"{line.amounts.available:f}", f"{line.amounts.held:f}", f"{line.amounts.total:f}") for line in totals.assets
    }


def test_nothing_gives_no_totals() -> None:
    assert add() == ()


def test_an_asset_is_summed_over_accounts_and_credentials() -> None:
    (live,) = add(
        make_view("crd_1", "spot BTC 0.1 0.02", "wallet BTC 0.3 0", "spot ETH 1 0"),
        make_view("crd_2", "otc BTC 1 0", exchange=make_exchange("htx", "HTX")),
    )
    assert read(live) == {"BTC": ("1.4", "0.02", "1.42"), "ETH": ("1", "0", "1")}
    assert [(holder.part.id, holder.account) for holder in live.assets[0].holders] == [
        ("crd_1", "spot"),
        ("crd_1", "wallet"),
        ("crd_2", "otc"),
    ]
    assert [exchange.slug for exchange in live.assets[0].exchanges] == ["hitbtc", "htx"]
    assert (live.coverage.counted, live.coverage.of, live.coverage.is_whole) == (2, 2, True)


HUGE = "123456789012345678901234567890.123456789012345678"


@pytest.mark.parametrize(
    ("left", "right", "total"),
    [
        ("0.1", "0.2", "0.3"),
        (HUGE, "0.000000000000000001", "123456789012345678901234567890.123456789012345679"),
        ("1E+30", "1E-30", "1000000000000000000000000000000.000000000000000000000000000001"),
        ("0.10", "0.20", "0.30"),
        ("0", "0.00000001", "0.00000001"),
    ],
)
def test_sums_are_exact_even_beyond_28_digits(left: str, right: str, total: str) -> None:
    (live,) = add(make_view("crd_1", f"spot X {left} {right}"))
    assert read(live)["X"][2] == total
    (live,) = add(make_view("crd_1", f"spot X {left} 0"), make_view("crd_2", f"spot X {right} 0"))
    assert read(live)["X"][0] == total


amounts = st.decimals(min_value=0, max_value=10**30, allow_nan=False, allow_infinity=False, places=18)


@given(st.lists(st.tuples(amounts, amounts), min_size=1, max_size=12))
def test_the_parts_always_make_up_the_whole(pairs: list[tuple[Decimal, Decimal]]) -> None:
    (live,) = add(*(make_view(f"crd_{at}", f"spot X {available} {held}") for at, (available, held) in enumerate(pairs)))
    with localcontext(prec=500):
        assert live.assets[0].amounts.total == sum((available + held for available, held in pairs), Decimal(0))


def test_environments_are_never_mixed() -> None:
    totals = add(
        make_view("crd_1", "spot BTC 1 0", environment=Environment.SANDBOX),
        make_view("crd_2", "spot BTC 2 0"),
        make_view("crd_3", "spot BTC 4 0", environment=Environment.DEMO),
    )
    assert [(part.environment.value, read(part)["BTC"][2]) for part in totals] == [("live", "2"), ("demo", "4"), ("sandbox", "1")]
    assert [part.coverage.of for part in totals] == [1, 1, 1]


@pytest.mark.parametrize(
    ("minutes", "counting", "reason"),
    [
        (0, Counting.FRESH, None),
        (15, Counting.FRESH, None),
        (15.1, Counting.STALE, None),
        (24 * 60, Counting.STALE, None),
        (24 * 60 + 0.1, Counting.NOT_COUNTED, Reason.TOO_OLD),
        (None, Counting.NOT_COUNTED, Reason.NEVER_READ),
        (-1, Counting.FRESH, None),
    ],
)
def test_age_decides_what_is_counted(minutes: float | None, counting: Counting, reason: Reason | None) -> None:
    (live,) = add(make_view("crd_1", "spot BTC 1 0", minutes_old=minutes))
    assert (live.parts[0].counting, live.parts[0].reason) == (counting, reason)
    assert bool(live.assets) is (counting is not Counting.NOT_COUNTED)
    assert live.coverage.stale == (counting is Counting.STALE)


def test_coverage_names_the_oldest_and_what_is_left_out() -> None:
    (live,) = add(
        make_view("crd_1", "spot BTC 1 0", minutes_old=12),
        make_view("crd_2", "spot BTC 1 0", minutes_old=3),
        make_view("crd_3", minutes_old=1),
        make_view("crd_4", minutes_old=None),
    )
    cover = live.coverage
    assert (cover.counted, cover.of, cover.oldest_seconds(NOW)) == (3, 4, 720)
    assert [part.id for part in cover.not_counted] == ["crd_4"]
    assert cover.oldest_seconds(NOW - timedelta(hours=1)) == 0


def test_an_empty_account_is_counted_but_a_failure_is_not_a_zero() -> None:
    (live,) = add(make_view("crd_1"), with_failure(make_view("crd_2", minutes_old=None), "unreachable"))
    assert (live.coverage.counted, live.coverage.of) == (1, 2)
    assert live.assets == ()
    assert live.parts[1].words == "HitBTC: unreachable."
    assert live.parts[1].failure_code == "unreachable"


def test_a_failure_after_a_good_read_keeps_the_values_and_names_it() -> None:
    (live,) = add(with_failure(make_view("crd_1", "spot BTC 1 0", minutes_old=40), "maintenance", minutes_ago=2))
    assert read(live) == {"BTC": ("1", "0", "1")}
    assert live.assets[0].stale
    assert live.parts[0].words == "HitBTC: maintenance."


def test_a_failure_before_the_newest_good_read_is_over() -> None:
    (live,) = add(with_failure(make_view("crd_1", "spot BTC 1 0", minutes_old=1), "maintenance", minutes_ago=2))
    assert (live.parts[0].failure_code, live.parts[0].failed_at, live.parts[0].words) == (None, None, "")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (Status.PAUSED, "It is paused."),
        (Status.LOCKED, "It is locked: this server cannot decrypt its secret."),
        (Status.CONNECTED, "Its balances were not read yet."),
    ],
)
def test_paused_and_locked_credentials_are_named(status: Status, words: str) -> None:
    (live,) = add(make_view("crd_1", minutes_old=None, status=status))
    assert live.parts[0].words == words


def test_missing_accounts_are_named_and_make_the_coverage_incomplete() -> None:
    (live,) = add(make_view("crd_1", "spot BTC 1 0", missing=(MissingAccount("wallet", "permission_missing"),)))
    assert [(gap.account, gap.words) for gap in live.parts[0].missing] == [("wallet", "HitBTC: permission_missing.")]
    assert live.coverage.counted == 1
    assert not live.coverage.is_whole


def test_an_account_reached_by_two_keys_is_counted_once() -> None:
    first = make_view("crd_1", "spot BTC 1 0", minutes_old=9, account_id="77")
    second = make_view("crd_2", "spot BTC 1 0", minutes_old=2, account_id="77")
    (live,) = add(first, second)
    assert read(live)["BTC"][2] == "1"
    assert [(part.id, part.reason) for part in live.coverage.not_counted] == [("crd_1", Reason.SAME_ACCOUNT)]
    assert live.parts[0].words == "It reaches the same account as Label of crd_2, which is counted."


@pytest.mark.parametrize(
    "other",
    [
        {"account_id": "78"},
        {"account_id": None},
        {"account_id": "77", "exchange": make_exchange("htx", "HTX")},
    ],
)
def test_different_accounts_are_both_counted(other: dict[str, object]) -> None:
    second = replace(make_view("crd_2", "spot BTC 1 0"), **other)  # type: ignore[arg-type]  # field names
    (live,) = add(make_view("crd_1", "spot BTC 1 0", account_id="77"), second)
    assert read(live)["BTC"][2] == "2"


def test_a_whole_read_stands_for_the_account_rather_than_a_newer_one_with_gaps() -> None:
    gaps = (MissingAccount("wallet", "permission_missing"),)
    newer = make_view("crd_1", "spot BTC 1 0", minutes_old=1, account_id="77", missing=gaps)
    (live,) = add(newer, make_view("crd_2", "spot BTC 1 0", "wallet BTC 5 0", minutes_old=5, account_id="77"))
    assert read(live)["BTC"][2] == "6"
    (live,) = add(newer, make_view("crd_2", "wallet BTC 5 0", minutes_old=24 * 60 + 1, account_id="77"))
    assert read(live)["BTC"][2] == "1"


def test_an_asset_listed_twice_in_one_account_is_one_row() -> None:
    (live,) = add(make_view("crd_1", "spot BTC 1 0", "spot BTC 2 0.5"))
    assert [(row.account, row.asset, row.amounts.total) for row in live.parts[0].rows] == [("spot", "BTC", Decimal("3.5"))]
    assert live.parts[0].accounts == ("spot",)
    assert live.parts[0].list_rows("wallet") == ()
