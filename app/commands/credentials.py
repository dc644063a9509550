"""credentials: what a person has connected, and a check from the command line. No secret, no key hint."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

import typer

from app.accounts.current_user import Principal
from app.accounts.service import Accounts
from app.commands.console import answer, run
from app.credentials.service import Credentials
from app.credentials.views import CredentialView
from app.main import create_app
from app.settings import Settings

Result = TypeVar("Result")
Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
credentials = typer.Typer(help="Connected keys: list, check.", no_args_is_help=True)


@credentials.command("list")
def list_credentials(email: str, as_json: Json = False) -> None:
    """List a person's credentials with their status."""
    views = work(email, lambda service, principal: service.list_all(principal))
    answer([describe(view) for view in views], as_json=as_json, lines=[make_line(view) for view in views])


@credentials.command("check")
def check(email: str, credential_id: str, as_json: Json = False) -> None:
    """Check a person's credential now."""
    view = work(email, lambda service, principal: service.check(principal, credential_id))
    answer(describe(view), as_json=as_json, lines=[make_line(view)])


def work(email: str, task: Callable[[Credentials, Principal], Awaitable[Result]]) -> Result:
    """Run a task on a person's credentials, with everything the web server has but the web."""

    async def in_unit(settings: Settings) -> Result:
        app = create_app(settings)
        state = app.state
        async with app.router.lifespan_context(app), state.database.write() as session:
            accounts = Accounts(session, clock=state.clock, passwords=state.passwords, settings=settings)
            user = await accounts.find_user(email)
            principal = Principal(user.id, user.email, user.roles, None, None, None, ip="command line")
            vault, exchanges = state.vault, state.exchanges
            service = Credentials(session, vault=vault, exchanges=exchanges, settings=settings, clock=state.clock)
            return await task(service, principal)

    return run(in_unit)


def make_line(view: CredentialView) -> str:
    checked = f"{view.checked_at:%Y-%m-%d %H:%M:%S} UTC" if view.checked_at else "never"
    return f"{view.id}  {view.exchange.name} {view.environment.value}  {view.status.value}  checked {checked}"


def describe(view: CredentialView) -> dict[str, Any]:
    """Return what an operator may know of a credential as JSON."""
    return {
        "id": view.id,
        "exchange": view.exchange.slug,
        "environment": view.environment.value,
        "plan": view.plan.value,
        "status": view.status.value,
        "code": view.advice.code if view.advice else None,
        "checked_at": view.checked_at,
    }
