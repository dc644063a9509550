"""Argon2id with today's figures, equal work for nobody, upgrades of old hashes, and rules that only count length."""

import pytest

from app.accounts.passwords import Passwords, find_password_fault
from app.masking import Secret
from tests.people import QUICK_PASSWORDS


async def test_the_figures_are_owasps() -> None:
    encoded = await Passwords().hash(Secret("correct horse battery"))
    assert encoded.startswith("$argon2id$v=19$m=47104,t=1,p=1$")


async def test_right_and_wrong() -> None:
    encoded = await QUICK_PASSWORDS.hash(Secret("correct horse battery"))
    assert (await QUICK_PASSWORDS.verify(Secret("correct horse battery"), encoded)).is_right
    assert not (await QUICK_PASSWORDS.verify(Secret("correct horse"), encoded)).is_right
    assert not (await QUICK_PASSWORDS.verify(Secret("correct horse battery"), None)).is_right


async def test_an_old_hash_is_made_anew() -> None:
    old = await Passwords(memory_kib=16).hash(Secret("correct horse battery"))
    verdict = await QUICK_PASSWORDS.verify(Secret("correct horse battery"), old)
    assert verdict.is_right
    assert verdict.new_hash is not None
    assert "m=8," in verdict.new_hash
    assert (await QUICK_PASSWORDS.verify(Secret("correct horse battery"), verdict.new_hash)).new_hash is None


async def test_the_same_letters_from_another_keyboard_are_the_same() -> None:
    encoded = await QUICK_PASSWORDS.hash(Secret("caf\u00e9 caf\u00e9 caf\u00e9"))
    assert (await QUICK_PASSWORDS.verify(Secret("cafe\u0301 cafe\u0301 cafe\u0301"), encoded)).is_right


@pytest.mark.parametrize("good", ["aaaaaaaaaaaa", "x" * 256, "пароль из слов", "            12", "🙂" * 12])
def test_length_counts_and_nothing_else(good: str) -> None:
    assert find_password_fault(Secret(good), email="one@example.org") is None


@pytest.mark.parametrize("bad", ["", "x" * 11, "x" * 257, "one@example.org", " ONE@example.org "])
def test_short_long_and_the_email_are_refused(bad: str) -> None:
    assert find_password_fault(Secret(bad), email="one@example.org")
