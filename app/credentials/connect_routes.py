"""Connecting a key and replacing one: choose an exchange, guide and form, and the live check.

The same POST answers with a page, or with a stream of steps for a browser that asks for one; either way no secret is
held between two requests.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.current_user import FreshProof, PageTrader, PageTraderFresh, PageUser, Principal
from app.accounts.requests import is_sent_again
from app.accounts.roles import Role
from app.credentials import honesty, presentation
from app.credentials.connect import ConnectRefused, StepListener
from app.credentials.forms import Kept, is_attested, keep, keep_for_replace, keep_plain, read_connect, read_secrets
from app.credentials.service import Credentials
from app.credentials.streams import HEADERS, MEDIA_TYPE, stream_attempt
from app.credentials.views import CredentialView
from app.credentials.ways import list_allowed
from app.db import SessionDep
from app.exchanges.types import AccessPlan, Exchange
from app.web.errors import NotFound
from app.web.forms import Form, read_form
from app.web.plain_http import refuse_plain_http

router = APIRouter()
TYPING_A_KEY = [Depends(refuse_plain_http)]


def keep_while_confirming(request: Request, form: Form) -> list[tuple[str, str]]:
    """Return what of a connect form may travel through the page that asks for a proof: nothing that may hold a secret."""
    kept = keep_plain(form, exchange=find_exchange(request, request.path_params["slug"]))
    fields = {
        "label": kept.label,
        "environment": kept.environment,
        "plan": kept.plan,
        "attested": "yes" if kept.attested else "",
        "way": kept.way,
    }
    return [(name, value) for name, value in fields.items() if value]


Connecting = Annotated[Principal, Depends(FreshProof(Role.TRADER, keeps=keep_while_confirming))]
Try = Callable[[Credentials, StepListener | None], Awaitable[CredentialView]]


@dataclass(frozen=True, slots=True)
class Flow:
    """One of the two flows: where its form is sent, and the credential whose key is replaced (None when connecting)."""

    exchange: Exchange
    action: str
    back: str
    replaces: CredentialView | None = None

    @property
    def title(self) -> str:
        return f"Replace the key of {self.replaces.label}" if self.replaces else f"Connect {self.exchange.name}"


def open_credentials(request: Request, session: AsyncSession) -> Credentials:
    """Return the service on this session."""
    state = request.app.state
    return Credentials(session, vault=state.vault, exchanges=state.exchanges, settings=state.settings, clock=state.clock)


def render(request: Request, template: str, *, status_code: int = 200, **context: Any) -> HTMLResponse:
    """Return a page of this feature; every template gets the pure view functions as `show`."""
    page: HTMLResponse = request.app.state.pages.render(request, template, status_code=status_code, show=presentation, **context)
    return page


@router.get("/credentials/connect", dependencies=TYPING_A_KEY)
async def choose_exchange(
    request: Request, _principal: PageTrader, q: Annotated[str, Query(max_length=100)] = ""
) -> HTMLResponse:
    offered = request.app.state.exchanges
    exchanges = offered.list_all()
    found = presentation.find_exchanges(exchanges, q)
    resting = presentation.list_silent(await offered.list_resting())
    return render(request, "credentials/exchanges.html", exchanges=exchanges, found=found, q=q, silent=resting)


@router.get("/exchanges")
async def show_exchanges(request: Request, _principal: PageUser) -> HTMLResponse:
    """Tell what is asked at each exchange on offer. Rehearsed once: it stays the same while the server runs."""
    state = request.app.state
    if not hasattr(state, "honesty"):
        state.honesty = await honesty.rehearse_offered(state.exchanges, clock=state.clock)
    return render(request, "credentials/honesty.html", table=state.honesty, probes=state.settings.probes)


def find_exchange(request: Request, slug: str) -> Exchange:
    """Return the exchange. Raises NotFound for one that is not offered."""
    exchange: Exchange | None = request.app.state.exchanges.get(slug)
    if exchange is None:
        raise NotFound("exchange")
    return exchange


@router.get("/credentials/connect/{slug}", dependencies=TYPING_A_KEY)
async def show_connect(
    request: Request,
    _principal: PageTraderFresh,
    session: SessionDep,
    slug: str,
    *,
    environment: Annotated[str, Query(max_length=20)] = "",
    plan: Annotated[str, Query(max_length=20)] = AccessPlan.TRADING.value,
) -> HTMLResponse:
    flow = _start_connect(find_exchange(request, slug))
    way = await open_credentials(request, session).propose_way(flow.exchange)
    return render_flow(request, flow, kept=Kept(environment=environment, plan=plan, way=way))


def _start_connect(exchange: Exchange) -> Flow:
    return Flow(exchange, action=f"/credentials/connect/{exchange.slug}", back="/credentials/connect")


@router.post("/credentials/connect/{slug}", dependencies=TYPING_A_KEY)
async def connect(request: Request, principal: Connecting, session: SessionDep, slug: str) -> Response:
    flow = _start_connect(find_exchange(request, slug))
    form = await read_form(request)
    if is_sent_again(form):
        return render_flow(request, flow, kept=keep_plain(form, exchange=flow.exchange))

    async def attempt(credentials: Credentials, on_step: StepListener | None) -> CredentialView:
        return await credentials.connect(principal, read_connect(form, exchange=flow.exchange), on_step=on_step)

    return await answer(request, session, flow=flow, form=form, attempt=attempt)


async def _start_replace(request: Request, session: AsyncSession, principal: Principal, credential_id: str) -> Flow:
    view = await open_credentials(request, session).get(principal, credential_id)
    page = f"/credentials/{view.id}"
    return Flow(view.exchange, action=f"{page}/replace", back=page, replaces=view)


@router.get("/credentials/{credential_id}/replace", dependencies=TYPING_A_KEY)
async def show_replace(request: Request, principal: PageTraderFresh, session: SessionDep, credential_id: str) -> HTMLResponse:
    flow = await _start_replace(request, session, principal, credential_id)
    return render_flow(request, flow, kept=Kept())


@router.post("/credentials/{credential_id}/replace", dependencies=TYPING_A_KEY)
async def replace(request: Request, principal: PageTraderFresh, session: SessionDep, credential_id: str) -> Response:
    flow = await _start_replace(request, session, principal, credential_id)
    form = await read_form(request)
    if is_sent_again(form):
        return render_flow(request, flow, kept=Kept())

    async def attempt(credentials: Credentials, on_step: StepListener | None) -> CredentialView:
        secrets = read_secrets(form, exchange=flow.exchange)
        return await credentials.replace(principal, credential_id, secrets, attested=is_attested(form), on_step=on_step)

    return await answer(request, session, flow=flow, form=form, attempt=attempt)


async def answer(request: Request, session: AsyncSession, *, flow: Flow, form: Form, attempt: Try) -> Response:
    """Run the attempt and answer as the browser asked: a stream of steps, the finished page, or the form once more."""
    if MEDIA_TYPE in request.headers.get("accept", ""):
        await session.rollback()  # the stream opens a unit of work of its own
        return StreamingResponse(_stream(request, attempt), media_type=MEDIA_TYPE, headers=HEADERS)
    try:
        view = await attempt(open_credentials(request, session), None)
    except ConnectRefused as refused:
        return render_flow(request, flow, kept=keep(form, exchange=flow.exchange, refused=refused), refused=refused)
    return RedirectResponse(locate_result(view), status_code=303)


def locate_result(view: CredentialView) -> str:
    return f"/credentials/{view.id}?connected=1"


def _stream(request: Request, attempt: Try) -> Any:
    async def run(tell: StepListener) -> str:
        async with request.app.state.database.write() as session:
            return locate_result(await attempt(open_credentials(request, session), tell))

    return stream_attempt(run)


def render_flow(request: Request, flow: Flow, *, kept: Kept, refused: ConnectRefused | None = None) -> HTMLResponse:
    """Return guide and form; after a refusal with what was kept, the reason and the finished steps."""
    state = request.app.state
    exchange = flow.exchange
    if flow.replaces is not None:
        fixed = keep_for_replace(flow.replaces)
        kept = Kept(fixed.label, fixed.environment, fixed.plan, kept.attested, flow.replaces.way or "", kept.public)
    environments = state.exchanges.list_environments(exchange.slug)
    chosen = next((one for one in environments if one.value == kept.environment), environments[0] if environments else None)
    return render(
        request,
        "credentials/key.html",
        status_code=200 if refused is None else 422,
        flow=flow,
        exchange=exchange,
        kept=kept,
        refused=refused,
        sites=[state.exchanges.site(exchange.slug, one) for one in environments],
        environment=chosen,
        plan=kept.plan if kept.plan in {plan.value for plan in AccessPlan} else AccessPlan.TRADING.value,
        boxes=presentation.list_boxes(exchange),
        egress=list_allowed(state.settings.ways, kept.way),
        sandbox_keys=[key for key in state.sandbox_keys if key.exchange == exchange.slug],
    )
