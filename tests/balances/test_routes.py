"""The balances page and its API, with credentials stored the way a failing or working exchange leaves them."""

import re
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from app.credentials.models import CredentialBalances
from app.credentials.records import write_sheet
from app.exchanges.types import BalanceSheet, MissingAccount
from tests.balances.views import make_balance
from tests.operations.rows import add_check, add_credential
from tests.people import SignedIn


async def store(app: Any, user_id: str, *rows: str, minutes_old: float = 1, failure: str | None = None) -> str:
    """Store a credential with balances of a given age, written as `account asset available held`."""
    now = app.state.clock()
    document = write_sheet(BalanceSheet(tuple(make_balance(row) for row in rows)))
    async with app.state.database.write() as session:
        credential_id = add_credential(session, user_id, kid=app.state.vault.active_kid)
        await session.flush()
        await add_check(session, credential_id, code="ok", at=now)
        known = {"fetched_at": now - timedelta(minutes=minutes_old), "document": document} if rows else {}
        failed = {"failed_at": now, "failure_code": failure} if failure else {}
        session.add(CredentialBalances(credential_id=credential_id, **known, **failed))
    return credential_id


async def test_the_empty_page_leads_into_connecting(signed_in: SignedIn) -> None:
    page = (await signed_in.client.get("/balances")).text
    assert "No key is connected yet" in page
    assert 'href="/credentials/connect"' in page


async def test_the_page_shows_amounts_coverage_and_what_is_not_counted(app: Any, signed_in: SignedIn) -> None:
    await store(app, signed_in.user_id, "spot BTC 0.5 0.25", "otc BTC 1 0", minutes_old=12)
    lost = await store(app, signed_in.user_id, failure="maintenance")
    page = (await signed_in.client.get("/balances")).text
    plain = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    assert "1 of 2 credentials, oldest 12 min ago" in plain
    assert "Not counted" in plain
    assert f'href="/credentials/{lost}"' in page
    assert 'data-asset-row="BTC"' in page
    assert "1.75" in plain
    assert "$" not in plain


async def test_finding_an_asset_keeps_the_rest_out_of_the_list(app: Any, signed_in: SignedIn) -> None:
    await store(app, signed_in.user_id, "spot BTC 1 0", "spot ETH 1 0")
    page = (await signed_in.client.get("/balances", params={"q": "eth"})).text
    assert 'data-asset-row="ETH"' in page
    assert 'data-asset-row="BTC"' not in page
    nothing = (await signed_in.client.get("/balances", params={"q": '<script>"'})).text
    assert "&lt;script&gt;" in nothing
    assert "<script>" not in nothing


async def test_the_api_gives_the_same_with_coverage(app: Any, signed_in: SignedIn) -> None:
    await store(app, signed_in.user_id, "spot BTC 0.5 0.25", minutes_old=20)
    body = (await signed_in.client.get("/api/v1/balances", params={"currency": "BTC"})).json()
    assert (body["currency"], body["value"], body["value_reason"]) == ("BTC", None, "no valuation yet")
    assert body["assets"][0]["total"] == "0.75"
    assert (body["coverage"]["counted"], body["coverage"]["stale"], body["coverage"]["oldest_seconds"]) == (1, 1, 1200)


@pytest.mark.parametrize("currency", ["DOGE", "usd", "", "USD,EUR", "<b>"])
async def test_an_unknown_currency_is_refused(signed_in: SignedIn, currency: str) -> None:
    answer = await signed_in.client.get("/api/v1/balances", params={"currency": currency})
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_input"
    assert "<b>" not in answer.text


async def test_strangers_see_nothing(client: httpx.AsyncClient) -> None:
    assert (await client.get("/balances")).status_code == 303
    assert (await client.get("/api/v1/balances")).status_code == 401


async def test_an_account_that_was_not_read_is_never_said_to_be_empty(app: Any, signed_in: SignedIn) -> None:
    credential_id = await store(app, signed_in.user_id, "spot BTC 1 0")
    sheet = write_sheet(BalanceSheet((), missing=(MissingAccount("wallet", "permission_missing"),)))
    async with app.state.database.write() as session:
        await session.execute(update(CredentialBalances).values(document=sheet))
    for path in ("/balances", "/credentials", f"/credentials/{credential_id}", f"/credentials/{credential_id}?connected=1"):
        page = re.sub(r"<[^>]+>", " ", (await signed_in.client.get(path)).text)
        assert "wallet" in page, path
        assert not re.search(r"(It|account) holds nothing|credentials hold nothing|Holds nothing|Assets\s+0\b", page), path
