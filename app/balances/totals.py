"""Adds up balances without ever guessing: what is counted, how old it is, and what is not counted and why.

Pure and exact. Environments are never mixed, a failure never becomes a zero, and an account that two keys reach is
counted once.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Context, Decimal
from enum import StrEnum

from app.credentials.views import CredentialView, Status
from app.exchanges.types import Balance, Environment, Exchange

STALE_AFTER = timedelta(minutes=15)
COUNTED_UNTIL = timedelta(hours=24)
_EXACT = Context(prec=1000)  # a meme coin's 18 decimals outgrow the usual 28 digits; only digits that exist cost anything

Explain = Callable[[str, Exchange], str]


class Counting(StrEnum):
    """Whether a credential's balances are in the totals: fresh, stale (over 15 minutes, still counted), or not."""

    FRESH = "fresh"
    STALE = "stale"
    NOT_COUNTED = "not_counted"


class Reason(StrEnum):
    """Why a credential is not counted."""

    NEVER_READ = "never_read"
    TOO_OLD = "too_old"
    SAME_ACCOUNT = "same_account"


@dataclass(frozen=True, slots=True)
class Sum:
    """Amounts of one asset; `held` is in orders or locked."""

    available: Decimal
    held: Decimal

    @property
    def total(self) -> Decimal:
        return _EXACT.add(self.available, self.held)

    def plus(self, other: "Sum") -> "Sum":
        return Sum(_EXACT.add(self.available, other.available), _EXACT.add(self.held, other.held))


@dataclass(frozen=True, slots=True)
class Row:
    """One asset in one account of the exchange."""

    account: str
    asset: str
    amounts: Sum


@dataclass(frozen=True, slots=True)
class MissingPart:
    """An account of the exchange that could not be read, and why in words."""

    account: str
    code: str
    words: str


@dataclass(frozen=True, slots=True)
class CredentialPart:
    """One credential's last known balances, and whether they are counted. `words` says why not, or what failed since."""

    id: str
    label: str
    exchange: Exchange
    environment: Environment
    status: Status
    counting: Counting
    reason: Reason | None
    words: str
    fetched_at: datetime | None
    failed_at: datetime | None
    failure_code: str | None
    rows: tuple[Row, ...]
    missing: tuple[MissingPart, ...]

    @property
    def counted(self) -> bool:
        return self.counting is not Counting.NOT_COUNTED

    @property
    def accounts(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(row.account for row in self.rows))

    def list_rows(self, account: str) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.account == account)


@dataclass(frozen=True, slots=True)
class Holder:
    """Where an asset is held: a credential's account."""

    part: CredentialPart
    account: str
    amounts: Sum


