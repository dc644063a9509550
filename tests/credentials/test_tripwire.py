"""What counts as a change, as a table of checks one after another: conditions begin once, come nearer, and end."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.credentials.change_models import ChangeKind, Phase
from app.credentials.tripwire import Known, Seen, compare, count_days, learn, list_forbidden
from app.exchanges.types import AccessPlan, Answer, Exchange, Grant, Permission, PermissionBox, Proof

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
NEEDS = {AccessPlan.BALANCES: frozenset({Permission.READ}), AccessPlan.TRADING: frozenset({Permission.READ, Permission.TRADE})}
EXCHANGE = Exchange("made", "Made", "Md", (), (), (), (), NEEDS, "2026-11")


def see(
    rights: str | None = "r",
    *,
    code: str = "ok",
    plan: AccessPlan = AccessPlan.BALANCES,
    days: float | None = None,
    addresses: tuple[str, ...] | None = None,
    unknown: str = "",
    proof: Proof = Proof.TOLD,
) -> Seen:
    """Make what a check saw: `rights` are the initials of those the key has (w: withdraw, x: transfer)."""
    letters = {Permission.READ: "r", Permission.TRADE: "t", Permission.TRANSFER: "x", Permission.WITHDRAW: "w"}
    grants = None
    if rights is not None:
        grants = {
            right: Grant(Answer.UNKNOWN if letter in unknown else Answer.YES if letter in rights else Answer.NO, proof)
            for right, letter in letters.items()
        }
    ends = None if days is None else NOW + timedelta(days=days)
    return Seen(EXCHANGE, plan, code, grants, addresses, ends, NOW)


def follow(*checks: Seen) -> list[list[tuple[str, str]]]:
    """Return what each check after the first one (the connecting) changed."""
    known, told = learn(checks[0]), []
    for seen in checks[1:]:
        known, changes = compare(known, seen)
        told.append([(change.kind.value, change.phase.value) for change in changes])
    return told


TRADING: dict[str, Any] = {"plan": AccessPlan.TRADING}
WEATHER = see(None, code="maintenance")


@pytest.mark.parametrize(
    ("checks", "told"),
    [
        ([see(), see(), see("rt")], [[], []]),
        ([see(), see("rw"), see("rw"), see()], [[("withdraw_gained", "began")], [], [("withdraw_gained", "ended")]]),
        ([see("rw"), see("rw")], [[]]),  # connected so where the operator allows it
        ([see(unknown="w"), see("rw")], [[("withdraw_gained", "began")]]),
        ([see(), see("rw"), see(unknown="w")], [[("withdraw_gained", "began")], []]),  # no answer ends no quarantine
        ([see(), see("rw"), see(proof=Proof.ATTESTED)], [[("withdraw_gained", "began")], []]),  # nor does the trader's old word
        ([see(), see("rw"), WEATHER, see("rw")], [[("withdraw_gained", "began")], [], []]),
        ([see(), see(None, code="invalid_key"), see("rw")], [
            [("stopped_working", "began")], [("stopped_working", "ended"), ("withdraw_gained", "began")]]),
        ([see(), see(None, code="ip_not_allowed"), see(None, code="permission_missing"), see()], [
            [("stopped_working", "began")], [("right_lost", "began")], [("stopped_working", "ended"), ("right_lost", "ended")]]),
        ([see(), see("rx"), see("rx"), see()], [[("transfer_gained", "began")], [], [("transfer_gained", "ended")]]),
        ([see(**TRADING), see("rx", **TRADING)], [[]]),
        ([see(), see("rx"), see("rx", **TRADING)], [[("transfer_gained", "began")], [("transfer_gained", "ended")]]),
        ([see("rx"), see("rx")], [[]]),
        ([see(unknown="x"), see("rx")], [[]]),  # the exchange began to tell: nothing was gained
        ([see("rt", **TRADING), see("r", **TRADING), see("r", **TRADING), see("rt", **TRADING)], [
            [("right_lost", "began")], [], [("right_lost", "ended")]]),
        ([see("r", **TRADING), see("r", **TRADING)], [[]]),  # it never had it
        ([see("r"), see(None, code="permission_missing"), see("r")], [[("right_lost", "began")], [("right_lost", "ended")]]),
        ([see("rt", **TRADING), see("rt", unknown="t", **TRADING), see("r", **TRADING)], [[], [("right_lost", "began")]]),
        ([see("rt", **TRADING), see("r", **TRADING), see("", **TRADING), see("", **TRADING), see("r", **TRADING),
          see("rt", **TRADING)], [
            [("right_lost", "began")], [("right_lost", "began")], [], [], [("right_lost", "ended")]]),  # each right by itself
        ([see("rt", **TRADING), see("r", **TRADING), see(None, code="permission_missing", **TRADING),
          see(None, code="permission_missing", **TRADING), see("", **TRADING), see("rt", **TRADING)], [
            [("right_lost", "began")], [("right_lost", "began")], [], [], [("right_lost", "ended")]]),
        ([see("rt", **TRADING), see("", **TRADING), see("t", **TRADING), see("", **TRADING), see("rt", **TRADING)], [
            [("right_lost", "began")], [], [("right_lost", "began")], [("right_lost", "ended")]]),  # back and lost again is news
        ([see("rt", **TRADING), see("r", **TRADING), see("rt", unknown="t", **TRADING), see("r", **TRADING),
          see(None, code="invalid_key", **TRADING), see("rt", **TRADING)], [
            [("right_lost", "began")], [], [], [("stopped_working", "began")],
            [("stopped_working", "ended"), ("right_lost", "ended")]]),  # no answer brings no right back
        ([see("rt", **TRADING), see("r", **TRADING), see("r")], [[("right_lost", "began")], [("right_lost", "ended")]]),
        ([see(), see(None, code="key_expired"), see(None, code="invalid_key"), WEATHER, see()], [
            [("stopped_working", "began")], [], [], [("stopped_working", "ended")]]),
        ([see(addresses=()), see(addresses=("203.0.113.9",)), see(addresses=("203.0.113.9",))], [
            [("addresses_changed", "happened")], []]),
        ([see(), see(addresses=("203.0.113.9",))], [[]]),
        ([see(addresses=("a", "b")), see(addresses=("b", "a"))], [[]]),
        ([see(days=20), see(days=13.5), see(days=13), see(days=7), see(days=2.5), see(days=1), see(days=0.5)], [
            [("expiring", "began")], [], [("expiring", "nearer")], [("expiring", "nearer")], [("expiring", "nearer")], []]),
        ([see(days=20), see(days=13.5), see(days=14.5), see(days=13.5), see()], [
            [("expiring", "began")], [], [], [("expiring", "ended")]]),  # the days told may waver
        ([see(days=20), see(days=6), see(proof=Proof.PROBED), see(days=5), see()], [
            [("expiring", "began")], [], [], [("expiring", "ended")]]),  # an exchange that told nothing took nothing back
        ([see(days=20), see(days=2.5), see(days=12), see(days=6)], [
            [("expiring", "began")], [], [("expiring", "nearer")]]),
        ([see(days=6), see(days=5), see(days=3)], [[], [("expiring", "nearer")]]),  # the connect page has said so
    ],
)  # fmt: skip
def test_what_is_told(checks: list[Seen], told: list[list[tuple[str, str]]]) -> None:
    assert follow(*checks) == told


def test_a_gain_tells_the_rights_before_and_after() -> None:
    _, (change,) = compare(learn(see("rt", **TRADING)), see("rtw", **TRADING))
    assert change.facts == {"before": "Read, Trade", "after": "Read, Trade, Withdraw"}
    _, (change,) = compare(learn(see("r")), see(None, code="permission_missing"))
    assert change.facts == {"before": "Read", "after": "Nothing", "lost": "Read"}
    known, _ = compare(learn(see("rtx", **TRADING)), see("rx", **TRADING))
    _, (change,) = compare(known, see("x", **TRADING))
    assert change.facts == {"before": "Read, Transfer", "after": "Transfer", "lost": "Read"}
    _, (change,) = compare(learn(see(addresses=())), see(addresses=("203.0.113.9",)))
    assert change.facts == {"before": "any address", "after": "203.0.113.9"}


def test_a_loss_that_an_older_version_told_is_not_told_again() -> None:
    known = Known({"read": "yes", "trade": "no"}, None, {"right_lost": ""})
    known, changes = compare(known, see(None, code="permission_missing", **TRADING))
    assert (changes, known.conditions) == ([], {"right_lost": "read trade"})
    known, (change,) = compare(known, see("rt", **TRADING))
    assert (change.phase, known.conditions) == (Phase.ENDED, {})


def test_the_end_is_told_with_its_days_and_whether_the_key_is_bound() -> None:
    _, (change,) = compare(learn(see(days=30, addresses=())), see(days=6.2, addresses=()))
    assert (change.kind, change.phase) == (ChangeKind.EXPIRING, Phase.BEGAN)
    assert (change.facts["days"], change.facts["step"], change.facts["bound"]) == ("7", "7", "no")
    assert [count_days(NOW + timedelta(days=days), now=NOW) for days in (0, 0.1, 1, 1.1, -3)] == [0, 1, 1, 2, 0]


@pytest.mark.parametrize(
    ("plan", "known", "stops", "forbidden"),
    [
        (AccessPlan.TRADING, None, True, {"withdraw"}),
        (AccessPlan.TRADING, None, False, set()),
        (AccessPlan.TRADING, Known({"withdraw": "no"}), False, {"withdraw"}),
        (AccessPlan.TRADING, Known({"withdraw": "yes"}), False, set()),
        (AccessPlan.TRADING, Known({"withdraw": "yes"}, None, {"withdraw_gained": ""}), False, {"withdraw"}),
        (AccessPlan.BALANCES, Known({"withdraw": "yes", "transfer": "no"}), False, {"transfer"}),
        (AccessPlan.BALANCES, Known({"withdraw": "yes", "transfer": "yes"}), False, set()),
        (AccessPlan.BALANCES, Known({"transfer": "yes"}, None, {"transfer_gained": ""}), True, {"withdraw", "transfer"}),
        (AccessPlan.TRADING, Known({"transfer": "no"}), True, {"withdraw"}),
    ],
)
def test_a_check_ends_at_a_right_the_key_must_not_have(
    plan: AccessPlan, known: Known | None, stops: bool, forbidden: set[str]
) -> None:
    assert list_forbidden(EXCHANGE, plan, known=known, stops_at_withdraw=stops) == forbidden


def test_a_right_that_the_guide_asks_for_is_no_danger() -> None:
    box = PermissionBox("Payment information", Permission.TRANSFER, frozenset(AccessPlan))
    asking = replace(EXCHANGE, boxes=(box,))
    known, gained = Known({"transfer": "no"}), replace(see("rx"), exchange=asking)
    assert compare(known, gained)[1] == []
    assert Permission.TRANSFER not in list_forbidden(asking, AccessPlan.BALANCES, known=known, stops_at_withdraw=False)
    caught = replace(known, conditions={ChangeKind.TRANSFER_GAINED: ""})
    assert [change.phase for change in compare(caught, gained)[1]] == [Phase.ENDED], "whom it caught wrongly it lets go"
