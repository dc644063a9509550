"""From what a check found to when its key comes round again: for its rights, and for its balances alone. Pure."""

from dataclasses import dataclass
from datetime import datetime

from app.credentials.balance_run import BalanceOutcome
from app.credentials.check_run import CheckOutcome
from app.credentials.repository import CredentialRow
from app.credentials.schedule import BALANCES_RETRY_SECONDS, choose_next_balances, choose_next_check
from app.credentials.status import CheckFacts, StatusFacts, compute_status, tells_of_key
from app.credentials.views import Status
from app.exchanges.types import AccessPlan, Exchange
from app.settings import Settings


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """What is known of a key beside the check: since when it is here, what the check before came to, how many were spoiled."""

    exchange: Exchange
    plan: AccessPlan
    key_set_at: datetime
    former_code: str | None = None
    earlier_failures: int = 0


def plan_next(outcome: CheckOutcome, facts: KeyFacts, *, credential_id: str, settings: Settings) -> dict[str, datetime | None]:
    """Return the columns that say when the key is due."""
    next_check_at = choose_next_check(
        outcome,
        credential_id=credential_id,
        interval_seconds=settings.check_interval_seconds,
        earlier_failures=facts.earlier_failures,
        former_code=facts.former_code,
        waiting_seconds=_measure_waiting(outcome, facts),
    )
    return {
        "next_check_at": next_check_at,
        "next_balances_at": _plan_balances(outcome, next_check_at, credential_id=credential_id, settings=settings),
    }


def plan_after_balances(
    row: CredentialRow, outcome: BalanceOutcome | None, *, settings: Settings, now: datetime
) -> dict[str, datetime | None]:
    """Return the same after balances alone. Where they tell of the key itself, or were not asked for, it is checked now."""
    if outcome is None or row.next_check_at is None or (outcome.error is not None and tells_of_key(outcome.error.code)):
        return {"next_balances_at": None, "next_check_at": now}
    moment = choose_next_balances(
        credential_id=row.id,
        at=outcome.finished_at,
        next_check_at=row.next_check_at,
        interval_seconds=settings.balance_interval_seconds,
        asked_seconds=outcome.error.retry_after_seconds if outcome.error is not None else None,
    )
    return {"next_balances_at": moment}


def _plan_balances(outcome: CheckOutcome, next_check_at: datetime, *, credential_id: str, settings: Settings) -> datetime | None:
    """Return when to fetch the balances alone; None where the key gives none: then its checks find out when it does."""
    interval_seconds: float = settings.balance_interval_seconds
    if outcome.sheet is None:
        if outcome.report is None or outcome.balances_code is None or tells_of_key(outcome.balances_code):
            return None
        interval_seconds = min(interval_seconds, BALANCES_RETRY_SECONDS)
    asked = outcome.error.retry_after_seconds if outcome.error is not None else None
    return choose_next_balances(
        credential_id=credential_id,
        at=outcome.finished_at,
        next_check_at=next_check_at,
        interval_seconds=interval_seconds,
        asked_seconds=asked,
    )


def _measure_waiting(outcome: CheckOutcome, facts: KeyFacts) -> float | None:
    """Return for how many seconds the key has waited for its trader's e-mail; None when it does not wait."""
    found = CheckFacts(outcome.code, outcome.grants, outcome.report.expires_at if outcome.report is not None else None)
    now = outcome.finished_at
    verdict = compute_status(StatusFacts(facts.exchange, facts.plan, found, found, facts.key_set_at), now=now)
    return (now - facts.key_set_at).total_seconds() if verdict.status is Status.WAITING else None
