"""How a change of a key reads, on its page and in alerts: what happened, and what to do. No secret, no balance, ever.

Addresses a key is bound to are the owner's own business: only their pages show them, no message that leaves does.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from app.credentials.change_models import ChangeKind, Phase
from app.credentials.problems import advise, find_box, find_transfer_box
from app.exchanges.types import Exchange, Permission
from app.web.formats import write_count, write_day, write_exact


@dataclass(frozen=True, slots=True)
class ChangeWords:
    """`title` goes on from the key's name ("Main at HTX …"); `tone` is danger, warn, ok or idle."""

    title: str
    detail: str
    tone: str


@dataclass(frozen=True, slots=True)
class ChangeView:
    """One line of a key's dated history of changes."""

    at: datetime
    words: ChangeWords


@dataclass(frozen=True, slots=True)
class _About:
    """What the words of one change are made of."""

    exchange: Exchange
    phase: Phase
    facts: Mapping[str, str]
    shows_addresses: bool

    @property
    def rights(self) -> str:
        before, after = self.facts.get("before"), self.facts.get("after")
        return f"Before: {before}. Now: {after}." if before and after else ""


def describe_change(
    kind: str, *, phase: str, facts: Mapping[str, str], exchange: Exchange, shows_addresses: bool = True
) -> ChangeWords:
    """Return the words of a change; of a kind that a newer version wrote, that something changed."""
    if kind not in _WRITERS or phase not in set(Phase):
        return ChangeWords("changed", "This version of Keydeck does not know how.", "idle")
    about = _About(exchange, Phase(phase), facts, shows_addresses)
    if facts.get("replaced"):
        return ChangeWords(f"was replaced: {_OVER[ChangeKind(kind)]}", "Keydeck uses the new key.", "ok")
    return _WRITERS[ChangeKind(kind)](about)


def _describe_withdraw(about: _About) -> ChangeWords:
    box = find_box(about.exchange, Permission.WITHDRAW)
    if about.phase is Phase.ENDED:
        return ChangeWords("cannot withdraw any more", f"{about.rights} Keydeck uses the key again.", "ok")
    return ChangeWords("can withdraw now", f"{about.rights} {_tell_way_out(box, about.exchange)}", "danger")


def _describe_transfer(about: _About) -> ChangeWords:
    if about.phase is Phase.ENDED:
        return ChangeWords("is out of quarantine", f"{about.rights} Keydeck uses the key again.", "ok")
    box = find_transfer_box(about.exchange)
    detail = f"{about.rights} {_tell_way_out(box, about.exchange)}"
    return ChangeWords("can move funds between accounts now", detail, "danger")


def _tell_way_out(box: str, exchange: Exchange) -> str:
    return (
        f"Keydeck uses it for checks only. At {exchange.name}, edit the key, untick {box} and save, or replace the key. "
        "If you did not turn it on, delete it."
    )


def _describe_loss(about: _About) -> ChangeWords:
    lost = about.facts.get("lost", "a right")
    if about.phase is Phase.ENDED:
        return ChangeWords("has all the rights it needs again", about.rights, "ok")
    remedy = f"At {about.exchange.name}, edit the key, tick it again and save."
    return ChangeWords(f"has lost {lost}", f"{about.rights} {remedy}", "warn")


def _describe_death(about: _About) -> ChangeWords:
    if about.phase is Phase.ENDED:
        return ChangeWords("works again", f"{about.exchange.name} accepts the key.", "ok")
    advice = advise(about.facts.get("code", "invalid_key"), exchange=about.exchange)
    return ChangeWords("does not work any more", f"{advice.cause} {advice.remedy}", "danger")


def _describe_expiry(about: _About) -> ChangeWords:
    if about.phase is Phase.ENDED:
        return ChangeWords("does not end soon any more", f"{about.exchange.name} tells a later end, or none.", "ok")
    days, ends_at = int(about.facts.get("days", "0")), about.facts.get("ends_at")
    left = "within a day" if days <= 1 else f"in {write_count(days, 'day')}"
    end = f"{about.exchange.name} ends this key on {write_day(datetime.fromisoformat(ends_at))}." if ends_at else ""
    rule = about.exchange.expiry_rule or "Keys that are bound to no address last for a limited time there."
    cause = {
        "no": f" {rule} Bind it to this server's address, or replace it before that day.",
        "yes": " Create a new key before that day and replace this one.",
    }.get(about.facts.get("bound", ""), " Replace it before that day. If it is bound to no address, binding it may be enough.")
    return ChangeWords(f"ends {left}", end + cause, "danger" if days <= 3 else "warn")


def _describe_addresses(about: _About) -> ChangeWords:
    title = "may be used from other addresses now"
    if not about.shows_addresses:
        return ChangeWords(title, "Keydeck shows which. If you did not change them, delete the key at the exchange.", "warn")
    told = f"Before: {about.facts.get('before', '')}. Now: {about.facts.get('after', '')}."
    return ChangeWords(title, f"{told} If you did not change them, delete the key at {about.exchange.name}.", "warn")


def _describe_age(about: _About) -> ChangeWords:
    if about.phase is Phase.ENDED:
        return ChangeWords("has fresh balances again", "They were read just now.", "ok")
    since = about.facts.get("since")
    last = f"They were last read on {write_exact(datetime.fromisoformat(since))}." if since else "They were never read."
    detail = f"{last} Keydeck keeps trying and shows the last known values with their age."
    return ChangeWords("has had no fresh balances for an hour", detail, "warn")


_WRITERS: Mapping[ChangeKind, Callable[[_About], ChangeWords]] = {
    ChangeKind.WITHDRAW_GAINED: _describe_withdraw,
    ChangeKind.TRANSFER_GAINED: _describe_transfer,
    ChangeKind.RIGHT_LOST: _describe_loss,
    ChangeKind.STOPPED_WORKING: _describe_death,
    ChangeKind.EXPIRING: _describe_expiry,
    ChangeKind.ADDRESSES_CHANGED: _describe_addresses,
    ChangeKind.BALANCES_OLD: _describe_age,
}
_OVER: Mapping[ChangeKind, str] = {
    ChangeKind.WITHDRAW_GAINED: "the quarantine is over",
    ChangeKind.TRANSFER_GAINED: "the quarantine is over",
    ChangeKind.RIGHT_LOST: "the lost right is of the old key",
    ChangeKind.STOPPED_WORKING: "it works again",
    ChangeKind.EXPIRING: "the old one's end does not matter any more",
    ChangeKind.ADDRESSES_CHANGED: "its addresses are those of the new key",
    ChangeKind.BALANCES_OLD: "balances are read again",
}
