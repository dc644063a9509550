"""The JSON documents of a credential's rows, written and read back: exact amounts as text, moments as ISO text."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.clock import as_utc
from app.credentials.views import Step, StepName, StepState
from app.exchanges.types import Answer, Balance, BalanceSheet, CallEvidence, Grant, MissingAccount, Permission, Proof


def write_moment(moment: datetime | None) -> str | None:
    """Return ISO 8601 in UTC with a Z."""
    return None if moment is None else as_utc(moment).isoformat().replace("+00:00", "Z")


def read_moment(text: str | None) -> datetime | None:
    return None if text is None else as_utc(datetime.fromisoformat(text))


def write_grants(grants: Mapping[Permission, Grant]) -> dict[str, Any]:
    return {
        permission.value: {
            "answer": grant.answer.value,
            "proof": grant.proof.value,
            "known_at": write_moment(grant.known_at),
            "call": grant.call,
        }
        for permission, grant in grants.items()
    }


def read_grants(document: Mapping[str, Any] | None) -> dict[Permission, Grant] | None:
    if document is None:
        return None
    return {
        Permission(name): Grant(Answer(row["answer"]), Proof(row["proof"]), read_moment(row["known_at"]), row["call"])
        for name, row in document.items()
    }


def write_steps(steps: Sequence[Step]) -> list[dict[str, Any]]:
    return [
        {"name": step.name.value, "state": step.state.value, "detail": step.detail, "duration_ms": step.duration_ms}
        for step in steps
    ]


def read_steps(document: Sequence[Mapping[str, Any]]) -> tuple[Step, ...]:
    return tuple(Step(StepName(row["name"]), StepState(row["state"]), row["detail"], row["duration_ms"]) for row in document)


def write_evidence(evidence: Sequence[CallEvidence]) -> list[dict[str, Any]]:
    return [
        {
            "call": entry.call,
            "asked_at": write_moment(entry.asked_at),
            "outcome": entry.outcome,
            "http_status": entry.http_status,
            "latency_ms": entry.latency_ms,
        }
        for entry in evidence
    ]


def read_evidence(document: Sequence[Mapping[str, Any]]) -> tuple[CallEvidence, ...]:
    return tuple(
        CallEvidence(
            row["call"],
            as_utc(datetime.fromisoformat(row["asked_at"])),
            row["outcome"],
            row["http_status"],
            row["latency_ms"],
        )
        for row in document
    )


def write_sheet(sheet: BalanceSheet) -> dict[str, Any]:
    """Return the sheet as one compact document; a large account holds thousands of assets."""
    return {
        "balances": [[row.account, row.asset, write_amount(row.available), write_amount(row.held)] for row in sheet.balances],
        "missing": [[row.account, row.code] for row in sheet.missing],
    }


def read_sheet(document: Mapping[str, Any] | None) -> BalanceSheet | None:
    if document is None:
        return None
    return BalanceSheet(
        tuple(
            Balance(account, asset, Decimal(available), Decimal(held)) for account, asset, available, held in document["balances"]
        ),
        tuple(MissingAccount(account, code) for account, code in document["missing"]),
    )


def write_amount(amount: Decimal) -> str:
    """Return the amount in plain digits: no exponent, every place kept."""
    return format(amount, "f")