@dataclass(frozen=True, slots=True)
class AssetTotal:
    """One asset over all counted credentials of one environment. `stale`: at least one part is over 15 minutes old."""

    asset: str
    amounts: Sum
    holders: tuple[Holder, ...]

    @property
    def stale(self) -> bool:
        return any(holder.part.counting is Counting.STALE for holder in self.holders)

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        return tuple({holder.part.exchange.slug: holder.part.exchange for holder in self.holders}.values())


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of the whole a total speaks of: how many credentials, and the moment of the oldest one counted."""

    counted: int
    of: int
    oldest_at: datetime | None
    stale: int
    incomplete: tuple[CredentialPart, ...]
    not_counted: tuple[CredentialPart, ...]

    @property
    def is_whole(self) -> bool:
        return not (self.not_counted or self.stale or self.incomplete)

    def oldest_seconds(self, now: datetime) -> int | None:
        """Return the age of the oldest counted balances in whole seconds; None when nothing is counted."""
        return None if self.oldest_at is None else max(0, int((now - self.oldest_at).total_seconds()))


@dataclass(frozen=True, slots=True)
class EnvironmentTotals:
    """Everything of one environment: live money never stands in a sum with a demo's or the sandbox's."""

    environment: Environment
    coverage: Coverage
    assets: tuple[AssetTotal, ...]
    parts: tuple[CredentialPart, ...]


def add_up(credentials: Iterable[CredentialView], *, now: datetime, explain: Explain) -> tuple[EnvironmentTotals, ...]:
    """Return the totals per environment, live first, leaving out environments without credentials.

    `explain` turns a problem code into a sentence about an exchange.
    """
    views = list(credentials)
    twins = _find_twins(views, now=now)
    parts = [_describe(view, twin=twins.get(view.id), now=now, explain=explain) for view in views]
    found = [(environment, [part for part in parts if part.environment is environment]) for environment in Environment]
    return tuple(EnvironmentTotals(environment, cover(own), _sum_assets(own), tuple(own)) for environment, own in found if own)


def cover(parts: Sequence[CredentialPart]) -> Coverage:
    """Return how much of these credentials is counted."""
    counted = [part for part in parts if part.counted]
    return Coverage(
        counted=len(counted),
        of=len(parts),
        oldest_at=min((part.fetched_at for part in counted if part.fetched_at is not None), default=None),
        stale=sum(part.counting is Counting.STALE for part in counted),
        incomplete=tuple(part for part in counted if part.missing),
        not_counted=tuple(part for part in parts if not part.counted),
    )


def _is_recent(view: CredentialView, *, now: datetime) -> bool:
    fetched_at = view.balances.fetched_at
    return view.balances.sheet is not None and fetched_at is not None and now - fetched_at <= COUNTED_UNTIL


def _find_twins(views: Sequence[CredentialView], *, now: datetime) -> dict[str, CredentialView]:
    """Return, by credential id, the credential that stands for the same exchange account in the totals instead."""
    best: dict[tuple[str, str, str], CredentialView] = {}
    usable = [view for view in views if view.account_id is not None and _is_recent(view, now=now)]
    for view in usable:
        key = _account_key(view)
        best[key] = max((best.get(key, view), view), key=_completeness)
    return {view.id: best[_account_key(view)] for view in usable if best[_account_key(view)] is not view}


def _account_key(view: CredentialView) -> tuple[str, str, str]:
    return view.exchange.slug, view.environment.value, view.account_id or ""


def _completeness(view: CredentialView) -> tuple[int, datetime]:
    """Order credentials of one account: fewest missing parts first, then the newest."""
    sheet, fetched_at = view.balances.sheet, view.balances.fetched_at
    assert sheet is not None
    assert fetched_at is not None
    return -len(sheet.missing), fetched_at


def _describe(view: CredentialView, *, twin: CredentialView | None, now: datetime, explain: Explain) -> CredentialPart:
    known = view.balances
    counting, reason = _judge(view, twin=twin, now=now)
    failed = known.failed_at is not None and (known.fetched_at is None or known.failed_at > known.fetched_at)
    code = known.failure_code if failed else None
    return CredentialPart(
        id=view.id,
        label=view.label,
        exchange=view.exchange,
        environment=view.environment,
        status=view.status,
        counting=counting,
        reason=reason,
        words=_say(view, reason=reason, code=code, twin=twin, explain=explain),
        fetched_at=known.fetched_at,
        failed_at=known.failed_at if failed else None,
        failure_code=code,
        rows=_list_rows(known.sheet.balances if known.sheet else ()),
        missing=tuple(
            MissingPart(gap.account, gap.code, explain(gap.code, view.exchange))
            for gap in (known.sheet.missing if known.sheet else ())
        ),
    )


def _judge(view: CredentialView, *, twin: CredentialView | None, now: datetime) -> tuple[Counting, Reason | None]:
    fetched_at = view.balances.fetched_at
    if view.balances.sheet is None or fetched_at is None:
        return Counting.NOT_COUNTED, Reason.NEVER_READ
    if now - fetched_at > COUNTED_UNTIL:
        return Counting.NOT_COUNTED, Reason.TOO_OLD
    if twin is not None:
        return Counting.NOT_COUNTED, Reason.SAME_ACCOUNT
    return (Counting.STALE if now - fetched_at > STALE_AFTER else Counting.FRESH), None


def _say(view: CredentialView, *, reason: Reason | None, code: str | None, twin: CredentialView | None, explain: Explain) -> str:
    """Return why a credential is not counted or not fresh, in sentences; empty when there is nothing to say."""
    said: list[str] = []
    if reason is Reason.SAME_ACCOUNT and twin is not None:
        said.append(f"It reaches the same account as {twin.label}, which is counted.")
    if view.status is Status.PAUSED:
        said.append("It is paused.")
    if view.status is Status.LOCKED:
        said.append("It is locked: this server cannot decrypt its secret.")
    if code is not None:
        said.append(explain(code, view.exchange))
    if reason is Reason.NEVER_READ and not said:
        said.append("Its balances were not read yet.")
    return " ".join(said)


def _list_rows(balances: Iterable[Balance]) -> tuple[Row, ...]:
    """Return one row per account and asset, sorted; an exchange may list an asset twice in one account."""
    sums: dict[tuple[str, str], Sum] = {}
    order: dict[str, int] = {}
    for balance in balances:
        key = (balance.account, balance.asset)
        amounts = Sum(balance.available, balance.held)
        sums[key] = sums[key].plus(amounts) if key in sums else amounts
        order.setdefault(balance.account, len(order))
    return tuple(
        Row(account, asset, sums[account, asset]) for account, asset in sorted(sums, key=lambda key: (order[key[0]], key[1]))
    )


def _sum_assets(parts: Sequence[CredentialPart]) -> tuple[AssetTotal, ...]:
    holders: dict[str, list[Holder]] = {}
    for part in parts:
        for row in part.rows if part.counted else ():
            holders.setdefault(row.asset, []).append(Holder(part, row.account, row.amounts))
    return tuple(AssetTotal(asset, _sum(held), tuple(held)) for asset, held in sorted(holders.items()))


def _sum(holders: Iterable[Holder]) -> Sum:
    result = Sum(Decimal(0), Decimal(0))
    for holder in holders:
        result = result.plus(holder.amounts)
    return result
