"""users, tokens: people and their API tokens. Passwords come from a file or standard input, never as an argument."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

import typer

from app.accounts.api_tokens import LONGEST_DAYS, USUAL_DAYS
from app.accounts.passwords import Passwords
from app.accounts.people import UserView
from app.accounts.resets import BY_COMMAND, FACTOR_LINK, PASSWORD_LINK, IssuedLink
from app.accounts.roles import Role, Scope
from app.accounts.service import Accounts
from app.clock import utc_now
from app.commands.console import answer, open_database, read_secret_text, run
from app.masking import Secret
from app.settings import Settings

Result = TypeVar("Result")
Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
users = typer.Typer(help="People: add, list, set-role, disable, enable, sign-out, reset, reset-factors.", no_args_is_help=True)
tokens = typer.Typer(help="Personal API tokens: add, list, revoke.", no_args_is_help=True)


def work(task: Callable[[Accounts], Awaitable[Result]]) -> Result:
    """Run a task on the accounts service in one unit of work; bad input ends with one line."""

    async def in_unit(settings: Settings) -> Result:
        async with open_database(settings) as database, database.write() as session:
            return await task(Accounts(session, clock=utc_now, passwords=Passwords(), settings=settings))

    return run(in_unit)


@users.command("add")
def add_user(
    email: str,
    role: Annotated[list[Role], typer.Option(help="trader, support or operator; may be given more than once.")],
    password_file: Annotated[str, typer.Option(help="File that holds the password, or - for standard input.")],
    as_json: Json = False,
) -> None:
    """Create an account."""
    password = Secret(read_secret_text(password_file))
    user = work(lambda accounts: accounts.add_user(email, password=password, roles=role))
    answer(describe_user(user), as_json=as_json, lines=[f"Added {user.email} ({user.id})"])


@users.command("list")
def list_users(as_json: Json = False) -> None:
    """List everybody with their roles."""
    people = work(_list_everybody)
    lines = [f"{user.email}  {', '.join(sorted(user.roles))}{'  disabled' if user.disabled_at else ''}" for user in people]
    answer([describe_user(user) for user in people], as_json=as_json, lines=lines)


async def _list_everybody(accounts: Accounts) -> list[UserView]:
    found: list[UserView] = []
    page = await accounts.list_people()
    found += page.people
    while page.after is not None:
        page = await accounts.list_people(after=page.after)
        found += page.people
    return found


@users.command("set-role")
def set_role(email: str, role: Annotated[list[Role], typer.Option(help="The roles the person has from now on.")]) -> None:
    """Give a person exactly these roles."""

    async def change(accounts: Accounts) -> UserView:
        return await accounts.set_roles((await accounts.find_user(email)).id, roles=role)

    user = work(change)
    typer.echo(f"{user.email} is now {', '.join(sorted(user.roles))}")


@users.command("disable")
def disable(email: str) -> None:
    """Shut a person out: sessions end now, API tokens are revoked for good."""

    async def change(accounts: Accounts) -> UserView:
        return await accounts.disable((await accounts.find_user(email)).id)

    typer.echo(f"{work(change).email} is disabled")


@users.command("enable")
def enable(email: str) -> None:
    """Let a disabled person sign in again. API tokens have to be made anew."""

    async def change(accounts: Accounts) -> UserView:
        return await accounts.enable((await accounts.find_user(email)).id)

    typer.echo(f"{work(change).email} is enabled")


@users.command("sign-out")
def sign_out(email: str) -> None:
    """End all sessions of a person."""

    async def end(accounts: Accounts) -> int:
        return await accounts.sign_out_everywhere((await accounts.find_user(email)).id)

    typer.echo(f"{work(end)} sessions of {email} are ended")


@users.command("reset")
def reset(email: str, as_json: Json = False) -> None:
    """Print a one-time link with which the person chooses a new password. The second factor is asked for as before."""
    _print_link(email, kind=PASSWORD_LINK, as_json=as_json)


@users.command("reset-factors")
def reset_factors(email: str, as_json: Json = False) -> None:
    """Print a one-time link with which the person, by password, removes lost second factors."""
    _print_link(email, kind=FACTOR_LINK, as_json=as_json)


def _print_link(email: str, *, kind: str, as_json: bool) -> None:
    async def make(accounts: Accounts) -> IssuedLink:
        return await accounts.make_link((await accounts.find_user(email)).id, kind=kind, way=BY_COMMAND)

    made = work(make)
    told = {"link": made.link, "email": made.email, "expires_at": made.expires_at}
    answer(told, as_json=as_json, lines=[made.link, "(works once, for one hour; hand it to the person yourself)"])


@tokens.command("add")
def add_token(
    email: str,
    name: Annotated[str, typer.Option(help="What the token is for.")],
    scope: Annotated[
        list[Scope], typer.Option(help="What it may do; may be given more than once.", show_default=Scope.STATUS_READ.value)
    ] = [Scope.STATUS_READ],  # noqa: B006  # typer reads it, nobody changes it
    days: Annotated[int, typer.Option(min=1, max=LONGEST_DAYS, help="After how many days it ends.")] = USUAL_DAYS,
    as_json: Json = False,
) -> None:
    """Make an API token: unless told otherwise one that reads status, for 90 days. It is shown once, now."""

    async def make(accounts: Accounts) -> dict[str, Any]:
        user = await accounts.find_user(email)
        made = await accounts.create_token(user.id, name=name, scopes=scope, expires_in_days=days)
        told = {"id": made.view.id, "name": made.view.name, "scopes": sorted(made.view.scopes)}
        return {"token": made.token.reveal(), **told, "expires_at": made.view.expires_at}

    made = work(make)
    answer(
        made,
        as_json=as_json,
        lines=[
            f"{made['token']}",
            f"({made['id']}, {', '.join(made['scopes'])}, until {made['expires_at']:%Y-%m-%d}; it is not shown again)",
        ],
    )


@tokens.command("list")
def list_tokens(email: str, as_json: Json = False) -> None:
    """List a person's tokens, without what opens the door."""

    async def look(accounts: Accounts) -> list[dict[str, Any]]:
        listed = await accounts.list_tokens((await accounts.find_user(email)).id)
        return [
            {"id": token.id, "name": token.name, "scopes": sorted(token.scopes), "last_used_at": token.last_used_at}
            for token in listed
        ]

    found = work(look)
    answer(found, as_json=as_json, lines=[f"{token['id']}  {token['name']}  {', '.join(token['scopes'])}" for token in found])


@tokens.command("revoke")
def revoke_token(email: str, token_id: str) -> None:
    """Make a token worthless from now on."""

    async def revoke(accounts: Accounts) -> None:
        await accounts.revoke_token((await accounts.find_user(email)).id, token_id=token_id)

    work(revoke)
    typer.echo(f"{token_id} is revoked")


def describe_user(user: UserView) -> dict[str, Any]:
    """Return a person as JSON."""
    disabled = user.disabled_at is not None
    return {"id": user.id, "email": user.email, "roles": sorted(user.roles), "disabled": disabled, "created_at": user.created_at}
