"""GET /api/v1/balances: amounts as exact decimal text, with the coverage that says how much of the whole they are."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from app.accounts.current_user import ApiBalances
from app.balances.routes import open_balances
from app.balances.service import Overview
from app.balances.totals import AssetTotal, Coverage, CredentialPart, EnvironmentTotals, Sum
from app.db import SessionDep
from app.web.documents import describe_refusals

router = APIRouter(prefix="/api/v1", tags=["balances"])
NO_VALUATION = "no valuation yet"
Currency = Literal["USD", "EUR", "BTC"]


class AmountsOut(BaseModel):
    """Exact decimal text: a JSON number would round it."""

    available: str = Field(examples=["0.771105"])
    held: str = Field(description="In orders or locked.", examples=["0.06"])
    total: str = Field(examples=["0.831105"])


class MissingOut(BaseModel):
    account: str = Field(examples=["wallet"])
    code: str = Field(examples=["permission_missing"])
    detail: str


class NotCountedOut(BaseModel):
    id: str = Field(examples=["crd_3f8k2m0q9x"])
    label: str = Field(examples=["Arbitrage"])
    exchange: str
    environment: str = Field(examples=["live"])
    reason: str | None = Field(description="never_read, too_old (over 24 hours) or same_account.", examples=["too_old"])
    code: str | None = Field(description="Problem code of the newest failure to read.", examples=["maintenance"])
    detail: str = Field(examples=["The exchange is under maintenance."])
    fetched_at: datetime | None


class IncompleteOut(BaseModel):
    id: str
    label: str
    missing: list[MissingOut]


class CoverageOut(BaseModel):
    counted: int = Field(examples=[3])
    of: int = Field(examples=[4])
    oldest_seconds: int | None = Field(description="Age of the oldest counted balances.", examples=[720])
    stale: int = Field(description="Counted, but older than 15 minutes.", examples=[1])
    not_counted: list[NotCountedOut]
    incomplete: list[IncompleteOut] = Field(description="Counted, but an account of the exchange is missing.")


class EnvironmentCoverageOut(BaseModel):
    environment: str = Field(examples=["live"])
    coverage: CoverageOut


class HolderOut(AmountsOut):
    credential_id: str
    label: str
    exchange: str
    account: str = Field(examples=["spot"])


class AssetOut(AmountsOut):
    environment: str = Field(description="Live money is never added to a demo's or the sandbox's.", examples=["live"])
    asset: str = Field(examples=["BTC"])
    stale: bool = Field(description="At least one part is older than 15 minutes.")
    holders: list[HolderOut]


class BalanceOut(AmountsOut):
    account: str
    asset: str


class CountedCredentialOut(BaseModel):
    id: str
    label: str
    exchange: str
    environment: str
    status: str = Field(examples=["connected"])
    counting: str = Field(description="fresh, stale or not_counted.", examples=["fresh"])
    reason: str | None
    detail: str
    fetched_at: datetime | None
    age_seconds: int | None
    failed_at: datetime | None
    failure_code: str | None
    balances: list[BalanceOut]
    missing: list[MissingOut]


class TotalsOut(BaseModel):
    """All balances of the token's owner. Nothing is asked at an exchange: ages say how old each part is."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "currency": "USD",
                    "value": None,
                    "value_reason": NO_VALUATION,
                    "as_of": "2026-11-21T14:32:00Z",
                    "coverage": {"counted": 1, "of": 1, "oldest_seconds": 40, "stale": 0, "not_counted": [], "incomplete": []},
                    "environments": [],
                    "assets": [
                        {
                            "environment": "live",
                            "asset": "BTC",
                            "available": "0.5",
                            "held": "0",
                            "total": "0.5",
                            "stale": False,
                            "holders": [],
                        }
                    ],
                    "credentials": [],
                }
            ]
        }
    )

    currency: Currency
    value: str | None = Field(description="The total in the currency asked for; null while nothing can be valued.")
    value_reason: str | None = Field(examples=[NO_VALUATION])
    as_of: datetime
    coverage: CoverageOut
    environments: list[EnvironmentCoverageOut]
    assets: list[AssetOut]
    credentials: list[CountedCredentialOut]


@router.get("/balances", responses=describe_refusals(401, 403, 422))
async def read_balances(
    request: Request,
    principal: ApiBalances,
    session: SessionDep,
    currency: Annotated[Currency, Query(description="Currency to value the total in.")] = "USD",
) -> TotalsOut:
    """Totals per asset and environment, balances per credential, and how much of the whole they cover."""
    overview = await open_balances(request, session).describe(principal)
    return present(overview, currency=currency)


def present(overview: Overview, *, currency: Currency) -> TotalsOut:
    now = overview.now
    return TotalsOut(
        currency=currency,
        value=None,
        value_reason=NO_VALUATION,
        as_of=now,
        coverage=_present_coverage(overview.coverage, now=now),
        environments=[
            EnvironmentCoverageOut(environment=totals.environment.value, coverage=_present_coverage(totals.coverage, now=now))
            for totals in overview.environments
        ],
        assets=[_present_asset(totals, line) for totals in overview.environments for line in totals.assets],
        credentials=[_present_credential(part, now=now) for totals in overview.environments for part in totals.parts],
    )


def _write(amount: Decimal) -> str:
    return f"{amount:f}"


def _amounts(amounts: Sum) -> dict[str, str]:
    return {"available": _write(amounts.available), "held": _write(amounts.held), "total": _write(amounts.total)}


def _present_missing(part: CredentialPart) -> list[MissingOut]:
    return [MissingOut(account=gap.account, code=gap.code, detail=gap.words) for gap in part.missing]


def _present_coverage(coverage: Coverage, *, now: datetime) -> CoverageOut:
    return CoverageOut(
        counted=coverage.counted,
        of=coverage.of,
        oldest_seconds=coverage.oldest_seconds(now),
        stale=coverage.stale,
        not_counted=_present_not_counted(coverage.not_counted),
        incomplete=[IncompleteOut(id=part.id, label=part.label, missing=_present_missing(part)) for part in coverage.incomplete],
    )


def _present_not_counted(parts: Iterable[CredentialPart]) -> list[NotCountedOut]:
    return [
        NotCountedOut(
            id=part.id,
            label=part.label,
            exchange=part.exchange.slug,
            environment=part.environment.value,
            reason=part.reason,
            code=part.failure_code,
            detail=part.words,
            fetched_at=part.fetched_at,
        )
        for part in parts
    ]


def _present_asset(totals: EnvironmentTotals, line: AssetTotal) -> AssetOut:
    holders = [
        HolderOut(
            credential_id=holder.part.id,
            label=holder.part.label,
            exchange=holder.part.exchange.slug,
            account=holder.account,
            **_amounts(holder.amounts),
        )
        for holder in line.holders
    ]
    return AssetOut(
        environment=totals.environment.value, asset=line.asset, stale=line.stale, holders=holders, **_amounts(line.amounts)
    )


def _present_credential(part: CredentialPart, *, now: datetime) -> CountedCredentialOut:
    return CountedCredentialOut(
        id=part.id,
        label=part.label,
        exchange=part.exchange.slug,
        environment=part.environment.value,
        status=part.status.value,
        counting=part.counting.value,
        reason=part.reason,
        detail=part.words,
        fetched_at=part.fetched_at,
        age_seconds=None if part.fetched_at is None else max(0, int((now - part.fetched_at).total_seconds())),
        failed_at=part.failed_at,
        failure_code=part.failure_code,
        balances=[BalanceOut(account=row.account, asset=row.asset, **_amounts(row.amounts)) for row in part.rows],
        missing=_present_missing(part),
    )
