"""Every code has words, in every exchange's own labels, polite in the house's way, and nothing secret in them."""

import re
from datetime import UTC, datetime

import pytest

from app.credentials.problem_words import WORDS
from app.credentials.problems import Circumstances, advise, find_words, support_reply, tell_operator
from app.credentials.status import STATUS_OF_CODE
from app.credentials.views import NEEDS_ATTENTION, Status
from app.exchanges.errors import list_leaves
from app.exchanges.registry import find_adapters
from app.exchanges.types import Answer, Grant, Permission, Proof

EXCHANGES = [kind.exchange for kind in find_adapters().values()]
ABOUT = Circumstances(
    egress=("203.0.113.10", "2001:db8::10"),
    seen_ip="198.51.100.7",
    expires_at=datetime(2026, 11, 30, tzinfo=UTC),
    skew_seconds=-93.4,
)
ACTIONS = {"replace", "guide", "recheck", "watch_only", "copy_address", "none"}
CODES = sorted(WORDS)


def test_every_code_has_words() -> None:
    emitted = {leaf.code for leaf in list_leaves()} | set(STATUS_OF_CODE) | {"duplicate_key", "other_account", "invalid_input"}
    assert emitted <= set(WORDS)
    for status in (*NEEDS_ATTENTION, Status.UNAVAILABLE):
        assert find_words(status.value) is not WORDS["internal"], status


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange.slug)
@pytest.mark.parametrize("code", CODES)
def test_words_are_whole_and_plain(code: str, exchange) -> None:
    for about in (ABOUT, Circumstances(), None):
        advice = advise(code, exchange=exchange, about=about)
        assert advice.who_acts in {"trader", "operator", "exchange", "nobody"}
        assert advice.action in ACTIONS
        named = [address for address in ("198.51.100.7", "203.0.113.10", "2001:db8::10") if address in advice.remedy]
        copied = (advice.copy or "").replace(",", "").split()
        assert set(copied) <= set(named)
        assert bool(copied) == bool(named), "an address that is named can be copied"
        assert advice.copy is not None or advice.action != "copy_address"
        for text in (advice.cause, advice.remedy, support_reply(code, exchange=exchange, about=about), tell_operator(code)):
            assert text.endswith((".", ")"))
            assert not re.search(r"[{}!]|None|\b(please|oops|sorry)\b", text, re.IGNORECASE), text


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange.slug)
def test_words_use_the_exchanges_own_labels(exchange) -> None:
    withdraw = next(box.label for box in exchange.boxes if box.permission is Permission.WITHDRAW)
    trade = next(box.label for box in exchange.boxes if box.permission is Permission.TRADE)
    readable = Circumstances(grants={Permission.READ: Grant(Answer.YES, Proof.TOLD)})
    assert withdraw in advise("withdraw_enabled", exchange=exchange).remedy
    assert trade in advise("permission_missing", exchange=exchange, about=readable).remedy
    assert exchange.fields[1].label in advise("bad_signature", exchange=exchange).remedy
    assert advise("bad_signature", exchange=exchange).field == exchange.fields[1].name
    assert advise("invalid_key", exchange=exchange).field == "api_key"


def test_missing_permissions_are_told_apart() -> None:
    exchange = EXCHANGES[0]
    nothing = advise("permission_missing", exchange=exchange)
    unreadable = advise(
        "permission_missing", exchange=exchange, about=Circumstances(grants={Permission.READ: Grant(Answer.NO, Proof.TOLD)})
    )
    orders = advise(
        "permission_missing", exchange=exchange, about=Circumstances(grants={Permission.READ: Grant(Answer.YES, Proof.TOLD)})
    )
    assert len({nothing.cause, unreadable.cause, orders.cause}) == 3
    assert (nothing.action, unreadable.action, orders.action) == ("guide", "guide", "watch_only")


def test_support_replies_to_the_cause_that_the_trader_reads() -> None:
    """A reply that asks for Trade where Read is missing would widen a key for nothing."""
    exchange = EXCHANGES[0]
    trade = next(box.label for box in exchange.boxes if box.permission is Permission.TRADE)
    read = next(box.label for box in exchange.boxes if box.permission is Permission.READ)
    unreadable = Circumstances(grants={Permission.READ: Grant(Answer.NO, Proof.TOLD)})
    orders = Circumstances(grants={Permission.READ: Grant(Answer.YES, Proof.TOLD)})
    for code in ("permission_missing", "limited"):
        assert trade not in support_reply(code, exchange=exchange)
        assert trade not in support_reply(code, exchange=exchange, about=unreadable)
        assert f"tick {read}" in support_reply(code, exchange=exchange, about=unreadable)
        assert f"tick {trade}" in support_reply(code, exchange=exchange, about=orders)


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange.slug)
def test_what_is_not_known_is_not_stated(exchange) -> None:
    """Nothing tells a box that is off from one that waits for an e-mail: the words name both, and lead to the key's page."""
    trade = next(box.label for box in exchange.boxes if box.permission is Permission.TRADE)
    about = Circumstances(link="https://exchange.test/keys")
    waiting = advise("waiting", exchange=exchange, about=about)
    assert f"or {trade} is not ticked" in waiting.cause
    assert "e-mail" in waiting.remedy
    assert f"tick {trade}" in waiting.remedy
    assert waiting.link == advise("account_blocked", exchange=exchange, about=about).link == about.link


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange.slug)
def test_addresses_of_a_doubtful_answer_can_be_copied(exchange) -> None:
    for code in exchange.doubtful_codes:
        advice = advise(code, exchange=exchange, about=Circumstances(egress=("203.0.113.10",)))
        assert (advice.copy, "203.0.113.10" in advice.remedy) == ("203.0.113.10", True)


def test_the_address_to_copy_is_the_one_the_exchange_saw_and_only_the_owner_sees_it() -> None:
    exchange = EXCHANGES[0]
    advice = advise("ip_not_allowed", exchange=exchange, about=ABOUT)
    assert advice.copy == "198.51.100.7"
    assert "198.51.100.7" in advice.remedy
    reply = support_reply("ip_not_allowed", exchange=exchange, about=ABOUT)
    assert "198.51.100.7" not in reply
    assert "203.0.113.10 and 2001:db8::10" in reply
    without = advise("ip_not_allowed", exchange=exchange, about=Circumstances(egress=ABOUT.egress))
    assert without.copy == "203.0.113.10, 2001:db8::10"


def test_figures_are_readable() -> None:
    exchange = EXCHANGES[0]
    assert "93 seconds" in advise("clock_skew", exchange=exchange, about=ABOUT).cause
    assert "30 November 2026" in advise("key_expiring", exchange=exchange, about=ABOUT).cause


def test_a_code_of_a_newer_version_has_words_too() -> None:
    advice = advise("something_new", exchange=EXCHANGES[0])
    assert (advice.code, advice.who_acts) == ("something_new", "operator")
