"""The support page shows why a key does not work, and nothing of the key reaches its template."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app.credentials.models import Credential, CredentialBalances
from app.credentials.records import write_sheet
from app.exchanges.types import BalanceSheet
from tests.balances.views import make_balance
from tests.operations.rows import add_check, add_credential
from tests.pages import Form, Page
from tests.people import EMAIL, SignedIn

HIDDEN = {
    "label": "Gr1dB0tLabelCanary",
    "key_hint": "h1nT",
    "fingerprint": "f1ngerpr1ntcanaryf1ngerpr1ntcana",
    "account_id": "acc0untcanary77",
}
TICKET = "4821"
TOLD, ADDRESS, SEEN, AMOUNT = "t0ldWordsCanary", "198.51.100.77", "198.51.100.88", "8765432.12345678"


@pytest.fixture
async def credential_id(app: Any, signed_in: SignedIn) -> str:
    """A stored credential in which everything support must not see is a canary."""
    now = app.state.clock()
    async with app.state.database.write() as session:
        identifier = add_credential(session, signed_in.user_id, kid=app.state.vault.active_kid)
        await session.flush()
        credential = await session.get_one(Credential, identifier)
        for name, value in HIDDEN.items():
            setattr(credential, name, value)
        await add_check(session, identifier, code="ip_not_allowed", at=now)
        sheet = BalanceSheet((make_balance(f"spot BTC {AMOUNT} 0"),))
        session.add(CredentialBalances(credential_id=identifier, fetched_at=now, document=write_sheet(sheet)))
        await session.flush()
        values = {"told": TOLD, "ips": f'["{ADDRESS}"]', "seen": SEEN}
        await session.execute(text("UPDATE credential_checks SET told = :told, allowed_ips = :ips, seen_ip = :seen"), values)
    return identifier


def walk(value: Any, seen: set[int]) -> set[str]:
    """Return every text, number and attribute that a template could reach from a value."""
    if id(value) in seen:
        return set()
    seen.add(id(value))
    if isinstance(value, str | int | float | bool) or value is None:
        return {str(value)}
    if isinstance(value, Mapping):
        return set().union(*(walk(part, seen) for pair in value.items() for part in pair))
    if isinstance(value, list | tuple | set | frozenset):
        return set().union(*(walk(part, seen) for part in value))
    names = (
        [field.name for field in fields(value)] if is_dataclass(value) else [*vars(value)] if hasattr(value, "__dict__") else []
    )
    return {str(value), repr(value)}.union(*(walk(getattr(value, name), seen) for name in names))


def find_hidden(texts: str) -> list[str]:
    return [secret for secret in (*HIDDEN.values(), TOLD, ADDRESS, SEEN, AMOUNT) if secret in texts]


def test_the_walk_finds_what_is_planted() -> None:
    deep = {"a": [("x", {"b": {HIDDEN["label"]}})], "amount": AMOUNT}
    assert set(find_hidden(" ".join(walk(deep, set())))) == {HIDDEN["label"], AMOUNT}


async def test_nothing_of_the_key_reaches_the_template_the_page_or_the_api(
    app: Any, signed_in: SignedIn, credential_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    contexts: list[dict[str, Any]] = []
    write = app.state.pages.write

    def listen(request: Any, template: str, **context: Any) -> str:
        contexts.append(context)
        return str(write(request, template, **context))

    monkeypatch.setattr(app.state.pages, "write", listen)
    for query in (EMAIL, credential_id, credential_id.upper(), "example.org"):
        page = await signed_in.client.post("/support", data={"ticket": TICKET, "q": query})
        answer = await signed_in.client.get("/api/v1/support/credentials", params={"q": query})
        assert find_hidden(page.text + answer.text + str(page.headers) + str(answer.headers)) == []
    assert len(contexts) == 4
    assert find_hidden(" ".join(walk(contexts, set()))) == []


async def test_the_page_says_why_and_what_to_answer(signed_in: SignedIn, credential_id: str) -> None:
    page = (await signed_in.client.post("/support", data={"ticket": TICKET, "q": f"  {EMAIL.upper()} "})).text
    assert f'data-credential="{credential_id}"' in page
    assert 'data-status="ip-not-allowed"' in page
    assert "<code>ip_not_allowed</code>" in page
    assert "Suggested reply" in page
    assert "203.0.113.10" in page, "this server's own address belongs into the reply"


async def test_the_api_gives_the_same_facts(signed_in: SignedIn, credential_id: str) -> None:
    body = (await signed_in.client.get("/api/v1/support/credentials", params={"q": credential_id})).json()
    (row,) = body["credentials"]
    assert (row["id"], row["owner_email"], row["status"], row["code"]) == (
        credential_id,
        EMAIL,
        "ip_not_allowed",
        "ip_not_allowed",
    )
    assert [check["code"] for check in row["checks"]] == ["ip_not_allowed"]


async def test_the_owner_sees_each_look_up(app: Any, signed_in: SignedIn, credential_id: str) -> None:
    await signed_in.client.post("/support", data={"ticket": TICKET, "q": EMAIL})
    await signed_in.client.get("/api/v1/support/credentials", params={"q": credential_id})
    async with app.state.database.read() as session:
        rows = (
            await session.execute(text("SELECT owner_id, object_id FROM audit_events WHERE action = 'support.viewed_status'"))
        ).all()
    assert [tuple(row) for row in rows] == [(signed_in.user_id, credential_id)] * 2
    page = (await signed_in.client.get("/activity")).text
    assert "upport" in page


async def test_the_ticket_is_needed_and_shown_to_the_customer(signed_in: SignedIn, credential_id: str) -> None:
    refused = Page(await signed_in.client.post("/support", data={"q": EMAIL, "ticket": "  "}))
    form = Form(refused.find(tag="form", role="search")[0])
    assert refused.status == 422
    assert refused.find(tag="p", id="ticket-error")
    assert credential_id not in refused.html
    found = await signed_in.client.post("/support", data={**form.values, "ticket": "<b>4821"})
    assert credential_id in found.text
    activity = Page(await signed_in.client.get("/activity", params={"kind": "support"}))
    assert [line.text.count("ticket <b>4821") for line in activity.find(tag="th", scope="row")] == [1, 1]


async def test_a_fingerprint_as_the_owners_page_shows_it_finds_the_key(app: Any, signed_in: SignedIn, credential_id: str) -> None:
    async with app.state.database.write() as session:
        await session.execute(text("UPDATE credentials SET fingerprint = '3c9a71e0b5f2aaaaaaaaaaaaaaaaaaaa'"))
    page = await signed_in.client.post("/support", data={"ticket": TICKET, "q": " 3C9A-71E0-B5F2 "})
    assert credential_id in page.text
    assert "3c9a71e0b5f2a" not in page.text.lower()
    for other in ("3C9A-71E0-B5F3", "3C9A71E0B5F2", "%-%-%", "3C9A-71E0-B5F"):
        assert credential_id not in (await signed_in.client.post("/support", data={"ticket": TICKET, "q": other})).text


async def test_who_looked_finds_their_own_look_ups_by_one_click(signed_in: SignedIn, credential_id: str) -> None:
    page = Page(await signed_in.client.post("/support", data={"q": EMAIL, "ticket": TICKET}))
    (link,) = [one for one in page.find(tag="a") if one.text == "My look-ups"]
    mine = Page(await signed_in.client.get(link.attributes["href"]))
    assert [line.text for line in mine.find(tag="th", scope="row") if line.text.startswith("Customer's keys looked up")] != []


async def test_states_without_results(signed_in: SignedIn) -> None:
    assert "Whose key is it?" in (await signed_in.client.get("/support")).text
    short = await signed_in.client.post("/support", data={"ticket": TICKET, "q": "<b>"})
    assert short.status_code == 422
    assert 'aria-invalid="true"' in short.text
    assert "<b>" not in short.text
    nothing = await signed_in.client.post("/support", data={"ticket": TICKET, "q": "nobody@example.org"})
    assert nothing.status_code == 200
    assert "Nothing found" in nothing.text


async def test_a_query_that_is_too_short_or_missing_is_refused_by_the_api(signed_in: SignedIn) -> None:
    for query in ({}, {"q": "a@b"}, {"q": "x" * 300}):
        answer = await signed_in.client.get("/api/v1/support/credentials", params=query)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")


async def test_only_support_and_operators_may_look(
    app: Any, signed_in: SignedIn, client: httpx.AsyncClient, credential_id: str
) -> None:
    for roles, status in (('["trader"]', 403), ('["support"]', 200), ('["operator"]', 200)):
        async with app.state.database.write() as session:
            await session.execute(text("UPDATE users SET roles = :roles"), {"roles": roles})
        assert (await signed_in.client.get("/support")).status_code == status
        assert (await signed_in.client.post("/support", data={"ticket": TICKET, "q": EMAIL})).status_code == status
        assert (await signed_in.client.get("/api/v1/support/credentials", params={"q": EMAIL})).status_code == status


async def test_strangers_are_sent_to_sign_in(client: httpx.AsyncClient) -> None:
    assert (await client.get("/support")).status_code == 303
    assert (await client.get("/api/v1/support/credentials", params={"q": EMAIL})).status_code == 401
