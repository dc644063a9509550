"""People for tests: quick password hashing, and the first user as a browser signs them up."""

from dataclasses import dataclass
from typing import Any

import httpx

from app.accounts.passwords import Passwords
from app.accounts.setup import ensure_setup_link

QUICK_PASSWORDS = Passwords(memory_kib=8, time_cost=1, parallelism=1)
EMAIL = "trader@example.org"
PASSWORD = "correct horse battery staple"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A browser that is signed in, and as whom."""

    client: httpx.AsyncClient
    email: str
    user_id: str


async def sign_up_first(app: Any, client: httpx.AsyncClient) -> SignedIn:
    """Open the one-time link and create the first account, as a person would."""
    state = app.state
    link = await ensure_setup_link(state.database, clock=state.clock, public_url=state.settings.public_url)
    assert link is not None
    form = {"email": EMAIL, "password": PASSWORD, "token": link.split("token=")[1]}
    answer = await client.post("/setup", data=form)
    assert answer.status_code == 303, answer.text
    async with state.database.connect() as connection:
        user_id = (await connection.exec_driver_sql("SELECT id FROM users")).scalar_one()
    return SignedIn(client, EMAIL, user_id)
