"""One-time links as an operator makes them and their owner uses them."""

from typing import Any

import httpx

from tests.accounts.doors import find_copied, sign_in
from tests.pages import open_page
from tests.people import SignedIn

OWNER = "owner@example.org"
NEW = "a new and different password"


async def make_link(operator: SignedIn, user_id: str, kind: str = "reset-link") -> str:
    answer = await operator.client.post(f"/people/{user_id}/{kind}")
    assert answer.status_code == 200, answer.text
    link = find_copied(answer.text)
    assert link.startswith("http://127.0.0.1:8000/")
    return link.removeprefix("http://127.0.0.1:8000")


async def choose(client: httpx.AsyncClient, link: str, password: str = NEW) -> httpx.Response:
    form = (await open_page(client, link)).form("/reset")
    return await client.post("/reset", data=form.values | {"new_password": password})


async def sign_up_again_after(app: Any, operator: SignedIn, clock: Any, *, days: int) -> None:
    clock.advance(days=days)
    assert (await sign_in(operator.client, operator.email)).status_code == 303
