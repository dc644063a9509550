"""Makes credential views for tests of totals: only what a test cares about is named."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from app.credentials.views import BalancesView, CredentialView, Status
from app.exchanges.types import AccessPlan, Balance, BalanceSheet, Environment, Exchange, MissingAccount

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def make_exchange(slug: str = "hitbtc", name: str = "HitBTC") -> Exchange:
    return Exchange(
        slug=slug, name=name, monogram=name[:2], sites=(), fields=(), guide=(), boxes=(), needs={}, verified_on="2026-11-21"
    )


def make_balance(text: str) -> Balance:
    """Return the balance written as `account asset available held`."""
    account, asset, available, held = text.split()
    return Balance(account, asset, Decimal(available), Decimal(held))


def make_view(
    identifier: str = "crd_1",
    *rows: str,
    minutes_old: float | None = 1,
    missing: tuple[MissingAccount, ...] = (),
    exchange: Exchange | None = None,
    environment: Environment = Environment.LIVE,
    **changes: object,
) -> CredentialView:
    """Return a view; `minutes_old=None` means its balances were never read."""
    fetched_at = None if minutes_old is None else NOW - timedelta(minutes=minutes_old)
    sheet = None if minutes_old is None else BalanceSheet(tuple(make_balance(row) for row in rows), missing)
    view = CredentialView(
        id=identifier,
        exchange=exchange or make_exchange(),
        environment=environment,
        label=f"Label of {identifier}",
        plan=AccessPlan.BALANCES,
        key_hint="f3a9",
        fingerprint="0" * 32,
        status=Status.CONNECTED,
        advice=None,
        grants={},
        checked_at=NOW,
        next_check_at=None,
        expires_at=None,
        allowed_ips=None,
        paused=False,
        balances=BalancesView(sheet, fetched_at),
        account_id=None,
        created_at=NOW - timedelta(days=9),
        updated_at=NOW,
    )
    return replace(view, **changes)  # type: ignore[arg-type]  # the field names are checked by replace itself


def with_failure(view: CredentialView, code: str, *, minutes_ago: float = 1) -> CredentialView:
    failed = replace(view.balances, failed_at=NOW - timedelta(minutes=minutes_ago), failure_code=code)
    return replace(view, balances=failed)
