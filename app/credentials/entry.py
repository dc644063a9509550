"""Cleans and judges what a trader submitted, before anyone is asked: the format step. The one place here that looks into secrets.

No text made here holds a submitted value, nor a field name that we did not know before.
"""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from app.credentials.connect import ConnectInput, ConnectRefused
from app.credentials.problem_words import TRADER
from app.credentials.problems import find_public_field, find_secret_field
from app.credentials.views import Advice, Step, StepName, StepState
from app.exchanges.registry import Exchanges
from app.exchanges.types import AccessPlan, CredentialField, Environment, Exchange
from app.masking import Secret

LABEL_LENGTH = 40
SHORTEST = 8
LONGEST = 256
LONGEST_MULTILINE = 8000
_HINT_LENGTH = 4
_BLOCK_MARK = "-----BEGIN"  # a private key file, whose lines are part of it
_SHORTEST_IN_LABEL = 6
_DIRECTION_MARKS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True, slots=True)
class CleanEntry:
    """An input that may be tried: known exchange, environment and plan, complete secrets, a label (empty: choose one)."""

    exchange: Exchange
    environment: Environment
    plan: AccessPlan
    label: str
    secrets: Mapping[str, Secret] = field(repr=False)
    key_hint: str
    attested: bool
    format_step: Step


def clean_entry(entered: ConnectInput, *, exchanges: Exchanges) -> CleanEntry:
    """Return the input cleaned. Raises ConnectRefused (code `invalid_input`) with advice that names the field."""
    exchange = exchanges.get(entered.exchange)
    if exchange is None:
        raise refuse_input("exchange", "This exchange is not offered here.", "Choose one of the exchanges listed.")
    environment = next((one for one in exchanges.list_environments(exchange.slug) if one.value == entered.environment), None)
    if environment is None:
        raise refuse_input("environment", f"{exchange.name} has no such environment here.", "Choose one of those listed.")
    plan = parse_plan(entered.plan)
    secrets = clean_secrets(entered.secrets, exchange=exchange)
    return CleanEntry(
        exchange=exchange,
        environment=environment,
        plan=plan,
        label=clean_label(entered.label, secrets=secrets.values()),
        secrets=secrets,
        key_hint=make_hint(secrets),
        attested=entered.attested,
        format_step=make_format_step(secrets, exchange=exchange),
    )


def parse_plan(text: str) -> AccessPlan:
    """Return the plan. Raises ConnectRefused for any other word."""
    if text not in {plan.value for plan in AccessPlan}:
        raise refuse_input("plan", "This is not a plan Keydeck knows.", "Choose balances only, or balances and trading.")
    return AccessPlan(text)


def clean_label(text: str, *, secrets: Iterable[Secret] = ()) -> str:
    """Return the label with single spaces; may be empty. Raises ConnectRefused when it is too long or holds a secret."""
    label = " ".join(text.split())
    if any(unicodedata.category(letter) in {"Cc", "Cs", "Co", "Cn"} or letter in _DIRECTION_MARKS for letter in label):
        raise refuse_input("label", "The label holds invisible control characters.", "Type the label instead of pasting it.")
    squeezed = "".join(label.split()).lower()
    values = [secret.reveal().lower() for secret in secrets]
    if any(len(value) >= _SHORTEST_IN_LABEL and "".join(value.split()) in squeezed for value in values):
        raise refuse_input("label", "The label holds a part of the key.", "A label is shown in lists: choose a name instead.")
    if len(label) > LABEL_LENGTH:
        raise refuse_input("label", f"The label is longer than {LABEL_LENGTH} characters.", "Choose a shorter one.")
    return label


def clean_secrets(given: Mapping[str, Secret], *, exchange: Exchange) -> dict[str, Secret]:
    """Return every field of the exchange, cleaned. Raises ConnectRefused for one that cannot be what it should be."""
    if set(given) - {entry.name for entry in exchange.fields}:
        names = " and ".join(entry.name for entry in exchange.fields)
        raise refuse_input(None, f"{exchange.name} has no such field.", f"Send {names}, nothing else.")
    _refuse_two_in_one(given, exchange=exchange)
    cleaned = {entry.name: Secret(_clean_value(given.get(entry.name), entry=entry)) for entry in exchange.fields}
    values = [secret.reveal() for secret in cleaned.values()]
    if len(set(values)) < len(values):
        raise refuse_input(
            exchange.fields[-1].name,
            f"{find_public_field(exchange)} and {find_secret_field(exchange)} are the same text.",
            f"Copy the {find_secret_field(exchange)} again.",
        )
    _refuse_swapped(cleaned, exchange=exchange)
    return cleaned


