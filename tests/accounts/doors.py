"""What the tests of accounts share: the service in one unit of work, invited people, and reading the database."""

import html
import re
from typing import Any

import httpx

from app.accounts.people import UserView
from app.accounts.roles import Role
from app.accounts.service import Accounts
from app.masking import Secret

PASSWORD = "correct horse battery staple"
COOKIE = "keydeck_session"


class Unit:
    """One unit of work on the accounts service, committed at the end."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __aenter__(self) -> Accounts:
        state = self.app.state
        self.work = state.database.write()
        session = await self.work.__aenter__()
        return Accounts(session, clock=state.clock, passwords=state.passwords, settings=state.settings)

    async def __aexit__(self, *error: object) -> None:
        await self.work.__aexit__(*error)  # type: ignore[arg-type]  # handed on as they came


async def add_person(app: Any, email: str, *roles: Role) -> UserView:
    async with Unit(app) as accounts:
        return await accounts.add_user(email, password=Secret(PASSWORD), roles=roles)


async def sign_in(client: httpx.AsyncClient, email: str, password: str = PASSWORD, **more: str) -> httpx.Response:
    return await client.post("/sign-in", data={"email": email, "password": password, **more})


async def count_rows(app: Any, table: str, where: str = "1=1") -> int:
    async with app.state.database.connect() as connection:
        return int((await connection.exec_driver_sql(f"SELECT count(*) FROM {table} WHERE {where}")).scalar_one())


async def list_actions(app: Any) -> list[str]:
    async with app.state.database.connect() as connection:
        return list((await connection.exec_driver_sql("SELECT action FROM audit_events ORDER BY at, id")).scalars())


def find_copied(page: str) -> str:
    """Return the one text a page offers to copy."""
    found = re.findall(r'data-copy="([^"]+)"', page)
    assert len(found) == 1, found
    return html.unescape(found[0])
