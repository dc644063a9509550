"""The status as a table: plan, checks and time in, status and code out."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from app.credentials.status import (
    SEVERITY,
    STATUS_OF_CODE,
    CheckFacts,
    StatusFacts,
    Verdict,
    compute_status,
    list_missing,
    tells_of_key,
)
from app.credentials.views import Status
from app.exchanges.errors import ExchangeUnavailable, KeyRefused, NumberRefused, OurFault, list_leaves
from app.exchanges.types import AccessPlan, Answer, Exchange, Grant, Permission, Proof

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=90)
NEEDS = {AccessPlan.BALANCES: frozenset({Permission.READ}), AccessPlan.TRADING: frozenset({Permission.READ, Permission.TRADE})}
EXCHANGE = Exchange("made", "Made", "Md", (), (), (), (), NEEDS, "2026-11", confirms_by_email=frozenset({Permission.TRADE}))
PLAIN = Exchange("plain", "Plain", "Pl", (), (), (), (), NEEDS, "2026-11")
Grants = Mapping[Permission, Grant]


def make_grants(read: str = "yes", trade: str = "no", withdraw: str = "no", proof: Proof = Proof.TOLD) -> Grants:
    answers = {Permission.READ: read, Permission.TRADE: trade, Permission.WITHDRAW: withdraw}
    return {right: Grant(Answer(answer), proof) for right, answer in answers.items()}


READS = CheckFacts("ok", make_grants())
TRADES = CheckFacts("ok", make_grants(trade="yes"))
DOWN = CheckFacts("maintenance")
BALANCES, TRADING = AccessPlan.BALANCES, AccessPlan.TRADING


def make_facts(
    telling: CheckFacts | None,
    newest: CheckFacts | None = None,
    *,
    plan: AccessPlan = BALANCES,
    exchange: Exchange = PLAIN,
    key_set_at: datetime = LONG_AGO,
    is_paused: bool = False,
    checking_since: datetime | None = None,
) -> StatusFacts:
    return StatusFacts(exchange, plan, newest or telling, telling, key_set_at, is_paused, checking_since)


def expires(**amount: float) -> CheckFacts:
    return CheckFacts("ok", make_grants(), NOW + timedelta(**amount))


GAINED = CheckFacts("transfer_enabled", make_grants())
TABLE = [
    (make_facts(READS), "connected", None),
    (make_facts(GAINED), "quarantined", "transfer_enabled"),
    (make_facts(GAINED, plan=TRADING), "limited", "permission_missing"),
    (make_facts(CheckFacts("transfer_enabled", make_grants(withdraw="yes"))), "withdraw_enabled", "withdraw_enabled"),
    (make_facts(TRADES), "connected", None),
    (make_facts(TRADES, plan=TRADING), "connected", None),
    (make_facts(READS, plan=TRADING), "limited", "permission_missing"),
    (make_facts(CheckFacts("ok", make_grants(trade="unknown")), plan=TRADING), "connected", None),
    (make_facts(CheckFacts("ok", make_grants(read="no"))), "limited", "permission_missing"),
    (make_facts(READS, plan=TRADING, exchange=EXCHANGE), "limited", "permission_missing"),
    (make_facts(READS, plan=TRADING, exchange=EXCHANGE, key_set_at=NOW - timedelta(hours=23)), "waiting", "waiting"),
    (make_facts(READS, plan=TRADING, exchange=EXCHANGE, key_set_at=NOW - timedelta(hours=24)), "limited", "permission_missing"),
    (make_facts(READS, plan=TRADING, key_set_at=NOW), "limited", "permission_missing"),
    (make_facts(CheckFacts("ok", make_grants(read="no")), exchange=EXCHANGE, key_set_at=NOW), "limited", "permission_missing"),
    (make_facts(CheckFacts("waiting", make_grants(trade="unknown")), plan=TRADING), "waiting", "waiting"),
    (make_facts(CheckFacts("waiting", make_grants(trade="unknown"))), "connected", None),
    (make_facts(CheckFacts("ok", make_grants(withdraw="yes"))), "withdraw_enabled", "withdraw_enabled"),
    (make_facts(CheckFacts("ok", make_grants(withdraw="yes")), DOWN), "withdraw_enabled", "withdraw_enabled"),
    (make_facts(CheckFacts("ok", make_grants(withdraw="yes")), is_paused=True), "withdraw_enabled", "withdraw_enabled"),
    (make_facts(CheckFacts("ok", make_grants(withdraw="unknown"))), "connected", "withdraw_unverified"),
    (make_facts(CheckFacts("ok", make_grants(withdraw="no", proof=Proof.ATTESTED))), "connected", "withdraw_unverified"),
    (make_facts(CheckFacts("ok", {Permission.READ: Grant(Answer.YES)})), "connected", "withdraw_unverified"),
    (make_facts(CheckFacts("ok", make_grants(withdraw="unknown")), DOWN), "unavailable", "maintenance"),
    (make_facts(expires(days=15)), "connected", None),
    (make_facts(expires(days=14)), "expiring", "key_expiring"),
    (make_facts(expires(seconds=1)), "expiring", "key_expiring"),
    (make_facts(expires(seconds=0)), "key_expired", "key_expired"),
    (make_facts(expires(days=-3), DOWN), "key_expired", "key_expired"),
    (make_facts(expires(days=3), plan=TRADING), "limited", "permission_missing"),
    (make_facts(CheckFacts("invalid_key")), "invalid_key", "invalid_key"),
    (make_facts(CheckFacts("bad_signature")), "invalid_key", "bad_signature"),
    (make_facts(CheckFacts("key_expired")), "key_expired", "key_expired"),
    (make_facts(CheckFacts("ip_not_allowed")), "ip_not_allowed", "ip_not_allowed"),
    (make_facts(CheckFacts("account_blocked")), "account_blocked", "account_blocked"),
    (make_facts(CheckFacts("permission_missing")), "limited", "permission_missing"),
    (make_facts(CheckFacts("invalid_key"), DOWN), "invalid_key", "invalid_key"),
    (make_facts(READS, DOWN), "unavailable", "maintenance"),
    (make_facts(None, DOWN), "unavailable", "maintenance"),
    (make_facts(READS, DOWN, is_paused=True), "paused", None),
    (make_facts(READS, CheckFacts("clock_skew")), "unavailable", "clock_skew"),
    (make_facts(READS, CheckFacts("unexpected_reply")), "unavailable", "unexpected_reply"),
    (make_facts(READS, CheckFacts("internal")), "unavailable", "internal"),
    (make_facts(READS, CheckFacts("locked")), "locked", "locked"),
    (make_facts(READS, CheckFacts("locked"), is_paused=True), "locked", "locked"),
    (make_facts(CheckFacts("invalid_key"), CheckFacts("locked")), "invalid_key", "invalid_key"),
    (make_facts(READS, is_paused=True), "paused", None),
    (make_facts(READS, is_paused=True, checking_since=NOW), "checking", None),
    (make_facts(READS, checking_since=NOW - timedelta(seconds=119)), "checking", None),
    (make_facts(READS, checking_since=NOW - timedelta(seconds=120)), "connected", None),
    (make_facts(READS, plan=TRADING, checking_since=NOW), "limited", "permission_missing"),
    (make_facts(None), "checking", None),
]


@pytest.mark.parametrize(("facts", "status", "code"), TABLE)
def test_table(facts: StatusFacts, status: str, code: str | None) -> None:
    assert compute_status(facts, now=NOW) == Verdict(Status(status), code)


def test_every_status_is_reached() -> None:
    assert {status for _, status, _ in TABLE} == {status.value for status in Status}


def test_severity_is_the_order_of_the_words() -> None:
    assert sorted(Status, key=lambda status: SEVERITY[status]) == list(Status)


@pytest.mark.parametrize("leaf", list_leaves())
def test_every_error_has_a_status_and_only_the_key_is_blamed_for_the_key(leaf: type) -> None:
    code = leaf.code  # type: ignore[attr-defined]
    is_weather = issubclass(leaf, ExchangeUnavailable | OurFault | NumberRefused)
    assert (STATUS_OF_CODE[code] is Status.UNAVAILABLE) == is_weather
    assert tells_of_key(code) == issubclass(leaf, KeyRefused)


def test_what_is_unknown_is_not_missing() -> None:
    assert list_missing(PLAIN, TRADING, make_grants(trade="unknown")) == []
    assert list_missing(PLAIN, TRADING, {}) == []
    assert list_missing(PLAIN, TRADING, make_grants(read="no")) == [Permission.READ, Permission.TRADE]
