"""5,000 made-up posts to every form of the product, found in its own pages: none ends in a 5xx.

`KEYDECK_FUZZ_FORMS=100000 pytest tests/security/test_form_fuzz.py` makes more of them.
"""

import os
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from app.accounts.roles import Role
from app.sandbox.keys import list_keys
from tests.accounts.doors import Unit
from tests.people import PASSWORD, SignedIn
from tests.security.forms import FoundForm, Post, find_forms, make_posts
from tests.security.routes import list_unsafe

SHARDS = 2
BATCH = 25
POSTS_PER_SHARD = int(os.environ.get("KEYDECK_FUZZ_FORMS", "5000")) // SHARDS
STARTS = (
    "/credentials",
    "/credentials/connect",
    "/balances",
    "/activity",
    "/security",
    "/people",
    "/support",
    "/operations",
    "/exchanges",
)
OUTSIDE = ("/sign-in", "/sign-up", "/setup", "/invitation", "/theme")
SPARE_SESSIONS = 25
pytestmark = [pytest.mark.anyio, pytest.mark.timeout(900)]
Make = Callable[[], httpx.AsyncClient]


async def furnish(app: Any, signed_in: SignedIn) -> None:
    """Give the first user every role, two keys, a token and an open invitation, so that every page has its forms."""
    async with Unit(app) as accounts:
        await accounts.set_roles(signed_in.user_id, roles=list(Role))
        await accounts.create_token(signed_in.user_id, name="script")
    keys = {(key.exchange, key.scenario): key for key in list_keys()}
    for place in (("hitbtc", "read-trade"), ("htx", "read-only")):
        key = keys[place]
        form = {"environment": "sandbox", "plan": key.plan, "label": "Fuzzed", **key.show_secrets()}
        assert (await signed_in.client.post(f"/credentials/connect/{place[0]}", data=form)).status_code == 303
    assert (await signed_in.client.post("/people/invitations", data={"role": "trader"})).status_code in (200, 303)


async def list_forms(app: Any, signed_in: SignedIn, make_client: Make) -> dict[str, FoundForm]:
    """Return the forms of the pages, and one for each address that takes a post but has no form of its own in them."""
    async with make_client() as stranger:
        forms = await find_forms(stranger, OUTSIDE) | await find_forms(signed_in.client, STARTS)
    names = {name for form in forms.values() for name, _ in form.fields}
    everything = tuple((name, "x") for name in sorted(names)[:30])
    for method, path in list_unsafe(app):
        if method == "POST" and not path.startswith("/api/"):
            forms.setdefault(path, FoundForm(path, everything))
    return forms


@pytest.mark.parametrize("shard", range(SHARDS))
async def test_no_post_breaks_a_page(app: Any, signed_in: SignedIn, make_client: Make, database_kind: str, shard: int) -> None:
    await furnish(app, signed_in)
    forms = await list_forms(app, signed_in, make_client)
    assert len(forms) >= 25, sorted(forms)
    doors = [signed_in.client]
    for _ in range(SPARE_SESSIONS):
        client = make_client()
        await client.post("/sign-in", data={"email": signed_in.email, "password": PASSWORD})
        doors.append(client)
    posts = make_posts(forms, number=shard, count=POSTS_PER_SHARD)
    answers: Counter[int] = Counter()
    reached: set[str] = set()
    for at, post in enumerate(posts):
        if at % BATCH == 0 and (await doors[-1].get("/security")).status_code != 200 and len(doors) > 1:
            await doors.pop().aclose()  # a post signed it out
        status = await send(doors[-1], post)
        assert status < 500, post.describe()
        answers[status] += 1
        reached.add(post.action)
    for client in doors[1:]:
        await client.aclose()
    assert sum(answers.values()) == POSTS_PER_SHARD
    assert {200, 303, 400, 413, 415, 422} <= set(answers), "posts went through, and were refused in every way"
    assert reached == set(forms)


async def send(client: httpx.AsyncClient, post: Post) -> int:
    kind = {"Content-Type": post.kind.encode()} if post.kind else {}
    answer = await client.post(post.action, content=post.content, headers=kind)
    assert "Traceback" not in answer.text
    return answer.status_code
