"""Orders, filters and counts the credentials of the list page. Pure: no request, no HTML, no network."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.credentials.presentation import is_reading
from app.credentials.views import CredentialView, Status

SORTS = (("", "Attention first"), ("label", "Label"), ("exchange", "Exchange"), ("checked", "Last checked"))


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What the list is narrowed to: part of label, exchange or key ending; a status or group; the order."""

    text: str = ""
    status: str = ""
    sort: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A credential of the list. Those the filter leaves out stay in the page, hidden, so that typing can bring them back."""

    view: CredentialView
    is_shown: bool


@dataclass(frozen=True, slots=True)
class Arranged:
    """The two groups of the list."""

    attention: tuple[Row, ...]
    fine: tuple[Row, ...]

    @property
    def shown(self) -> int:
        return sum(row.is_shown for row in (*self.attention, *self.fine))


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures on top of the list. `oldest_check` is since when every key that is not paused has been checked."""

    keys: int
    connected: int
    exchanges: int
    reading: int
    attention: int
    can_withdraw: int
    oldest_check: datetime | None
    next_check: datetime | None


def arrange(views: Iterable[CredentialView], query: ListQuery) -> Arranged:
    """Return the list's two groups, each in the order asked for (default: most severe first, as given)."""
    ordered = _sort(list(views), query.sort)
    rows = [Row(view, _fits(view, query)) for view in ordered]
    return Arranged(
        tuple(row for row in rows if row.view.needs_attention), tuple(row for row in rows if not row.view.needs_attention)
    )


def _sort(views: list[CredentialView], sort: str) -> list[CredentialView]:
    if sort == "label":
        return sorted(views, key=lambda view: view.label.lower())
    if sort == "exchange":
        return sorted(views, key=lambda view: (view.exchange.name.lower(), view.label.lower()))
    if sort == "checked":
        never = [view for view in views if view.checked_at is None]
        return (
            sorted((view for view in views if view.checked_at), key=lambda view: view.checked_at or view.created_at)[::-1] + never
        )
    return views


def _fits(view: CredentialView, query: ListQuery) -> bool:
    text = " ".join(query.text.split()).lower().removeprefix("…")
    words = f"{view.label} {view.exchange.name} {view.environment.value} {view.key_hint}".lower()
    group = "attention" if view.needs_attention else "fine"
    return text in words and query.status.replace("-", "_") in ("", group, view.status.value)


def summarise(views: Sequence[CredentialView]) -> Summary:
    """Return the figures on top of the list."""
    active = [view for view in views if not view.paused]
    checked = [view.checked_at for view in active if view.checked_at is not None]
    upcoming = [view.next_check_at for view in active if view.next_check_at is not None]
    return Summary(
        keys=len(views),
        connected=sum(view.status is Status.CONNECTED for view in views),
        exchanges=len({view.exchange.slug for view in views}),
        reading=sum(is_reading(view.balances) for view in views),
        attention=sum(view.needs_attention for view in views),
        can_withdraw=sum(view.status is Status.WITHDRAW_ENABLED for view in views),
        oldest_check=min(checked) if len(checked) == len(active) and checked else None,
        next_check=min(upcoming, default=None),
    )
