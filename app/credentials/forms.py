"""Turns submitted forms into inputs of the service, and keeps what may be shown again. A secret is never kept."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from app.credentials.connect import ConnectInput, ConnectRefused
from app.credentials.entry import SHORTEST
from app.credentials.views import CredentialView
from app.exchanges.types import AccessPlan, Exchange
from app.masking import Secret

_LONGEST_KEPT = 300


@dataclass(frozen=True, slots=True)
class Kept:
    """What the form shows again after a refusal: everything but the secrets. `public` holds the key's public parts."""

    label: str = ""
    environment: str = ""
    plan: str = AccessPlan.TRADING.value
    attested: bool = False
    way: str = ""
    public: Mapping[str, str] = field(default_factory=dict)


def read_secrets(form: Mapping[str, str], *, exchange: Exchange) -> dict[str, Secret]:
    """Return the exchange's fields as they came, masked at once; a missing one is empty."""
    return {entry.name: Secret(form.get(entry.name, "")) for entry in exchange.fields}


def read_connect(form: Mapping[str, str], *, exchange: Exchange) -> ConnectInput:
    return ConnectInput(
        exchange=exchange.slug,
        environment=form.get("environment", ""),
        label=form.get("label", ""),
        plan=form.get("plan", ""),
        secrets=read_secrets(form, exchange=exchange),
        attested=is_attested(form),
        way=form.get("way", ""),
    )


def is_attested(form: Mapping[str, str]) -> bool:
    return form.get("attested") == "yes"


def keep(form: Mapping[str, str], *, exchange: Exchange, refused: ConnectRefused) -> Kept:
    """Return what may be shown again. Not a public part that cannot be used, nor any text with a secret in it.

    Both happen: the parts are swapped, or pasted together into one field.
    """
    is_doubtful = refused.advice.code == "invalid_input" and refused.advice.field != "label"
    public = {} if is_doubtful else {entry.name: form.get(entry.name, "") for entry in exchange.fields if not entry.secret}
    holds_secret = refused.advice.field == "label"
    secrets = [form.get(entry.name, "") for entry in exchange.fields if entry.secret]
    public = {name: value for name, value in public.items() if not holds_any(value, secrets)}
    label = form.get("label", "")
    return Kept(
        label="" if holds_secret or holds_any(label, secrets) else label[:_LONGEST_KEPT],
        environment=form.get("environment", ""),
        plan=form.get("plan", ""),
        attested=is_attested(form),
        way=form.get("way", "")[:_LONGEST_KEPT],
        public={name: value.strip()[:_LONGEST_KEPT] for name, value in public.items()},
    )


def keep_plain(form: Mapping[str, str], *, exchange: Exchange) -> Kept:
    """Return what may be shown again of a form that was not judged: not the label where a part of the key stands in it."""
    parts = [form.get(entry.name, "") for entry in exchange.fields]
    label = form.get("label", "")
    return Kept(
        label="" if holds_any(label, parts) else label[:_LONGEST_KEPT],
        environment=form.get("environment", ""),
        plan=form.get("plan", "") or AccessPlan.TRADING.value,
        attested=is_attested(form),
        way=form.get("way", "")[:_LONGEST_KEPT],
    )


def holds_any(text: str, secrets: Iterable[str]) -> bool:
    """Say whether the text holds one of the secrets, however either is spaced; shorter ones than any secret do not count."""
    squeezed = "".join(text.split())
    found = ("".join(secret.split()) for secret in secrets)
    return any(len(secret) >= SHORTEST and secret in squeezed for secret in found)


def keep_for_replace(view: CredentialView) -> Kept:
    """Return what is fixed when a key is replaced: it belongs to the same site, for the same use."""
    return Kept(label=view.label, environment=view.environment.value, plan=view.plan.value)
