"""Notes what changed, in the transaction that changes it: a row for pages that come back, a signal for those that are open.

Whoever rolls back has told nobody.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy.ext.asyncio import AsyncSession

from app.live import repository

CHANNEL = "keydeck_live"
TOLD = "keydeck_told"
"""Where a unit of work keeps whose pages are to be woken once it is committed (`Session.info`)."""

_EVERYONE = "*"
_MOST_NAMED = 200  # PostgreSQL carries 8,000 bytes in a signal; an id has about 30


class ChangeKind(StrEnum):
    """What happened: a check began by hand, a check ended, balances came, a value was changed, it is gone; an alert."""

    CHECKING = "checking"
    CHECKED = "checked"
    BALANCES = "balances"
    CHANGED = "changed"
    GONE = "gone"
    ALERT = "alert"


@dataclass(frozen=True, slots=True)
class Change:
    """Something that `user_id`'s pages show differently now."""

    user_id: str
    credential_id: str | None
    kind: ChangeKind


async def note_changes(session: AsyncSession, changes: Sequence[Change], *, at: datetime) -> None:
    """Note changes within the unit of work: one statement for all of them, and on PostgreSQL one signal."""
    if not changes:
        return
    rows = [
        {"user_id": change.user_id, "credential_id": change.credential_id, "kind": change.kind.value, "at": at}
        for change in changes
    ]
    await repository.add_events(session, rows)
    user_ids = {change.user_id for change in changes}
    session.sync_session.info.setdefault(TOLD, set()).update(user_ids)
    if session.get_bind().dialect.name == "postgresql":
        await repository.notify(session, channel=CHANNEL, payload=write_payload(user_ids))


def write_payload(user_ids: Iterable[str]) -> str:
    """Return the signal's text: whose pages to wake. Ids only."""
    named = sorted(user_ids)
    return " ".join(named) if len(named) <= _MOST_NAMED else _EVERYONE


def parse_payload(payload: str) -> frozenset[str] | None:
    """Return whose pages to wake; None for everyone's."""
    named = frozenset(payload.split())
    return None if _EVERYONE in named else named
