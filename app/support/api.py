"""GET /api/v1/support/credentials?q=: the same look-up for a help desk's own tools; every call is recorded like a page view."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from app.accounts.current_user import ApiSupport
from app.credentials.schemas import VerdictOut, present_verdict
from app.credentials.views import SupportCredentialView
from app.support.routes import open_support
from app.support.service import LONGEST_QUERY, LONGEST_TICKET, SHORTEST_QUERY, LookUp
from app.web.documents import describe_refusals

router = APIRouter(prefix="/api/v1/support", tags=["support"])


class SupportGrantOut(BaseModel):
    answer: str = Field(examples=["no"])
    proof: str = Field(description="told, probed, attested or none.", examples=["told"])
    known_at: datetime | None


class SupportCheckOut(BaseModel):
    started_at: datetime
    code: str = Field(description="ok or a problem code.", examples=["ip_not_allowed"])


class SupportCredentialOut(BaseModel):
    """What support may see: no secret, label, key hint, fingerprint, account id, address or balance."""

    id: str = Field(examples=["crd_3f8k2m0q9x"])
    owner_email: str = Field(examples=["trader@example.org"])
    exchange: str
    environment: str = Field(examples=["live"])
    plan: str = Field(examples=["balances"])
    status: str = Field(examples=["ip_not_allowed"])
    code: str | None = Field(examples=["ip_not_allowed"])
    cause: str = Field(examples=["The exchange refuses requests from this server."])
    who_acts: str = Field(examples=["trader"])
    reply: str = Field(description="Ready to send to the customer.")
    verdict: VerdictOut | None = Field(description="Whose problem it is, while the newest check has failed; else null.")
    grants: dict[str, SupportGrantOut]
    checked_at: datetime | None
    next_check_at: datetime | None
    expires_at: datetime | None
    created_at: datetime
    checks: list[SupportCheckOut]


class SupportLookUpOut(BaseModel):
    credentials: list[SupportCredentialOut]
    left_out: int = Field(description="Matches beyond the first 20; search more narrowly.", examples=[0])


@router.get("/credentials", responses=describe_refusals(401, 403, 422, 429))
async def find_credentials(
    request: Request,
    principal: ApiSupport,
    q: Annotated[
        str,
        Query(
            description="The owner's e-mail, a credential's id, or a key's fingerprint as its owner's page shows it.",
            min_length=SHORTEST_QUERY,
            max_length=LONGEST_QUERY,
            examples=["trader@example.org"],
        ),
    ],
    ticket: Annotated[
        str, Query(description="Number of the customer's ticket: written to their activity.", max_length=LONGEST_TICKET)
    ] = "",
) -> SupportLookUpOut:
    """Find credentials by owner, id or fingerprint. Each look-up is written to the owner's activity; at most 200 an hour."""
    # a GET's session only reads, and what was seen must be recorded: hence a writing unit of its own
    async with request.app.state.database.write() as session:
        return present(await open_support(request, session).look_up(principal, q, ticket=ticket, needs_ticket=False))


def present(found: LookUp) -> SupportLookUpOut:
    return SupportLookUpOut(credentials=[_present_case(case) for case in found.cases], left_out=found.left_out)


def _present_case(case: SupportCredentialView) -> SupportCredentialOut:
    return SupportCredentialOut(
        id=case.id,
        owner_email=case.owner_email,
        exchange=case.exchange_slug,
        environment=case.environment.value,
        plan=case.plan.value,
        status=case.status.value,
        code=case.code,
        cause=case.cause,
        who_acts=case.who_acts,
        reply=case.reply,
        verdict=present_verdict(case.verdict),
        grants={
            permission.value: SupportGrantOut(answer=grant.answer.value, proof=grant.proof.value, known_at=grant.known_at)
            for permission, grant in case.grants.items()
        },
        checked_at=case.checked_at,
        next_check_at=case.next_check_at,
        expires_at=case.expires_at,
        created_at=case.created_at,
        checks=[SupportCheckOut(started_at=check["started_at"], code=check["code"]) for check in case.checks],
    )
