"""You or them: every combination of evidence has one verdict, and none claims more than it knows."""

import pytest

from app.credentials.problem_words import WORDS
from app.credentials.verdict import ENOUGH, WEIGHED, Evidence, Others, Whose, count_others, sum_up, weigh
from app.exchanges.types import Exchange

EXCHANGE = Exchange("hitbtc", "HitBTC", "Hb", (), (), (), (), {}, "")
NONE, FINE, ONE_SAME = Others(), Others(fine=9), Others(same=1)
ALL_SAME, MOST_SAME, FEW_SAME = Others(same=12), Others(fine=1, same=11), Others(fine=9, same=3)
OTHER_TROUBLE, MIXED = Others(different=4), Others(fine=2, different=4)
KEY, EVERYONE, OURS, UNCLEAR = Whose.ONLY_THIS_KEY, Whose.EVERYONE_HERE, Whose.OUR_SIDE, Whose.UNCLEAR

TABLE = [
    # a refused key: what the other keys say decides
    (Evidence("invalid_key", "ok", FINE), KEY, "Only this key: 9 of 9 other HitBTC keys here work."),
    (Evidence("invalid_key", "ok", MIXED), KEY, "2 of 6"),
    (Evidence("invalid_key", "ok", FEW_SAME), KEY, "9 of 12"),
    (Evidence("invalid_key", "ok", ALL_SAME), EVERYONE, "12 of 12 other keys the same answer"),
    (Evidence("invalid_key", "ok", MOST_SAME), EVERYONE, "11 of 12"),
    (Evidence("invalid_key", "ok", NONE), UNCLEAR, "no other key here to compare with"),
    (Evidence("invalid_key", "ok", ONE_SAME), UNCLEAR, "the one other key"),
    (Evidence("invalid_key", "ok", Others(same=2)), UNCLEAR, "2 of 2"),
    (Evidence("invalid_key", "ok", OTHER_TROUBLE), UNCLEAR, "none of the 4"),
    (Evidence("key_expired", "ok", FINE), KEY, ""),
    (Evidence("account_blocked", "ok", FINE), KEY, ""),
    (Evidence("permission_missing", "ok", FINE), KEY, ""),
    (Evidence("permission_missing", "ok", ALL_SAME), EVERYONE, ""),
    # a refused address: many of them mean that ours has changed
    (Evidence("ip_not_allowed", "ok", FINE), KEY, ""),
    (Evidence("ip_not_allowed", "ok", ALL_SAME), OURS, "probably our network"),
    (Evidence("ip_not_allowed", "ok", Others(fine=6, same=4)), UNCLEAR, "4 of 10 other keys too"),  # one way out of several
    (Evidence("ip_not_allowed", "ok", NONE), UNCLEAR, "Probably this key"),
    # a bad signature: a clock that is far off may be the reason
    (Evidence("bad_signature", "ok", NONE, clock_ahead_seconds=90), OURS, "differs by 90 s"),
    (Evidence("bad_signature", "ok", NONE, clock_ahead_seconds=-90), OURS, "differs by 90 s"),
    (Evidence("bad_signature", "ok", FINE, clock_ahead_seconds=90), KEY, ""),
    (Evidence("bad_signature", "ok", NONE, clock_ahead_seconds=2), UNCLEAR, "Probably this key"),
    # weather: never the key alone unless others are answered
    (Evidence("exchange_unavailable", "exchange_unavailable", ALL_SAME), EVERYONE, "12 of 12"),
    (Evidence("exchange_unavailable", "ok", ALL_SAME), EVERYONE, ""),
    (Evidence("exchange_unavailable", "exchange_unavailable", NONE), EVERYONE, "no other key here to compare with"),
    (Evidence("exchange_unavailable", None, NONE, is_resting=True), EVERYONE, "public answer fails too"),
    (Evidence("exchange_unavailable", "exchange_unavailable", OTHER_TROUBLE), EVERYONE, "no other key here was answered"),
    (Evidence("exchange_unavailable", "exchange_unavailable", FINE), UNCLEAR, "Not clear yet"),
    (Evidence("exchange_unavailable", "ok", MOST_SAME), UNCLEAR, "fails at times"),
    (Evidence("exchange_unavailable", "ok", FINE), KEY, "9 of 9"),
    (Evidence("exchange_unavailable", "ok", NONE), UNCLEAR, "no other key here to compare with"),
    (Evidence("maintenance", "maintenance", NONE), EVERYONE, ""),
    (Evidence("rate_limited", "ok", FINE), UNCLEAR, "its limit may count the calls of all"),
    (Evidence("rate_limited", "ok", ALL_SAME), EVERYONE, ""),
    (Evidence("unexpected_reply", "ok", FINE), KEY, ""),
    (Evidence("unexpected_reply", "ok", ALL_SAME), EVERYONE, ""),
    # no answer: other exchanges tell the exchange from our network
    (Evidence("unreachable", "unreachable", ALL_SAME, silent=5), OURS, "no exchange answers this server"),
    (Evidence("unreachable", "unreachable", NONE, silent=1), OURS, ""),
    (Evidence("unreachable", "unreachable", ALL_SAME, answering=1, silent=5), EVERYONE, ""),
    (Evidence("unreachable", "unreachable", ALL_SAME), EVERYONE, ""),
    (Evidence("unreachable", "ok", FINE, silent=5), KEY, ""),
    (Evidence("unreachable", "unreachable", NONE), EVERYONE, ""),
    # ours, whatever the others say
    (Evidence("clock_skew", "clock_skew", FINE), OURS, "clock"),
    (Evidence("clock_skew", "ok", FINE, clock_ahead_seconds=93.0), OURS, "clock"),
    (Evidence("clock_skew", "ok", NONE, clock_ahead_seconds=0.1), OURS, "clock"),
    (Evidence("clock_skew", "ok", FINE, clock_ahead_seconds=-0.1), UNCLEAR, "off by 0.1 s only"),
    # a number that is late: another program uses the key, unless our clock went back
    (Evidence("number_refused", "ok", FINE), KEY, ""),
    (Evidence("number_refused", "ok", NONE, clock_ahead_seconds=-600.0), OURS, "clock differs by 600 s"),
    (Evidence("request_refused", "ok", ALL_SAME), EVERYONE, ""),
    (Evidence("no_way_out", "no_way_out", NONE), OURS, "own way to HitBTC"),
    (Evidence("locked", None, FINE), OURS, "cannot open"),
    (Evidence("internal", None, NONE), OURS, "fault of this server"),
]


