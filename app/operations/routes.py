"""What machines and operators ask: /livez, /readyz, /metrics, and the operations page."""

from ipaddress import ip_address

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.current_user import PageOperator
from app.accounts.watching import QuietOperator
from app.db import SessionDep
from app.exchanges.registry import Exchanges
from app.masking import Secret
from app.operations.health import Health
from app.operations.look_ups_repository import list_look_ups_for_operations
from app.operations.metrics import CONTENT_TYPE
from app.operations.sandbox_routes import has_switches
from app.operations.service import Operations
from app.operations.ways import examine_ways
from app.settings import Settings
from app.web.errors import Problem

router = APIRouter()
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


def _open_health(request: Request) -> Health:
    state = request.app.state
    return Health(database=state.database, vault=state.vault, head=state.schema_head)


def _refuse_strangers(request: Request) -> None:
    """Let in who holds the metrics token; without one set, only a direct caller on this machine. Raises Problem."""
    settings: Settings = request.app.state.settings
    if settings.metrics_token is None:
        if not _is_direct_loopback(request):
            raise Problem(
                "forbidden",
                status=403,
                title="Metrics are for this machine only",
                detail="No metrics token is set.",
                who_acts="operator",
                next_step="Set KEYDECK_METRICS_TOKEN to read them from elsewhere.",
            )
        return
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or Secret(given.strip()) != settings.metrics_token:
        raise Problem(
            "sign_in_needed",
            status=401,
            title="Metrics need their token",
            who_acts="operator",
            next_step="Send the value of KEYDECK_METRICS_TOKEN as a bearer token.",
        )


def _is_direct_loopback(request: Request) -> bool:
    """Tell whether the caller is on this machine; what a proxy on this machine passes on is not."""
    if request.client is None or any(name in request.headers for name in _FORWARDED):
        return False
    try:
        return ip_address(request.client.host).is_loopback
    except ValueError:
        return False


@router.get("/livez", include_in_schema=False)
async def read_liveness() -> JSONResponse:
    """Answer as long as the loop turns: nothing else is looked at."""
    return JSONResponse({"status": "alive"})


@router.get("/readyz", include_in_schema=False)
async def read_readiness(request: Request) -> JSONResponse:
    readiness = await _open_health(request).examine()
    parts = {part.name: "ready" if part.ready else "not_ready" for part in readiness.parts}
    return JSONResponse(
        {"status": "ready" if readiness.ready else "not_ready", "parts": parts}, status_code=200 if readiness.ready else 503
    )


@router.get("/metrics", include_in_schema=False, dependencies=[Depends(_refuse_strangers)])
async def read_metrics(request: Request) -> Response:
    await request.app.state.metrics.refresh(request.app.state.database)
    return Response(request.app.state.metrics.write_text(), media_type=CONTENT_TYPE)


@router.get("/operations", include_in_schema=False)
async def show_operations(request: Request, principal: PageOperator, session: SessionDep) -> HTMLResponse:
    return await _render_operations(request, session)


@router.get("/operations/live", include_in_schema=False)
async def show_operations_again(request: Request, principal: QuietOperator, session: SessionDep) -> HTMLResponse:
    """The same page, for its own script to take parts from; looking on is no activity."""
    return await _render_operations(request, session)


async def _render_operations(request: Request, session: AsyncSession) -> HTMLResponse:
    state = request.app.state
    exchanges: Exchanges = state.exchanges
    overview = await Operations(session, clock=state.clock).describe(
        exchanges.list_all(),
        keys=state.vault.list_keys(),
        sites=exchanges.describe_health(),
        resting=await exchanges.list_resting(),
    )
    readiness = await _open_health(request).examine()
    page: HTMLResponse = state.pages.render(
        request,
        "operations/operations.html",
        overview=overview,
        readiness=readiness,
        look_ups=await list_look_ups_for_operations(session, now=state.clock()),
        ways=await examine_ways(session, state.settings.ways, clock=state.clock),
        settings=state.settings,
        has_worker=state.worker is not None,
        heartbeat_at=getattr(getattr(state, "jobs", None), "heartbeat_at", None),
        streams=state.live.hub.count,
        has_switches=has_switches(state.settings),
    )
    return page
