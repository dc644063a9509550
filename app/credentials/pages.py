"""Puts the pages of stored credentials together: the same for a person who opens one and for a page that renews itself."""

from collections.abc import Sequence

from fastapi import Request
from fastapi.responses import HTMLResponse

from app.credentials import presentation
from app.credentials.change_words import ChangeView
from app.credentials.connect_routes import render
from app.credentials.listing import SORTS, ListQuery, arrange, summarise
from app.credentials.views import Advice, CheckView, CredentialView, Status

CHECKS_SHOWN = 10
SHOW_DETAIL = "credentials/detail.html"


def render_list(
    request: Request,
    views: list[CredentialView],
    *,
    query: ListQuery | None = None,
    disconnected: str = "",
    only: frozenset[str] | None = None,
) -> HTMLResponse:
    """Return the list, or the way to a first key. With `only` it holds those credentials; the figures still count all."""
    exchanges = request.app.state.exchanges
    asked = query or ListQuery()
    return render(
        request,
        "credentials/list.html" if views else "credentials/empty.html",
        nav_counts=count_attention(views),
        summary=summarise(views),
        arranged=arrange([view for view in views if only is None or view.id in only], asked),
        query=asked,
        statuses=list(Status),
        sorts=SORTS,
        exchanges=exchanges.list_all(),
        egress=request.app.state.settings.egress_addresses,
        disconnected=exchanges.get(disconnected),
    )


def count_attention(views: Sequence[CredentialView]) -> dict[str, int]:
    """Return the number beside the sidebar's link; none where nothing needs attention."""
    attention = sum(view.needs_attention for view in views)
    return {"credentials": attention} if attention else {}


def render_credential(
    request: Request,
    view: CredentialView,
    *,
    checks: Sequence[CheckView],
    changes: Sequence[ChangeView] = (),
    template: str = SHOW_DETAIL,
    error: Advice | None = None,
) -> HTMLResponse:
    """Return one credential's page; with an error, what could not be changed and why."""
    return render(
        request,
        template,
        status_code=200 if error is None else 422,
        view=view,
        checks=checks,
        changes=changes,
        grants=presentation.list_grants(view, checks),
        site=find_site(request, view),
        egress=request.app.state.settings.egress,
        error=error,
    )


def find_site(request: Request, view: CredentialView) -> object:
    """Return the site the key belongs to, for its name and the link to its key page; None where it is not offered."""
    return request.app.state.exchanges.site(view.exchange.slug, view.environment)
