"""Machines learn whether the server works and nothing else; operators see counts; nobody else sees either."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app.credentials.models import Credential
from app.masking import Secret
from tests.operations.rows import add_check, add_credential
from tests.people import SignedIn

TOKEN = "cAnArYm3tr1csT0ken"


@pytest.fixture
def with_token(app: Any) -> str:
    app.state.settings = app.state.settings.model_copy(update={"metrics_token": Secret(TOKEN)})
    return TOKEN


async def test_liveness_needs_nothing(app: Any, client: httpx.AsyncClient) -> None:
    await app.state.database.aclose()
    answer = await client.get("/livez")
    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})


async def test_readiness_names_its_parts(client: httpx.AsyncClient) -> None:
    answer = await client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ready", "parts": {"database": "ready", "migrations": "ready", "vault": "ready"}}


async def test_readiness_says_which_part_is_not_ready(app: Any, client: httpx.AsyncClient) -> None:
    async with app.state.database.write() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["parts"] == {"database": "ready", "migrations": "not_ready", "vault": "ready"}
    assert "0000" not in answer.text


async def test_probes_need_no_known_host_name(client: httpx.AsyncClient) -> None:
    for path in ("/livez", "/readyz"):
        assert (await client.get(path, headers={"Host": "10.1.2.3:8000"})).status_code == 200


async def test_metrics_are_for_direct_callers_on_this_machine(client: httpx.AsyncClient) -> None:
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "keydeck_build_info" in answer.text


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
async def test_metrics_are_not_for_what_a_proxy_on_this_machine_passes_on(client: httpx.AsyncClient, header: str) -> None:
    assert (await client.get("/metrics", headers={header: "127.0.0.1"})).status_code == 403


@pytest.mark.parametrize("peer", ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1", "not-an-address"])
async def test_metrics_are_not_for_other_machines(app: Any, peer: str) -> None:
    transport = httpx.ASGITransport(app=app, client=(peer, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as stranger:
        assert (await stranger.get("/metrics")).status_code == 403


@pytest.mark.parametrize(
    "given", [None, "", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}"]
)
async def test_a_wrong_metrics_token_is_refused_even_on_this_machine(
    client: httpx.AsyncClient, with_token: str, given: str | None
) -> None:
    answer = await client.get("/metrics", headers={} if given is None else {"Authorization": given})
    assert answer.status_code == 401
    assert "keydeck_build_info" not in answer.text


async def test_the_metrics_token_opens_them_from_anywhere(app: Any, with_token: str) -> None:
    transport = httpx.ASGITransport(app=app, client=("192.0.2.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as reader:
        answer = await reader.get("/metrics", headers={"Authorization": f"Bearer {with_token}", "X-Forwarded-For": "192.0.2.1"})
    assert answer.status_code == 200
    assert TOKEN not in answer.text


async def test_requests_are_counted_by_route_template(client: httpx.AsyncClient) -> None:
    await client.get("/livez?secret=1")
    await client.get("/no-such-page/cAnArY")
    text_ = (await client.get("/metrics")).text
    assert 'keydeck_requests_total{method="GET",route="/livez",status="2xx"} 1.0' in text_
    assert 'route="unmatched"' in text_
    assert "cAnArY" not in text_


async def test_strangers_are_sent_to_sign_in(client: httpx.AsyncClient) -> None:
    answer = await client.get("/operations")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in")


async def test_the_operations_page_shows_exchanges_readiness_and_the_key_ring(app: Any, signed_in: SignedIn) -> None:
    active = app.state.vault.active_kid
    async with app.state.database.write() as session:
        credential_id = add_credential(session, signed_in.user_id, kid=active)
        await session.flush()
        await add_check(session, credential_id, code="unreachable", at=app.state.clock())
    answer = await signed_in.client.get("/operations")
    assert answer.status_code == 200
    for exchange in app.state.exchanges.list_all():
        assert f'data-exchange-row="{exchange.slug}"' in answer.text
    (line,) = app.state.vault.list_keys()
    assert line.check in answer.text
    assert "Not answering" in answer.text
    assert answer.text.count('data-part="') == 3
    assert credential_id not in answer.text


async def test_the_operations_page_is_for_operators(app: Any, signed_in: SignedIn) -> None:
    async with app.state.database.write() as session:
        await session.execute(text('UPDATE users SET roles = \'["trader", "support"]\''))
    assert (await signed_in.client.get("/operations")).status_code == 403


async def test_the_operations_page_says_who_checks_and_when_checks_are_late(app: Any, signed_in: SignedIn) -> None:
    alone = (await signed_in.client.get("/operations")).text
    assert "No worker runs in this server" in alone
    assert "No check is due" in alone
    app.state.worker = object()
    async with app.state.database.write() as session:
        credential_id = add_credential(session, signed_in.user_id)
        await session.flush()
        (await session.get_one(Credential, credential_id)).next_check_at = app.state.clock() - timedelta(minutes=4)
    busy = (await signed_in.client.get("/operations")).text
    assert "A worker runs in this server" in busy
    assert "1 check is due or under way" in busy
    assert "Checks are late" not in busy
    app.state.clock.advance(minutes=2)
    assert "Checks are late" in (await signed_in.client.get("/operations")).text
