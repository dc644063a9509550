"""The pure view functions: amounts are never shown as less than they are worth saying, and the right party is blamed."""

from decimal import Decimal

import pytest

from app.credentials.presentation import (
    choose_refusal_tone,
    complete_steps,
    count_passed,
    describe_answer,
    describe_reason,
    list_amounts,
    split_addresses,
)
from app.credentials.views import Advice, Step, StepName, StepState
from app.exchanges.types import Balance, BalanceSheet, CallEvidence
from tests.conftest import START


def make_sheet(*rows: tuple[str, str, str]) -> BalanceSheet:
    return BalanceSheet(tuple(Balance("spot", asset, Decimal(available), Decimal(held)) for asset, available, held in rows))


def test_amounts_add_up_over_accounts_and_name_the_well_known_first() -> None:
    sheet = make_sheet(("SHIB", "1000000", "0"), ("BTC", "0.1", "0.2"), ("BTC", "0.3", "0"), ("AAA", "5", "0"))
    assert [(amount.asset, amount.exact) for amount in list_amounts(sheet)] == [
        ("BTC", Decimal("0.6")),
        ("SHIB", Decimal(1000000)),
        ("AAA", Decimal(5)),
    ]


@pytest.mark.parametrize(
    ("exact", "shown"),
    [
        ("0.123456789", "0.12345678"),
        ("0.999999999", "0.99999999"),
        ("0.000000001", "0.000000001"),
        ("12.5", "12.5"),
        ("123456789012345678901.123456789", "123456789012345678901.123456789"),
    ],
)
def test_a_card_cuts_and_never_rounds_up_or_down_to_nothing(exact: str, shown: str) -> None:
    (amount,) = list_amounts(make_sheet(("ABC", exact, "0")))
    assert (amount.exact, amount.shown) == (Decimal(exact), Decimal(shown))
    assert amount.is_cut == (exact != shown)


@pytest.mark.parametrize(("who", "tone"), [("trader", "danger"), ("nobody", "idle"), ("operator", "warn")])
def test_only_the_traders_own_faults_are_red(who: str, tone: str) -> None:
    assert choose_refusal_tone(Advice("x", "c", "r", who)) == tone


def test_addresses_are_copied_one_by_one() -> None:
    assert split_addresses(Advice("x", "c", "r", "trader", copy="203.0.113.10, 2001:db8::10")) == ["203.0.113.10", "2001:db8::10"]
    assert split_addresses(Advice("x", "c", "r", "trader")) == []


def test_lines_that_were_never_begun_are_said_to_be_so() -> None:
    lines = complete_steps((Step(StepName.FORMAT, StepState.FAILED, "no"),))
    assert [line.name for line in lines] == list(StepName)
    assert {line.state for line in lines[1:]} == {StepState.SKIPPED}
    assert count_passed(lines) == 0


def test_answers_and_reasons_are_words() -> None:
    entry = CallEvidence("GET /x", START, "permission_missing", 403, 12)
    assert describe_answer(entry) == "Refused: the key lacks this right (403)"
    assert describe_answer(CallEvidence("GET /x", START, "unreachable", None, 12)) == "No answer in time"
    assert describe_reason("connect") == "on connecting"
    assert describe_reason("new_kind") == "new kind"
