"""Operators see their ways out, without any password, and hear when an exchange sees another address than they named."""

from typing import Any

from app.credentials.models import Credential, KeyCheck
from app.exchanges.ways import parse_ways
from app.masking import Secret
from app.operations.ways import describe_ways
from app.operations.ways_repository import SeenAddress
from tests.conftest import FakeClock
from tests.operations.rows import add_check, add_credential
from tests.people import SignedIn

WAYS = parse_ways(Secret(text) for text in ("203.0.113.10", "203.0.113.12=http://keydeck:hunter2@proxy:3128"))


def test_keys_and_addresses_are_joined_to_their_ways() -> None:
    surprise = SeenAddress("203.0.113.12", "htx", "198.51.100.7", 2)
    seen = [SeenAddress(None, "htx", "203.0.113.10", 1), surprise]
    overview = describe_ways(WAYS, used={"direct": 3, None: 1, "203.0.113.12": 2, "192.0.2.1": 4}, seen=seen)
    assert [(use.way.name, use.credentials) for use in overview.ways] == [("direct", 4), ("203.0.113.12", 2)]
    assert overview.moving == 4
    assert overview.unexpected == ((WAYS[1], surprise),)
    unnamed = describe_ways(parse_ways([]), used={}, seen=[SeenAddress("direct", "htx", "198.51.100.7", 1)])
    assert len(unnamed.unexpected) == 1


async def test_the_page_names_the_address_and_recovers(app: Any, signed_in: SignedIn, clock: FakeClock) -> None:
    app.state.settings = app.state.settings.model_copy(update={"egress": WAYS})
    async with app.state.database.write() as session:
        ids = [add_credential(session, signed_in.user_id) for _ in range(2)]
        await session.flush()
        for credential_id in ids:
            (await session.get_one(Credential, credential_id)).way = "203.0.113.12"
            await add_check(session, credential_id, code="ip_not_allowed", at=clock())
        await session.flush()
        for credential_id in ids:
            row = await session.get_one(Credential, credential_id)
            (await session.get_one(KeyCheck, row.newest_check_id)).seen_ip = "198.51.100.7"
    page = (await signed_in.client.get("/operations")).text
    assert 'data-unexpected="198.51.100.7"' in page
    assert "should be seen as 203.0.113.12" in page
    assert "through http://proxy:3128" in page
    assert "hunter2" not in page
    async with app.state.database.write() as session:
        for credential_id in ids:
            await add_check(session, credential_id, code="ok", at=clock())
    page = (await signed_in.client.get("/operations")).text
    assert "data-unexpected" not in page
    assert "Ways out" in page
