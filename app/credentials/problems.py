"""Turns a problem code into advice: cause, remedy, who must act and the next click, in the exchange's own words."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from app.credentials.problem_words import DOUBTS, EXCHANGE, NOBODY, UNEXPECTED_ADDRESS, UNSTORED, WORDS, Words
from app.credentials.views import Advice
from app.exchanges.types import Answer, Exchange, Grant, Permission

_SAME_AS = {
    "quarantined": "transfer_enabled",
    "limited": "permission_missing",
    "expiring": "key_expiring",
    "unavailable": "exchange_unavailable",
}
_BOX_NAMES = {
    Permission.TRADE: "Trade",
    Permission.WITHDRAW: "Withdraw",
    Permission.READ: "Read",
    Permission.TRANSFER: "Transfer",
}
_NOTHING_WORKS = (
    "This key has no permission that Keydeck can use.",
    "At {exchange}, edit the key, tick what the guide shows for your plan, leave {withdraw} empty and save. Then check again.",
    (
        "Your {exchange} key has no permission that Keydeck can use. At {exchange}, edit the key, tick what Keydeck's guide "
        "shows for your plan, leave {withdraw} empty and save. Then press Check now in Keydeck."
    ),
)
_READ_MISSING = (
    "This key may not read balances.",
    "At {exchange}, edit the key, tick {read} and save, then check again.",
    (
        "Your {exchange} key may not read balances. At {exchange}, edit the key, tick {read} and save; leave {withdraw} empty. "
        "Then press Check now in Keydeck."
    ),
)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the words may mention. `seen_ip` is only for the owner of the credential, never for support."""

    grants: Mapping[Permission, Grant] | None = None
    egress: tuple[str, ...] = ()
    seen_ip: str | None = None
    expires_at: datetime | None = None
    skew_seconds: float | None = None
    is_stored: bool = True
    link: str = ""


@dataclass(frozen=True, slots=True)
class _Texts:
    """The values of the placeholders."""

    values: Mapping[str, str] = field(default_factory=dict)

    def fill(self, template: str) -> str:
        return template.format_map(self.values)


def advise(code: str, *, exchange: Exchange, about: Circumstances | None = None) -> Advice:
    """Return what a person reads for a problem code. An unknown code gets the words of `internal`."""
    given = about or Circumstances()
    words = _choose_words(code, exchange=exchange, given=given)
    if words.who_acts in (NOBODY, EXCHANGE) and not given.is_stored:
        words = replace(words, remedy=UNSTORED)
    if code == "ip_not_allowed" and given.seen_ip and given.egress and given.seen_ip not in given.egress:
        words = replace(words, remedy=f"{words.remedy} {UNEXPECTED_ADDRESS}")
    texts = _collect_texts(exchange, given)
    copy = ", ".join(_list_addresses(given)) if "{addresses}" in words.remedy else ""
    return Advice(
        code=code,
        cause=texts.fill(words.cause),
        remedy=texts.fill(words.remedy),
        who_acts=words.who_acts,
        action=words.action if copy or words.action != "copy_address" else "recheck",
        copy=copy or None,
        field=_find_field(words, exchange),
        link=(given.link or None) if words.is_mended_there else None,
    )


def support_reply(code: str, *, exchange: Exchange, about: Circumstances | None = None) -> str:
    """Return a reply that support can send to the customer. It never holds an address the exchange told."""
    given = replace(about or Circumstances(), seen_ip=None)
    return _collect_texts(exchange, given).fill(_choose_words(code, exchange=exchange, given=given).reply)


def tell_operator(code: str) -> str:
    """Return one sentence for the operator: what the code means for the server."""
    return find_words(code).operator


def find_words(code: str) -> Words:
    """Return the words of a code; those of `internal` for a code nobody knows (a row of a newer version)."""
    return WORDS.get(_SAME_AS.get(code, code), WORDS["internal"])


def find_public_field(exchange: Exchange) -> str:
    """Return the label of the public part, as the exchange calls it."""
    return next((entry.label for entry in exchange.fields if entry.name == "api_key"), "API key")


def find_secret_field(exchange: Exchange) -> str:
    """Return the label of the secret part, as the exchange calls it."""
    return next((entry.label for entry in exchange.fields if entry.name != "api_key"), "Secret key")


def find_box(exchange: Exchange, permission: Permission) -> str:
    """Return the tick box of a permission, as the exchange calls it."""
    return next((box.label for box in exchange.boxes if box.permission is permission), _BOX_NAMES[permission])


def find_transfer_box(exchange: Exchange) -> str:
    """Return the tick box that lets a key transfer; at some exchanges that is the one for trading."""
    own = any(box.permission is Permission.TRANSFER for box in exchange.boxes)
    return find_box(exchange, Permission.TRANSFER if own else Permission.TRADE)


def _choose_words(code: str, *, exchange: Exchange, given: Circumstances) -> Words:
    """Return the words that fit what is known: trader and support read of the same cause."""
    words = _admit_doubt(find_words(code), code=code, exchange=exchange)
    return _choose_missing(words, given.grants) if find_words(code) is WORDS["permission_missing"] else words


def _admit_doubt(words: Words, *, code: str, exchange: Exchange) -> Words:
    """Name every reason that the exchange's answer leaves open, where it gives one answer for several."""
    if code not in exchange.doubtful_codes or code not in DOUBTS:
        return words
    cause, remedy, reply = DOUBTS[code]
    return replace(words, cause=cause, remedy=remedy, reply=reply)


def _choose_missing(words: Words, grants: Mapping[Permission, Grant] | None) -> Words:
    """Say which right is missing: all of them, Read, or (as the table has it) Trade."""
    if grants and grants.get(Permission.READ, Grant()).answer is not Answer.NO:
        return words
    cause, remedy, reply = _READ_MISSING if grants else _NOTHING_WORKS
    return replace(words, cause=cause, remedy=remedy, reply=reply, action="guide")


def _find_field(words: Words, exchange: Exchange) -> str | None:
    if words.field == "key":
        return "api_key"
    if words.field == "secret":
        return next((entry.name for entry in exchange.fields if entry.name != "api_key"), None)
    return words.field


def _list_addresses(given: Circumstances) -> tuple[str, ...]:
    return (given.seen_ip,) if given.seen_ip else given.egress


def _collect_texts(exchange: Exchange, given: Circumstances) -> _Texts:
    return _Texts(
        {
            "exchange": exchange.name,
            "key": find_public_field(exchange),
            "secret": find_secret_field(exchange),
            "read": find_box(exchange, Permission.READ),
            "trade": find_box(exchange, Permission.TRADE),
            "withdraw": find_box(exchange, Permission.WITHDRAW),
            "transfer": find_transfer_box(exchange),
            "addresses": " and ".join(_list_addresses(given)) or "this server's address (your operator knows it)",
            "expected": " or ".join(given.egress),
            "ends": f"{given.expires_at.day} {given.expires_at:%B %Y}" if given.expires_at else "a day it did not tell",
            "skew": "" if given.skew_seconds is None else f", by {abs(given.skew_seconds):.0f} seconds",
        }
    )