def make_hint(secrets: Mapping[str, Secret]) -> str:
    """Return the last four characters of the public part, by which its owner knows the key."""
    return secrets["api_key"].reveal()[-_HINT_LENGTH:]


def hide_secrets(text: str, secrets: Iterable[Secret]) -> str:
    """Return the exchange's words without any submitted value, at most 300 characters of them."""
    for secret in secrets:
        text = secret.hide_in(text)
    return text[:300]


def make_format_step(secrets: Mapping[str, Secret], *, exchange: Exchange) -> Step:
    """Return the first line of a check: passed, or warned where a length is unusual. No length is told: it may be stored."""
    for entry in exchange.fields:
        usual = entry.usual_length
        if usual is not None and len(secrets[entry.name]) != usual:
            compared = "shorter" if len(secrets[entry.name]) < usual else "longer"
            detail = f"The {entry.label} is {compared} than {exchange.name}'s usually are"
            return Step(StepName.FORMAT, StepState.WARNED, detail)
    return Step(StepName.FORMAT, StepState.PASSED, "Both parts look complete")


def refuse_input(field_name: str | None, cause: str, remedy: str) -> ConnectRefused:
    """Return the refusal of an input, with the field at fault."""
    steps = (Step(StepName.FORMAT, StepState.FAILED, cause),)
    return ConnectRefused(Advice("invalid_input", cause, remedy, TRADER, field=field_name), steps=steps)


def _clean_value(secret: Secret | None, *, entry: CredentialField) -> str:
    """Return one value without what copying adds: spaces, line breaks, zero-width characters. Raises ConnectRefused."""
    text = secret.reveal() if secret is not None else ""
    is_block = entry.multiline and _BLOCK_MARK in text
    cleaned = text.strip() if is_block else "".join(letter for letter in text if _is_kept(letter))
    longest = LONGEST_MULTILINE if is_block else LONGEST
    if not cleaned:
        raise refuse_input(entry.name, f"The {entry.label} is empty.", "Copy it from the exchange and paste it here.")
    if len(cleaned) > longest:
        raise refuse_input(entry.name, f"The {entry.label} is far too long.", "Copy only this one value and paste it here.")
    if len(cleaned) < SHORTEST:
        raise refuse_input(entry.name, f"The {entry.label} is too short to be complete.", "Copy it again, whole.")
    if not is_block and not all("!" <= letter <= "~" for letter in cleaned):
        remedy = "Copy the value itself, with the exchange's copy button: dots on a page only stand for it."
        raise refuse_input(entry.name, f"The {entry.label} holds characters that no key has.", remedy)
    return cleaned


def _is_kept(letter: str) -> bool:
    return not letter.isspace() and unicodedata.category(letter) not in {"Cc", "Cf", "Zs", "Zl", "Zp"}


def _refuse_two_in_one(given: Mapping[str, Secret], *, exchange: Exchange) -> None:
    """Refuse two values pasted into one field while the other is empty: joined they would be a wrong key."""
    texts = {entry.name: given[entry.name].reveal() if entry.name in given else "" for entry in exchange.fields}
    is_one_empty = any(not text.strip() for text in texts.values())
    for entry in exchange.fields:
        parts = texts[entry.name].split()
        if is_one_empty and len(parts) == len(texts) and all(len(part) >= SHORTEST for part in parts):
            labels = " and ".join(one.label for one in exchange.fields)
            raise refuse_input(entry.name, f"The {entry.label} holds two values.", f"Put them into {labels}, one each.")


def _refuse_swapped(cleaned: Mapping[str, Secret], *, exchange: Exchange) -> None:
    """Refuse two values whose lengths fit each other's field and not their own."""
    usual = {entry.name: entry.usual_length for entry in exchange.fields if entry.usual_length is not None}
    if len(usual) != 2 or len(set(usual.values())) != 2:
        return
    (first, first_length), (second, second_length) = usual.items()
    if len(cleaned[first]) == second_length and len(cleaned[second]) == first_length:
        labels = " and ".join(entry.label for entry in exchange.fields if entry.name in usual)
        raise refuse_input(first, f"{labels} are swapped.", "Put each value into the other field.")
