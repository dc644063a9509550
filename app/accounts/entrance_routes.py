"""Pages of the ways in: sign in and out, first set-up, invitation, open sign-up."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from app.accounts.current_user import PageVisitor
from app.accounts.entrances import InvitationView, OpenedSession
from app.accounts.entry import EntryRefused
from app.accounts.limits import Refused
from app.accounts.passwords import SHORTEST
from app.accounts.requests import AccountsDep, VisitDep, answer_sign_in, clean_next, let_in, locate_passkeys, redirect
from app.accounts.roles import find_landing
from app.accounts.tokens import clear_session_cookie
from app.masking import Secret
from app.web.forms import Form, read_form
from app.web.pages import Pages

router = APIRouter(include_in_schema=False)
WRONG_CREDENTIALS = "The e-mail or the password is wrong."


@dataclass(frozen=True, slots=True)
class NewAccountPage:
    """The words of a page where an account is created, and the address its form is sent to."""

    title: str
    lead: str
    action: str
    button: str


SETUP_PAGE = NewAccountPage(
    "Set up Keydeck", "Create the first account. It may link keys and runs this server.", "/setup", "Create account"
)
INVITATION_PAGE = NewAccountPage("Join Keydeck", "You were invited. Create your account.", "/invitation", "Create account")
SIGN_UP_PAGE = NewAccountPage(
    "Create an account", "Link your exchange keys and see what they may do.", "/sign-up", "Create account"
)


@router.get("/sign-in")
async def show_sign_in(request: Request, visitor: PageVisitor, accounts: AccountsDep) -> Response:
    wanted = clean_next(request.query_params.get("next", ""))
    if visitor is not None:
        return redirect(wanted or find_landing(visitor.roles))
    return render_sign_in(request, next_path=wanted, is_new=await accounts.is_waiting_for_setup())


@router.post("/sign-in")
async def sign_in(request: Request, accounts: AccountsDep, visit: VisitDep) -> Response:
    form = await read_form(request)
    email, next_path = form.get("email", ""), clean_next(form.get("next", ""))
    opened = await accounts.sign_in(visit, email=email, password=Secret(form.get("password", "")))
    if opened is None:
        return render_sign_in(request, next_path=next_path, email=email, error=WRONG_CREDENTIALS, status_code=401)
    if isinstance(opened, Refused):
        page = render_sign_in(request, next_path=next_path, email=email, error=_ask_to_wait(opened), status_code=429)
        page.headers["Retry-After"] = str(opened.retry_after_seconds)
        return page
    return answer_sign_in(request, opened, next_path=next_path)


@router.post("/sign-out")
async def sign_out(request: Request, visitor: PageVisitor, accounts: AccountsDep) -> Response:
    if visitor is not None:
        await accounts.sign_out(visitor)
    response = redirect("/sign-in")
    clear_session_cookie(response, uses_https=request.app.state.settings.uses_https)
    return response


@router.get("/setup")
async def show_setup(request: Request, accounts: AccountsDep) -> HTMLResponse:
    token = request.query_params.get("token", "")
    await accounts.find_setup(Secret(token))
    return _render_new_account(request, SETUP_PAGE, token=token)


@router.post("/setup")
async def create_first_user(request: Request, accounts: AccountsDep, visit: VisitDep) -> Response:
    form = await read_form(request)
    token = form.get("token", "")

    async def create() -> OpenedSession:
        email, password = form.get("email", ""), Secret(form.get("password", ""))
        return await accounts.create_first_user(Secret(token), email=email, password=password, visit=visit)

    return await _create(request, create, page=SETUP_PAGE, form=form)


@router.get("/invitation")
async def show_invitation(request: Request, accounts: AccountsDep) -> HTMLResponse:
    token = request.query_params.get("token", "")
    invitation = await accounts.find_invitation(Secret(token))
    return _render_new_account(request, INVITATION_PAGE, token=token, invitation=invitation)


@router.post("/invitation")
async def accept_invitation(request: Request, accounts: AccountsDep, visit: VisitDep) -> Response:
    form = await read_form(request)
    token = Secret(form.get("token", ""))
    invitation = await accounts.find_invitation(token)

    async def create() -> OpenedSession:
        email, password = form.get("email", ""), Secret(form.get("password", ""))
        return await accounts.accept_invitation(token, email=email, password=password, visit=visit)

    return await _create(request, create, page=INVITATION_PAGE, form=form, invitation=invitation)


@router.get("/sign-up")
async def show_sign_up(request: Request, accounts: AccountsDep) -> HTMLResponse:
    accounts.demand_open_sign_up()
    return _render_new_account(request, SIGN_UP_PAGE)


@router.post("/sign-up")
async def sign_up(request: Request, accounts: AccountsDep, visit: VisitDep) -> Response:
    accounts.demand_open_sign_up()
    form = await read_form(request)

    async def create() -> OpenedSession:
        return await accounts.sign_up(visit, email=form.get("email", ""), password=Secret(form.get("password", "")))

    return await _create(request, create, page=SIGN_UP_PAGE, form=form)


async def _create(
    request: Request,
    create: Callable[[], Awaitable[OpenedSession]],
    *,
    page: NewAccountPage,
    form: Form,
    invitation: InvitationView | None = None,
) -> Response:
    """Create the account, or show the form again with the e-mail kept and the error on its field."""
    try:
        return let_in(request, await create())
    except EntryRefused as refused:
        return _render_new_account(
            request, page, token=form.get("token", ""), email=form.get("email", ""), invitation=invitation, refused=refused
        )


def _ask_to_wait(refused: Refused) -> str:
    return f"Too many tries. Wait {refused.wait}, then try again. A passkey, or a browser that signed in before, works at once."


def render_sign_in(
    request: Request,
    *,
    next_path: str,
    is_new: bool = False,
    email: str = "",
    error: str = "",
    passkey_error: str = "",
    status_code: int = 200,
) -> HTMLResponse:
    pages: Pages = request.app.state.pages
    return pages.render(
        request,
        "accounts/sign_in.html",
        status_code=status_code,
        next_path=next_path,
        email=email,
        error=error,
        passkey_error=passkey_error,
        is_new=is_new,
        passkeys=locate_passkeys(request),
        is_open=request.app.state.settings.open_sign_up == "on",
        has_mail=request.app.state.mailer.is_on,
        done=request.query_params.get("done", ""),
    )


def _render_new_account(
    request: Request,
    page: NewAccountPage,
    *,
    token: str = "",
    email: str = "",
    invitation: InvitationView | None = None,
    refused: EntryRefused | None = None,
) -> HTMLResponse:
    pages: Pages = request.app.state.pages
    return pages.render(
        request,
        "accounts/new_account.html",
        status_code=422 if refused else 200,
        page=page,
        token=token,
        email=email,
        invitation=invitation,
        errors={refused.field: refused.message} if refused else {},
        shortest=SHORTEST,
    )
