"""Makes the rows that a finished check leaves behind: history and newest balances."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from app.credentials.balance_run import BalanceOutcome
from app.credentials.check_run import CheckOutcome
from app.credentials.entry import hide_secrets
from app.credentials.models import KeyCheck
from app.credentials.records import write_evidence, write_grants, write_sheet, write_steps
from app.credentials.repository import CredentialRow
from app.credentials.status import tells_of_key
from app.identifiers import create_id
from app.masking import Secret


def make_check_row(outcome: CheckOutcome, *, credential_id: str, reason: str, secrets: Iterable[Secret]) -> KeyCheck:
    """Return the history row; the exchange's own words without any of the secrets."""
    report, error = outcome.report, outcome.error
    skew = error.skew_seconds if error is not None else None
    ips = report.allowed_ips if report is not None else None
    return KeyCheck(
        id=create_id("chk"),
        credential_id=credential_id,
        reason=reason,
        started_at=outcome.started_at,
        finished_at=outcome.finished_at,
        code=outcome.code,
        told=hide_secrets(error.told, secrets) if error is not None else "",
        seen_ip=error.seen_ip if error is not None else None,
        skew_seconds=None if skew is None else round(skew),
        grants=None if report is None else write_grants(report.grants),
        allowed_ips=None if ips is None else list(ips),
        expires_at=report.expires_at if report is not None else None,
        steps=write_steps(outcome.steps),
        evidence=write_evidence(outcome.evidence),
        public_outcome=outcome.public_outcome,
    )


def make_locked_row(*, credential_id: str, reason: str, now: datetime) -> KeyCheck:
    """Return the history row of a check that could not open the secrets: nobody was asked."""
    return KeyCheck(
        id=create_id("chk"),
        credential_id=credential_id,
        reason=reason,
        started_at=now,
        finished_at=now,
        code="locked",
        told="",
        steps=[],
        evidence=[],
    )


def make_pointers(check: KeyCheck) -> dict[str, Any]:
    """Return the credential's columns that lead to its newest checks, and repeat the newest."""
    telling = {"telling_check_id": check.id} if tells_of_key(check.code) else {}
    return {"newest_check_id": check.id, "checked_at": check.finished_at, "checked_code": check.code, **telling}


def make_way_values(row: CredentialRow, outcome: CheckOutcome) -> dict[str, str | None]:
    """Return the columns of the way out. The former one is worth knowing until a check has passed on the new one."""
    return {"way": row.way, "former_way": None if outcome.code == "ok" else row.former_way}


def make_balance_values(outcome: CheckOutcome) -> dict[str, Any]:
    """Return the columns to change: a new sheet, or only the failure, so that old values stay with their age."""
    if outcome.sheet is None:
        return {"failed_at": outcome.finished_at, "failure_code": outcome.balances_code or outcome.code}
    return {
        "fetched_at": outcome.finished_at,
        "document": write_sheet(outcome.sheet),
        "failed_at": None,
        "failure_code": None,
    }


def make_refresh_values(outcome: BalanceOutcome) -> dict[str, Any]:
    """Return the same of balances that were fetched without a check."""
    if outcome.sheet is None:
        return {"failed_at": outcome.finished_at, "failure_code": outcome.error.code if outcome.error is not None else "internal"}
    return {
        "fetched_at": outcome.finished_at,
        "document": write_sheet(outcome.sheet),
        "failed_at": None,
        "failure_code": None,
    }