@pytest.mark.parametrize(("evidence", "whose", "words"), TABLE, ids=str)
def test_the_table(evidence: Evidence, whose: Whose, words: str) -> None:
    blame = weigh(evidence, exchange=EXCHANGE)
    assert blame is not None
    assert blame.whose is whose
    assert words in blame.sentence
    assert "\n" not in blame.sentence
    assert len(blame.sentence) < 120, "one line"
    assert bool(blame.reply) == (whose is not UNCLEAR and "perhaps" not in blame.sentence)


@pytest.mark.parametrize("code", sorted(WEIGHED))
def test_every_code_has_a_verdict_whatever_the_evidence(code: str) -> None:
    for others in (NONE, FINE, ONE_SAME, ALL_SAME, MOST_SAME, FEW_SAME, OTHER_TROUBLE, MIXED):
        for public in (None, "ok", "unreachable"):
            for silent, answering in ((0, 0), (4, 0), (4, 4), (0, 4)):
                blame = weigh(Evidence(code, public, others, answering, silent), exchange=EXCHANGE)
                assert blame is not None
                if blame.whose is KEY:
                    assert others.fine, "nobody is blamed alone without another key that works"
                if not others.total and blame.whose in (KEY, EVERYONE):
                    assert public != "ok"


def test_only_failed_checks_are_weighed() -> None:
    assert set(WORDS) >= WEIGHED
    for code in ("ok", "waiting", "withdraw_enabled", "key_expiring", "withdraw_unverified"):
        assert weigh(Evidence(code, "ok", FINE), exchange=EXCHANGE) is None


def test_others_are_counted_by_what_their_checks_came_to() -> None:
    codes = ["ok", "withdraw_enabled", "waiting", "invalid_key", "ip_not_allowed", "maintenance"]
    assert count_others("invalid_key", codes) == Others(fine=3, same=1, different=2)
    assert count_others("unreachable", [*codes, "unreachable"]) == Others(fine=3, same=2, different=2)
    assert count_others("ok", []) == NONE
    assert ENOUGH == 3


@pytest.mark.parametrize(
    ("standing", "words"),
    [
        ({}, ""),
        ({"paused": 3, "unchecked": 1}, ""),
        ({"ok": 4, "waiting": 1}, "No key fails (5 checked)."),
        ({"ok": 11, "invalid_key": 1}, "Single keys: 1 of 12 keys fail, 1 with invalid_key."),
        ({"maintenance": 12}, "Everyone here: 12 of 12"),
        ({"ok": 1, "ip_not_allowed": 11}, "Our network or address: 11 of 12"),
        ({"ok": 5, "clock_skew": 7}, "Our side: 7 of 12"),
        ({"invalid_key": 2}, "Too few keys to tell: 2 of 2"),
    ],
)
def test_operators_read_how_the_keys_of_an_exchange_stand(standing: dict[str, int], words: str) -> None:
    assert words in sum_up(standing)
    assert bool(words) == bool(sum_up(standing))


def test_one_other_key_is_told_in_good_words() -> None:
    for code, public, others in (
        ("bad_signature", "ok", Others(fine=1)),
        ("unexpected_reply", "ok", Others(fine=1)),
        ("account_blocked", "ok", Others(different=1)),
    ):
        blame = weigh(Evidence(code, public, others), exchange=EXCHANGE)
        assert blame is not None
        assert "the one other" in blame.sentence
        assert " 1 " not in blame.sentence
