"""What a person may be told of, for choosing; and what is urgent enough to pass quiet hours."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.credentials.change_models import ChangeKind, Phase

CHANNEL_FAILED = "channel_failed"
"""Told in the app only: the way out by which it could be told does not work."""


@dataclass(frozen=True, slots=True)
class EventChoice:
    """One line of the choice."""

    kind: str
    label: str
    hint: str


CHOICES = (
    EventChoice(ChangeKind.WITHDRAW_GAINED, "A key can withdraw", "It is put in quarantine at once."),
    EventChoice(ChangeKind.TRANSFER_GAINED, "A balances-only key can transfer", "It is put in quarantine at once."),
    EventChoice(ChangeKind.STOPPED_WORKING, "A key stops working", "Deleted, expired, blocked, or another address is demanded."),
    EventChoice(ChangeKind.RIGHT_LOST, "A key loses a right it needs", "Such as Trade on a key for trading."),
    EventChoice(ChangeKind.EXPIRING, "A key ends soon", "14, 7, 3 and 1 days ahead."),
    EventChoice(ChangeKind.ADDRESSES_CHANGED, "A key is bound to other addresses", "Where the exchange tells."),
    EventChoice(ChangeKind.BALANCES_OLD, "Balances are older than an hour", "With word when they are fresh again."),
)
ALL_EVENTS = tuple(choice.kind for choice in CHOICES)
_URGENT = frozenset({ChangeKind.WITHDRAW_GAINED, ChangeKind.TRANSFER_GAINED, ChangeKind.STOPPED_WORKING})


def is_urgent(kind: str, *, phase: str, facts: Mapping[str, str]) -> bool:
    """Tell whether an alert may not wait for the morning: money may move, a key is dead or will be within a day."""
    if phase == Phase.ENDED:
        return False
    return kind in _URGENT or (kind == ChangeKind.EXPIRING and facts.get("step") == "1")
