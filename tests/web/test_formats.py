"""Tables of how moments, amounts and counts are written."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from app.web import formats
from tests.web.small_app import NOW

S, M, H, D = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("before", "words"),
    [
        (0 * S, "now"),
        (S / 2, "now"),
        (S, "1 s ago"),
        (59 * S, "59 s ago"),
        (60 * S, "1 min ago"),
        (59 * M + 59 * S, "59 min ago"),
        (H, "1 hour ago"),
        (5 * H + 59 * M, "5 hours ago"),
        (24 * H - S, "23 hours ago"),
        (24 * H, "20 Nov"),
        (2 * D, "19 Nov"),
        (324 * D, "1 Jan"),
        (325 * D, "31 Dec 2025"),
        (-20 * S, "in 20 s"),
        (-2 * M, "in 2 min"),
        (-5 * H, "in 5 hours"),
        (-9 * D, "30 Nov"),
        (-60 * D, "20 Jan 2027"),
    ],
)
def test_ages(before: timedelta, words: str) -> None:
    assert formats.write_age(NOW - before, now=NOW) == words


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        (NOW, "14:32"),
        (datetime(2026, 11, 21, 0, 0, tzinfo=UTC), "00:00"),
        (datetime(2026, 11, 20, 23, 59, tzinfo=UTC), "20 Nov, 23:59"),
        (datetime(2025, 11, 21, 8, 1, tzinfo=UTC), "21 Nov 2025, 08:01"),
        (datetime(2026, 11, 21, 1, 0, tzinfo=timezone(2 * H)), "20 Nov, 23:00"),
        (datetime(2026, 11, 21, 9, 5), "09:05"),  # noqa: DTZ001  # as SQLite hands it back
    ],
)
def test_moments(moment: datetime, words: str) -> None:
    assert formats.write_moment(moment, now=NOW) == words


def test_times_carry_the_exact_moment() -> None:
    times = formats.TimeFilters(lambda: NOW)
    exact = 'datetime="2026-11-21T14:31:28Z" title="21 Nov 2026, 14:31:28 UTC"'
    assert times.ago(NOW - 40 * S) == f"<time {exact} data-ago>40 s ago</time>"
    assert times.moment(NOW - 40 * S) == f"<time {exact}>14:31</time>"
    assert times.day(NOW - 40 * S) == f"<time {exact}>21 Nov 2026</time>"
    assert (times.ago(None), times.ago(None, "not yet"), times.moment(None), times.day(None)) == ("never", "not yet", "–", "–")
    assert times.ago(None, "<b>") == "&lt;b&gt;"
    assert (times.is_old(None), times.is_old(NOW - 16 * M), times.is_old(NOW - 15 * M), times.is_old(NOW - 16 * M, 3600)) == (
        True,
        True,
        False,
        False,
    )


@pytest.mark.parametrize(
    ("value", "decimals", "shown"),
    [
        ("0", None, '<span class="faint">–</span>'),
        ("0.00000000", 8, '<span class="faint">–</span>'),
        ("-0", None, '<span class="faint">–</span>'),
        ("1", None, "1"),
        ("1.5", None, "1.5"),
        ("1.50", None, '1.5<span class="num__tail">0</span>'),
        ("1.00", None, '1<span class="num__tail">.00</span>'),
        ("100", None, "100"),
        ("1234567.8900", None, '1,234,567.89<span class="num__tail">00</span>'),
        ("1.5", 4, '1.5<span class="num__tail">000</span>'),
        ("3", 2, '3<span class="num__tail">.00</span>'),
        ("1.23456789", 2, "1.23456789"),
        ("1E+3", None, "1,000"),
        ("1E-18", None, "0.000000000000000001"),
        ("123456789012345678901234567890.123456789012345678", None, "123,456,789,012,345,678,901,234,567,890.123456789012345678"),
        ("-0.5", None, "−0.5"),
    ],
)
def test_amounts(value: str, decimals: int | None, shown: str) -> None:
    assert formats.write_amount(Decimal(value), decimals=decimals) == Markup(shown)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20))
def test_no_digit_of_an_amount_is_lost(value: Decimal) -> None:
    text = Markup(formats.write_amount(value)).striptags().replace(",", "").replace("−", "-")
    assert text == "–" if value == 0 else Decimal(text) == value


@pytest.mark.parametrize(
    ("value", "currency", "shown"),
    [
        ("126772.074", "USD", "$126,772.07"),
        ("0", "USD", "$0.00"),
        ("-5.5", "EUR", "−€5.50"),
        ("1.5", "BTC", "1.50000000 BTC"),
        ("12", "JPY", "12.00 JPY"),
    ],
)
def test_money(value: str, currency: str, shown: str) -> None:
    assert formats.write_money(Decimal(value), currency) == shown


def test_small_words() -> None:
    assert [formats.write_duration(value) for value in (0, 84, 1840, 9999, 10_000, 12_400)] == [
        "0 ms",
        "84 ms",
        "1,840 ms",
        "9,999 ms",
        "10 s",
        "12 s",
    ]
    assert [formats.write_count(value, "key") for value in (0, 1, 3, 1200)] == ["0 keys", "1 key", "3 keys", "1,200 keys"]
    assert formats.write_count(2, "exchange is", "exchanges are") == "2 exchanges are"
    assert [formats.write_sentence(text) for text in ("it failed", "Why?", "So be it.", "", " x ")] == [
        "It failed.",
        "Why?",
        "So be it.",
        "",
        "X.",
    ]
    assert formats.write_fingerprint("3c9a71e0b5f2aaaa") == "3C9A-71E0-B5F2"
    assert formats.write_hyphens("ip_not_allowed") == "ip-not-allowed"
    assert {formats.pick_hue(slug) for slug in ("alpha", "beta", "gamma")} <= set(range(8))
