"""The JSON API of exchanges and credentials, on the same service as the pages. Secrets go in, never out."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Request, Response
from fastapi import Path as PathParameter

from app.accounts.current_user import ApiManage, ApiStatus
from app.credentials.connect import ConnectInput, ConnectRefused
from app.credentials.exchange_schemas import ExchangeList, present_exchanges
from app.credentials.schemas import (
    CheckPage,
    ConnectBody,
    CredentialOut,
    CredentialPage,
    ProblemDocument,
    SecretsBody,
    UpdateBody,
    make_problem,
    present_check,
    present_credential,
)
from app.credentials.service import Credentials
from app.credentials.ways import find_name
from app.db import SessionDep
from app.web.plain_http import refuse_plain_http

router = APIRouter(prefix="/api/v1", tags=["credentials"])
SENDING_A_KEY = [Depends(refuse_plain_http)]


def open_credentials(request: Request, session: SessionDep) -> Credentials:
    """Return the service on this request's one transaction."""
    state = request.app.state
    return Credentials(session, vault=state.vault, exchanges=state.exchanges, settings=state.settings, clock=state.clock)


CredentialsDep = Annotated[Credentials, Depends(open_credentials)]
CredentialId = Annotated[str, PathParameter(max_length=64, examples=["crd_0123456789abcdefghjkmnpqrs"])]
Cursor = Annotated[str | None, Query(max_length=64, description="`next_cursor` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=100, description="How many items at most.")]


def _describe(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return OpenAPI's description of the refusals a call may give."""
    words = {
        400: "The body cannot be read: it is not text.",
        401: "No valid token.",
        403: "The token's scope or the role does not allow this.",
        404: "There is no such credential, or it is not yours.",
        409: "The exchange is not offered here any more, or the key was replaced meanwhile.",
        413: "The body is larger than 64 KiB.",
        415: "The body is not JSON.",
        422: "The input or the key was refused; nothing was stored.",
    }
    content = {
        "application/problem+json": {"schema": ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")}
    }
    for document in content.values():
        document["schema"].pop("$defs", None)
    return {status: {"description": words[status], "content": content} for status in statuses}


@router.get("/exchanges", responses=_describe(401, 403), tags=["exchanges"])
async def list_exchanges(request: Request, principal: ApiStatus) -> ExchangeList:
    """List the exchanges on offer: their fields, environments, what a key needs per plan, and the steps of the guide."""
    return present_exchanges(request.app.state.exchanges, egress=request.app.state.settings.egress_addresses)


@router.post("/credentials", status_code=201, dependencies=SENDING_A_KEY, responses=_describe(400, 401, 403, 413, 415, 422))
async def connect(
    request: Request, response: Response, principal: ApiManage, body: Annotated[ConnectBody, Body()], credentials: CredentialsDep
) -> CredentialOut:
    """Check a key at its exchange and store it if it passes. A key that may withdraw is refused."""
    way = find_name(request.app.state.settings.ways, body.egress)
    entered = ConnectInput(body.exchange, body.environment, body.label, body.plan, body.secrets, attested=body.attested, way=way)
    try:
        view = await credentials.connect(principal, entered)
    except ConnectRefused as refused:
        raise make_problem(refused) from None
    response.headers["Location"] = f"/api/v1/credentials/{view.id}"
    return present_credential(view, now=request.app.state.clock())


@router.get("/credentials", responses=_describe(401, 403, 422))
async def list_credentials(
    request: Request, principal: ApiStatus, credentials: CredentialsDep, cursor: Cursor = None, limit: Limit = 50
) -> CredentialPage:
    """List your credentials by id, a page at a time."""
    views, following = await credentials.list_page(principal, limit=limit, after=cursor)
    now = request.app.state.clock()
    return CredentialPage(items=[present_credential(view, now=now) for view in views], next_cursor=following)


@router.get("/credentials/{credential_id}", responses=_describe(401, 403, 404, 422))
async def get_credential(
    request: Request, principal: ApiStatus, credential_id: CredentialId, credentials: CredentialsDep
) -> CredentialOut:
    """Return one credential: status, permissions with their proof, checks, expiry, age of its balances."""
    return present_credential(await credentials.get(principal, credential_id), now=request.app.state.clock())


@router.patch("/credentials/{credential_id}", responses=_describe(400, 401, 403, 404, 413, 415, 422))
async def update_credential(
    request: Request,
    principal: ApiManage,
    credential_id: CredentialId,
    body: Annotated[UpdateBody, Body()],
    credentials: CredentialsDep,
) -> CredentialOut:
    """Rename, change the plan, pause or resume."""
    try:
        view = await credentials.update(principal, credential_id, label=body.label, plan=body.plan, paused=body.paused)
    except ConnectRefused as refused:
        raise make_problem(refused) from None
    return present_credential(view, now=request.app.state.clock())


@router.delete("/credentials/{credential_id}", status_code=204, responses=_describe(401, 403, 404, 422))
async def disconnect(principal: ApiManage, credential_id: CredentialId, credentials: CredentialsDep) -> None:
    """Erase the credential, its secrets, checks and balances. Delete the key at the exchange too."""
    await credentials.disconnect(principal, credential_id)


@router.post("/credentials/{credential_id}/check", responses=_describe(401, 403, 404, 409, 422))
async def check(
    request: Request, principal: ApiManage, credential_id: CredentialId, credentials: CredentialsDep
) -> CredentialOut:
    """Check the key now. The answer is the credential with the new status, also when the key no longer works."""
    return present_credential(await credentials.check(principal, credential_id), now=request.app.state.clock())


@router.put(
    "/credentials/{credential_id}/secrets",
    dependencies=SENDING_A_KEY,
    responses=_describe(400, 401, 403, 404, 409, 413, 415, 422),
)
async def replace(
    request: Request,
    principal: ApiManage,
    credential_id: CredentialId,
    body: Annotated[SecretsBody, Body()],
    credentials: CredentialsDep,
) -> CredentialOut:
    """Put a new key of the same account in place. The old one stays until the new one has passed."""
    try:
        view = await credentials.replace(principal, credential_id, body.secrets, attested=body.attested)
    except ConnectRefused as refused:
        raise make_problem(refused) from None
    return present_credential(view, now=request.app.state.clock())


@router.get("/credentials/{credential_id}/checks", responses=_describe(401, 403, 404, 422))
async def list_checks(
    principal: ApiStatus, credential_id: CredentialId, credentials: CredentialsDep, cursor: Cursor = None, limit: Limit = 20
) -> CheckPage:
    """List the checks, newest first: what was asked, how it was answered, how long it took."""
    views = await credentials.list_checks(principal, credential_id, limit=limit + 1, before=cursor)
    following = views[limit - 1].id if len(views) > limit else None
    return CheckPage(items=[present_check(view) for view in views[:limit]], next_cursor=following)
