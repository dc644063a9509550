"""Pages of channels: adding one, and one channel with its choice of events, its test and its log."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse, Response

from app.accounts.current_user import PageTrader, PageTraderFresh, Principal
from app.accounts.entry import EntryRefused
from app.accounts.requests import redirect
from app.alerts.channels import KIND_NAMES, AddedChannel, Channels
from app.alerts.delivery import Outcome
from app.alerts.events import CHOICES
from app.alerts.requests import ChannelsDep
from app.alerts.services import OTHERS
from app.web.errors import NotFound
from app.web.forms import Form, read_form
from app.web.pages import Pages

router = APIRouter(include_in_schema=False)
ChannelId = Annotated[str, Path(max_length=64)]
Kind = Annotated[str, Path(max_length=20)]


@router.get("/alerts/add/{kind}")
async def show_add(request: Request, principal: PageTraderFresh, kind: Kind) -> HTMLResponse:
    return _render_add(request, kind)


@router.post("/alerts/add/{kind}")
async def add_channel(request: Request, principal: PageTraderFresh, channels: ChannelsDep, kind: Kind) -> Response:
    form = await read_form(request)
    try:
        added = await channels.add(principal, kind, form)
    except EntryRefused as refused:
        return _render_add(request, kind, form=form, refused=refused)
    if not added.secret_text:
        return redirect(f"/alerts/channels/{added.channel.id}?done=added")
    return await _render(request, principal, channels=channels, channel_id=added.channel.id, added=added)


@router.get("/alerts/channels/{channel_id}")
async def show_channel(request: Request, principal: PageTrader, channels: ChannelsDep, channel_id: ChannelId) -> HTMLResponse:
    return await _render(request, principal, channels=channels, channel_id=channel_id)


@router.post("/alerts/channels/{channel_id}")
async def change_channel(request: Request, principal: PageTrader, channels: ChannelsDep, channel_id: ChannelId) -> Response:
    form = await read_form(request)
    try:
        await channels.change(
            principal,
            channel_id,
            name=form.get("name", ""),
            events=form.list_values("event"),
            shows_labels=form.get("shows_labels", "") == "yes",
        )
    except EntryRefused as refused:
        return await _render(request, principal, channels=channels, channel_id=channel_id, refused=refused)
    return redirect(f"/alerts/channels/{channel_id}?done=saved")


@router.post("/alerts/channels/{channel_id}/test")
async def test_channel(request: Request, principal: PageTrader, channels: ChannelsDep, channel_id: ChannelId) -> HTMLResponse:
    outcome = await channels.test(principal, channel_id)
    return await _render(request, principal, channels=channels, channel_id=channel_id, outcome=outcome)


@router.post("/alerts/channels/{channel_id}/secret")
async def renew_secret(
    request: Request, principal: PageTraderFresh, channels: ChannelsDep, channel_id: ChannelId
) -> HTMLResponse:
    added = await channels.renew_secret(principal, channel_id)
    return await _render(request, principal, channels=channels, channel_id=channel_id, added=added)


@router.post("/alerts/channels/{channel_id}/remove")
async def remove_channel(principal: PageTraderFresh, channels: ChannelsDep, channel_id: ChannelId) -> Response:
    await channels.remove(principal, channel_id)
    return redirect("/alerts/settings?done=removed")


def _render_add(request: Request, kind: str, *, form: Form | None = None, refused: EntryRefused | None = None) -> HTMLResponse:
    """Return the form of one kind. What was typed as an address is not shown again: it may be a secret."""
    if kind not in KIND_NAMES:
        raise NotFound("kind of channel")
    pages: Pages = request.app.state.pages
    return pages.render(
        request,
        "alerts/add.html",
        status_code=422 if refused else 200,
        kind=kind,
        kind_name=KIND_NAMES[kind],
        entered={"name": form.get("name", "") if form else "", "chat": form.get("chat", "") if form else ""},
        errors={refused.field: refused.message} if refused else {},
        services=list(OTHERS.values()),
        mail_is_on=request.app.state.mailer.is_on,
    )


async def _render(
    request: Request,
    principal: Principal,
    *,
    channels: Channels,
    channel_id: str,
    added: AddedChannel | None = None,
    outcome: Outcome | None = None,
    refused: EntryRefused | None = None,
) -> HTMLResponse:
    context: dict[str, Any] = {
        "channel": await channels.get(principal, channel_id),
        "log": await channels.list_log(principal, channel_id),
        "kind_names": KIND_NAMES,
        "choices": CHOICES,
        "choice_names": {choice.kind: choice.label for choice in CHOICES},
        "secret_text": added.secret_text if added else "",
        "outcome": outcome,
        "errors": {refused.field: refused.message} if refused else {},
        "done": request.query_params.get("done", ""),
    }
    pages: Pages = request.app.state.pages
    return pages.render(request, "alerts/channel.html", status_code=422 if refused else 200, **context)
