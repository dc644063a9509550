"""The list of sandbox keys: stable, distinct, and with the outcome each probe policy must give."""

import re

import pytest

from app.exchanges.types import ProbePolicy
from app.sandbox.keys import SandboxKey, list_keys

ALIKE = {
    "read-only": ("balances", "connected", None, True),
    "read-trade": ("trading", "connected", None, True),
    "withdraw-enabled": ("trading", "withdraw_enabled", "withdraw_enabled", False),
    "no-permissions": ("balances", "limited", "permission_missing", False),
    "ip-restricted": ("balances", "ip_not_allowed", "ip_not_allowed", False),
    "revoked": ("balances", "invalid_key", "invalid_key", False),
    "wrong-secret": ("balances", "invalid_key", "bad_signature", False),
    "empty": ("balances", "connected", None, True),
    "large": ("balances", "connected", None, True),
    "slow": ("balances", "unavailable", "unreachable", False),
    "rate-limited": ("balances", "unavailable", "rate_limited", False),
    "maintenance": ("balances", "unavailable", "maintenance", False),
    "html-error": ("balances", "unavailable", "exchange_unavailable", False),
    "clock-skew": ("balances", "unavailable", "clock_skew", False),
    "account-blocked": ("balances", "account_blocked", "account_blocked", False),
    "drifting": ("trading", "connected", None, True),
}
OWN = {
    "hitbtc": {"waiting": ("trading", "waiting", "waiting", True), "demo-key": ("balances", "invalid_key", "invalid_key", False)},
    "htx": {
        "expiring": ("balances", "expiring", "key_expiring", True),
        "expired": ("balances", "key_expired", "key_expired", False),
        "swapped-words": ("trading", "connected", None, True),
        "ip-bound": ("balances", "connected", None, True),
        "several-keys": ("balances", "connected", None, True),
        "sub-user": ("balances", "connected", "withdraw_unverified", True),
        "sub-user-403": ("balances", "connected", "withdraw_unverified", True),
        "sub-user-empty": ("balances", "connected", "withdraw_unverified", True),
        "ed25519": ("balances", "connected", None, True),
    },
    "bitexbit": {"clock-skew": ("balances", "unavailable", "number_refused", False)},
    "binance": {
        "ip-restricted": ("balances", "invalid_key", "invalid_key", False),
        "expiring": ("trading", "expiring", "key_expiring", True),
        "demo-key": ("balances", "invalid_key", "invalid_key", False),
    },
    "kraken": {
        "clock-skew": ("balances", "unavailable", "number_refused", False),
        "ip-restricted": ("balances", "invalid_key", "invalid_key", False),
        "expiring": ("balances", "expiring", "key_expiring", True),
        "expired": ("balances", "invalid_key", "invalid_key", False),
        "ip-bound": ("balances", "connected", None, True),
        "untold": ("balances", "connected", None, True),
        "staked": ("balances", "connected", None, True),
    },
}


def outcomes(keys: tuple[SandboxKey, ...], exchange: str) -> dict[str, tuple[str, str | None, str | None, bool]]:
    return {key.scenario: (key.plan, key.status, key.code, key.stored) for key in keys if key.exchange == exchange}


@pytest.mark.parametrize("exchange", OWN)
def test_outcomes_when_withdrawing_can_be_known(exchange: str) -> None:
    assert outcomes(list_keys(ProbePolicy.ALL), exchange) == ALIKE | OWN[exchange]


def test_bitexbit_cannot_know_withdrawing_by_default() -> None:
    known = outcomes(list_keys(), "bitexbit")
    for scenario in ("read-only", "read-trade", "empty", "large", "drifting", "withdraw-enabled"):
        assert known[scenario][1:] == ("connected", "withdraw_unverified", True), scenario
    assert known["revoked"][1:] == ("invalid_key", "invalid_key", False)


def test_hitbtc_cannot_know_withdrawing_by_reads_alone_but_htx_can() -> None:
    keys = list_keys(ProbePolicy.READS)
    assert outcomes(keys, "hitbtc")["withdraw-enabled"][1:] == ("connected", "withdraw_unverified", True)
    assert outcomes(keys, "htx")["withdraw-enabled"][1:] == ("withdraw_enabled", "withdraw_enabled", False)


def test_values_are_the_same_every_time_and_never_twice() -> None:
    first, second = list_keys(), list_keys()
    assert first == second
    texts = [part.reveal() for key in first for part in key.secrets.values()]
    assert len(set(texts)) == len(texts)
    hints = [key.secrets["api_key"].reveal()[-4:] for key in first]
    assert len(set(hints)) == len(hints)
    assert all(text == text.strip() for text in texts)


@pytest.mark.parametrize(
    ("exchange", "key_look", "secret_look"),
    [
        ("hitbtc", r"[A-Za-z0-9][A-Za-z0-9_-]{31}", r"[A-Za-z0-9][A-Za-z0-9_-]{31}"),
        (
            "htx",
            r"[a-z0-9]{10}-[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{5}",
            r"([0-9a-f]{8}-){3}[0-9a-f]{5}|-----BEGIN PRIVATE KEY-----[\s\S]+",
        ),
        ("bitexbit", r"[0-9a-f]{40}", r"[A-Za-z0-9]{64}"),
        ("binance", r"[A-Za-z0-9]{64}", r"[A-Za-z0-9]{64}"),
        ("kraken", r"[A-Za-z0-9+/]{56}", r"[A-Za-z0-9+/]{86}=="),
    ],
)
def test_values_look_like_the_exchanges_own(exchange: str, key_look: str, secret_look: str) -> None:
    for key in list_keys():
        if key.exchange == exchange:
            assert set(key.secrets) == {"api_key", "secret_key"}
            assert re.fullmatch(key_look, key.secrets["api_key"].reveal())
            assert re.fullmatch(secret_look, key.secrets["secret_key"].reveal())


def test_secrets_are_masked_in_a_listing() -> None:
    key = list_keys()[0]
    assert key.secrets["secret_key"].reveal() not in repr(key)
