"""What is cleaned, what is refused with its field named, and that a repaired input passes."""

import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest

from app.credentials.connect import ConnectInput, ConnectRefused
from app.credentials.entry import clean_entry, clean_label, clean_secrets, hide_secrets, make_format_step
from app.credentials.views import StepState
from app.exchanges.types import AccessPlan, CredentialField, Environment, Exchange
from app.masking import Secret

KEY, SECRET = "k" * 20 + "f3a9", "S" * 40
FIELDS = (
    CredentialField("api_key", "Access Key", False, usual_length=24),
    CredentialField("secret_key", "Private Key", True, usual_length=40),
)
MADE = Exchange("made", "Made", "Md", (), FIELDS, (), (), {}, "2026-11")
BLOCK = Exchange(
    "block", "Block", "Bl", (), (FIELDS[0], CredentialField("secret_key", "Secret", True, multiline=True)), (), (), {}, ""
)
EXCHANGES: Any = SimpleNamespace(
    get=lambda slug: MADE if slug == "made" else None, list_environments=lambda slug: [Environment.LIVE, Environment.SANDBOX]
)
GOOD = ConnectInput("made", "live", "Main", "balances", {"api_key": Secret(KEY), "secret_key": Secret(SECRET)})


def change(**values: Any) -> ConnectInput:
    return dataclasses.replace(GOOD, **values)


def secrets(key: str = KEY, secret: str = SECRET) -> dict[str, Secret]:
    return {"api_key": Secret(key), "secret_key": Secret(secret)}


def test_a_good_input_passes() -> None:
    entry = clean_entry(GOOD, exchanges=EXCHANGES)
    assert (entry.exchange, entry.environment, entry.plan, entry.label) == (MADE, Environment.LIVE, AccessPlan.BALANCES, "Main")
    assert entry.key_hint == "f3a9"
    assert entry.format_step.state is StepState.PASSED


@pytest.mark.parametrize(
    "pasted",
    [
        f"  {KEY}\n",
        f"{KEY[:9]} {KEY[9:]}",
        f"{KEY[:9]}\r\n{KEY[9:]}",
        f"\u200b{KEY}\ufeff",
        f"{KEY[:5]}\u00a0{KEY[5:]}\t",
        f"\x00{KEY}",
    ],
)
def test_what_copying_adds_is_removed(pasted: str) -> None:
    assert clean_secrets(secrets(pasted), exchange=MADE)["api_key"].reveal() == KEY
    assert clean_secrets({"api_key": Secret(KEY), "secret_key": Secret(f"{SECRET[:3]}\n {SECRET[3:]}")}, exchange=BLOCK)[
        "secret_key"
    ] == Secret(SECRET)


def test_a_key_file_keeps_its_lines() -> None:
    block = "-----BEGIN PRIVATE KEY-----\nabc def\n-----END PRIVATE KEY-----"
    cleaned = clean_secrets({"api_key": Secret(KEY), "secret_key": Secret(f"\n{block}\n")}, exchange=BLOCK)
    assert cleaned["secret_key"].reveal() == block


@pytest.mark.parametrize(
    ("entered", "field", "words"),
    [
        (change(exchange="nowhere"), "exchange", "not offered"),
        (change(exchange=""), "exchange", "not offered"),
        (change(environment="demo"), "environment", "no such environment"),
        (change(environment="moon"), "environment", "no such environment"),
        (change(plan="everything"), "plan", "plan"),
        (change(secrets={}), "api_key", "Access Key is empty"),
        (change(secrets=secrets(key="  ")), "api_key", "Access Key is empty"),
        (change(secrets=secrets(secret="")), "secret_key", "Private Key is empty"),
        (change(secrets=secrets(key="short")), "api_key", "too short"),
        (change(secrets=secrets(secret="x" * 8000)), "secret_key", "far too long"),
        (change(secrets=secrets(secret="•" * 40)), "secret_key", "no key has"),
        (change(secrets=secrets(key=SECRET, secret=KEY)), "api_key", "swapped"),
        (change(secrets=secrets(key=KEY, secret=KEY)), "secret_key", "same text"),
        (change(secrets=secrets(key=f"{KEY}\n{SECRET}", secret="")), "api_key", "two values"),
        (change(secrets=secrets(key="", secret=f"{KEY} {SECRET}")), "secret_key", "two values"),
        (change(secrets={**secrets(), SECRET: Secret("x" * 20)}), None, "no such field"),
        (change(label="x" * 41), "label", "longer than 40"),
        (change(label="a\x07b"), "label", "control"),
        (change(label="\u202eabc"), "label", "control"),
        (change(label=f"my {SECRET[:20]} {SECRET[20:]}"), "label", "part of the key"),
        (change(label=KEY.upper()), "label", "part of the key"),
    ],
)
def test_a_bad_input_names_its_field_and_a_repaired_one_passes(entered: ConnectInput, field: str | None, words: str) -> None:
    with pytest.raises(ConnectRefused) as refused:
        clean_entry(entered, exchanges=EXCHANGES)
    advice = refused.value.advice
    assert (advice.code, advice.field, advice.who_acts) == ("invalid_input", field, "trader")
    assert words in advice.cause
    assert refused.value.steps[0].state is StepState.FAILED
    said = f"{advice}{refused.value.steps}{refused.value!r}{refused.value}"
    assert KEY not in said
    assert SECRET not in said
    assert clean_entry(GOOD, exchanges=EXCHANGES).label == "Main"


def test_labels() -> None:
    assert clean_label("  a \n b\tc ") == "a b c"
    assert clean_label("<script>alert(1)</script>") == "<script>alert(1)</script>"
    assert clean_label("") == ""
    assert clean_label("é" * 40) == "é" * 40
    assert clean_label("Familie 👨‍👩‍👧") == "Familie 👨‍👩‍👧"


def test_an_unusual_length_is_a_warning_that_tells_no_length() -> None:
    step = make_format_step(secrets(secret=SECRET[1:]), exchange=MADE)
    assert step.state is StepState.WARNED
    assert step.detail == "The Private Key is shorter than Made's usually are"


def test_the_exchanges_words_lose_what_was_submitted() -> None:
    assert hide_secrets(f"no such key {KEY}", secrets().values()) == "no such key ••••••"
    assert len(hide_secrets("x" * 1000, [])) == 300


def test_an_input_does_not_show_its_secrets() -> None:
    assert SECRET not in repr(GOOD)
    assert SECRET not in repr(clean_entry(GOOD, exchanges=EXCHANGES))
