"""The alerts page, and the choices that hold for all channels: quiet hours and the calendar's private link."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse, Response

from app.accounts.current_user import PageTrader, PageTraderFresh, Principal
from app.accounts.entry import EntryRefused
from app.accounts.requests import redirect
from app.alerts.calendar import MEDIA_TYPE
from app.alerts.channel_routes import router as channel_router
from app.alerts.channels import KIND_NAMES, MOST_CHANNELS, Channels
from app.alerts.preferences import Preferences
from app.alerts.quiet_hours import list_time_zones, write_minute
from app.alerts.requests import ChannelsDep, InboxDep, PreferencesDep
from app.masking import Secret
from app.web.forms import Form, read_form
from app.web.pages import Pages

router = APIRouter(include_in_schema=False)
calendar_router = APIRouter(include_in_schema=False)
_SETTINGS = "/alerts/settings"
_NO_FORM = Form([])


@router.get("/alerts")
async def show_alerts(
    request: Request,
    principal: PageTrader,
    inbox: InboxDep,
    *,
    before: Annotated[str | None, Query(max_length=64)] = None,
    show: Annotated[str, Query(max_length=10)] = "",
) -> HTMLResponse:
    page = await inbox.list_page(principal, before=before, only_unread=show == "unread")
    pages: Pages = request.app.state.pages
    return pages.render(request, "alerts/list.html", page=page, show=show, is_first=before is None)


@router.post("/alerts/read")
async def mark_all_read(principal: PageTrader, inbox: InboxDep) -> Response:
    await inbox.mark_read(principal)
    return redirect("/alerts")


@router.post("/alerts/{alert_id}/read")
async def mark_read(principal: PageTrader, inbox: InboxDep, alert_id: Annotated[str, Path(max_length=64)]) -> Response:
    await inbox.mark_read(principal, alert_id)
    return redirect("/alerts")


@router.get(_SETTINGS)
async def show_settings(
    request: Request, principal: PageTrader, channels: ChannelsDep, preferences: PreferencesDep
) -> HTMLResponse:
    return await _render(request, principal, channels=channels, preferences=preferences)


@router.post("/alerts/quiet-hours")
async def set_quiet_hours(
    request: Request, principal: PageTrader, channels: ChannelsDep, preferences: PreferencesDep
) -> Response:
    form = await read_form(request)
    try:
        await preferences.set_quiet_hours(
            principal,
            start=form.get("quiet_from", ""),
            end=form.get("quiet_to", ""),
            time_zone=form.get("time_zone", ""),
            is_on=form.get("quiet", "") == "on",
        )
    except EntryRefused as refused:
        return await _render(request, principal, channels=channels, preferences=preferences, refused=refused, form=form)
    return redirect(f"{_SETTINGS}?done=quiet")


@router.post("/alerts/calendar")
async def make_calendar(
    request: Request, principal: PageTraderFresh, channels: ChannelsDep, preferences: PreferencesDep
) -> HTMLResponse:
    link = await preferences.make_calendar(principal)
    return await _render(request, principal, channels=channels, preferences=preferences, calendar_link=link)


@router.post("/alerts/calendar/revoke")
async def revoke_calendar(principal: PageTrader, preferences: PreferencesDep) -> Response:
    await preferences.revoke_calendar(principal)
    return redirect(f"{_SETTINGS}?done=revoked")


@calendar_router.get("/calendar/{token}.ics")
async def read_calendar(request: Request, preferences: PreferencesDep, token: Annotated[str, Path(max_length=200)]) -> Response:
    """Answer whoever knows the private link."""
    text = await preferences.write_calendar(Secret(token), exchanges=request.app.state.exchanges)
    return Response(text, media_type=MEDIA_TYPE, headers={"Content-Disposition": 'inline; filename="keydeck.ics"'})


router.include_router(channel_router)


async def _render(
    request: Request,
    principal: Principal,
    *,
    channels: Channels,
    preferences: Preferences,
    refused: EntryRefused | None = None,
    form: Form = _NO_FORM,
    calendar_link: str = "",
) -> HTMLResponse:
    view = await preferences.describe(principal)
    quiet = view.quiet
    context: dict[str, Any] = {
        "channels": await channels.list_all(principal),
        "view": view,
        "kinds": KIND_NAMES,
        "most": MOST_CHANNELS,
        "mail_is_on": request.app.state.mailer.is_on,
        "zones": [(zone, zone.replace("_", " ")) for zone in list_time_zones()],
        "entered": {
            "quiet": form.get("quiet", "") == "on" if refused else quiet is not None,
            "quiet_from": form.get("quiet_from") or write_minute(quiet.from_minute if quiet else 22 * 60),
            "quiet_to": form.get("quiet_to") or write_minute(quiet.to_minute if quiet else 7 * 60),
            "time_zone": form.get("time_zone") or view.time_zone,
        },
        "errors": {refused.field: refused.message} if refused else {},
        "calendar_link": calendar_link,
        "done": request.query_params.get("done", ""),
    }
    pages: Pages = request.app.state.pages
    return pages.render(request, "alerts/settings.html", status_code=422 if refused else 200, **context)
