"""The stream of an open page: what it hears, what it misses and hears later, and when it ends."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import bindparam, text

from app.db import UtcDateTime
from app.live.changes import Change, ChangeKind, note_changes
from app.live.hub import MOST_PER_USER
from app.live.listening import KEPT_FOR
from app.live.stream import RENEWED_EVERY, parse_moment, write_moment
from tests.conftest import FakeClock
from tests.live.streams import open_stream, serve
from tests.pages import open_page
from tests.people import SignedIn


@pytest.fixture
async def origin(app: Any) -> AsyncIterator[str]:
    async with serve(app) as address:
        yield address


async def connect_key(app: Any, client: httpx.AsyncClient, *, scenario: str = "read-only") -> str:
    """Connect a sandbox key as the form does; return the credential's id."""
    key = next(key for key in app.state.sandbox_keys if (key.exchange, key.scenario) == ("hitbtc", scenario))
    form = {"environment": "sandbox", "plan": key.plan, "label": "Grid bot", **key.show_secrets()}
    answer = await client.post("/credentials/connect/hitbtc", data=form)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"].split("/")[2].split("?")[0]


async def note(app: Any, change: Change) -> None:
    async with app.state.database.write() as session:
        await note_changes(session, [change], at=app.state.clock())


async def test_every_verb_is_heard_by_its_own_person_and_nobody_else(app: Any, origin: str, signed_in: SignedIn) -> None:
    client = signed_in.client
    async with open_stream(origin, client.cookies) as stream:
        assert (await stream.next_of("beat")).data["at"]
        await note(app, Change("usr_somebody_else", "crd_other", ChangeKind.CHECKED))
        credential_id = await connect_key(app, client)
        assert (await stream.next_of("change")).data == {"credential": credential_id, "kind": "checked"}
        await client.post(f"/credentials/{credential_id}/pause")
        assert (await stream.next_of("change")).data == {"credential": credential_id, "kind": "changed"}
        await client.post(f"/credentials/{credential_id}/check")
        assert (await stream.next_of("change")).data["kind"] in ("checking", "checked")
        await client.post(f"/credentials/{credential_id}/disconnect")
        while (event := await stream.next_of("change")).data["kind"] != "gone":
            assert event.data["credential"] == credential_id
        assert app.state.database.engine.pool.checkedout() == 0  # a waiting stream holds no connection


async def test_a_page_that_comes_back_hears_what_it_missed(app: Any, origin: str, signed_in: SignedIn, clock: FakeClock) -> None:
    async with open_stream(origin, signed_in.client.cookies) as stream:
        last_id = (await stream.next_of("beat")).id
    clock.advance(minutes=5)
    await note(app, Change(signed_in.user_id, "crd_1", ChangeKind.CHECKED))
    clock.advance(minutes=2)
    async with open_stream(origin, signed_in.client.cookies, last_event_id=last_id) as stream:
        assert (await stream.read()).data == {"credential": "crd_1", "kind": "checked"}
        assert (await stream.read()).name == "reset", "away over the time at which everything is looked at again"
    async with open_stream(origin, signed_in.client.cookies, after=last_id) as stream:  # as a page that was just loaded
        assert (await stream.read()).data == {"credential": "crd_1", "kind": "checked"}
        assert [(await stream.read()).name, (await stream.read()).name] == ["reset", "beat"]
    async with open_stream(origin, signed_in.client.cookies) as stream:
        assert (await stream.read()).name == "beat"


async def test_a_change_that_was_committed_late_is_not_missed(
    app: Any, origin: str, signed_in: SignedIn, clock: FakeClock
) -> None:
    noted_at = clock()
    clock.advance(seconds=70)
    async with open_stream(origin, signed_in.client.cookies) as stream:
        await stream.next_of("beat")
        async with app.state.database.write() as session:
            await note_changes(session, [Change(signed_in.user_id, "crd_late", ChangeKind.CHECKED)], at=noted_at)
        assert (await stream.next_of("change")).data["credential"] == "crd_late"
        await note(app, Change(signed_in.user_id, "crd_next", ChangeKind.CHECKED))
        assert (await stream.next_of("change")).data["credential"] == "crd_next"  # and nothing is told twice


async def test_a_change_whose_clock_was_far_off_is_made_good_within_minutes(
    app: Any, origin: str, signed_in: SignedIn, clock: FakeClock
) -> None:
    noted_at = clock() - timedelta(minutes=4)
    async with open_stream(origin, signed_in.client.cookies) as stream:
        await stream.next_of("beat")
        async with app.state.database.write() as session:
            await note_changes(session, [Change(signed_in.user_id, "crd_far_off", ChangeKind.CHECKED)], at=noted_at)
        told = []
        for _ in range(10):  # no clock of a test runs by itself
            clock.advance(seconds=RENEWED_EVERY.total_seconds() / 10)
            app.state.live.hub.wake()
            while (event := await stream.next_of("beat", "change", "reset")).name != "beat":
                told.append(event.name)
    assert told == ["reset"]


async def test_who_was_away_too_long_is_told_to_look_at_everything(origin: str, signed_in: SignedIn, clock: FakeClock) -> None:
    old = write_moment(clock())
    clock.advance(seconds=KEPT_FOR.total_seconds())
    async with open_stream(origin, signed_in.client.cookies, last_event_id=old) as stream:
        assert [(await stream.read()).name, (await stream.read()).name] == ["reset", "beat"]


@pytest.mark.parametrize(
    "ending",
    [
        "UPDATE user_sessions SET revoked_at = :now",
        "UPDATE users SET disabled_at = :now",
        "UPDATE user_sessions SET expires_at = :now",
    ],
)
async def test_a_stream_ends_with_the_session(app: Any, origin: str, signed_in: SignedIn, clock: FakeClock, ending: str) -> None:
    async with open_stream(origin, signed_in.client.cookies) as stream:
        await stream.next_of("beat")
        async with app.state.database.write() as session:
            await session.execute(text(ending).bindparams(bindparam("now", clock(), UtcDateTime)))
        await note(app, Change(signed_in.user_id, "crd_after", ChangeKind.CHECKED))
        assert [event.name for event in await stream.read_to_end()] == ["ended"]


async def test_looking_on_is_no_activity(app: Any, origin: str, signed_in: SignedIn, clock: FakeClock) -> None:
    client = signed_in.client
    credential_id = await connect_key(app, client)
    parts = (f"/credentials/live?id={credential_id}", f"/credentials/{credential_id}/live")
    for _ in range(11):
        clock.advance(minutes=5)
        assert [(await client.get(path)).status_code for path in parts] == [200, 200]
    async with open_stream(origin, client.cookies) as stream:
        await stream.next_of("beat")
        clock.advance(minutes=6)  # an hour since the person did anything
        app.state.live.hub.wake()
        assert [event.name for event in await stream.read_to_end()] == ["ended"]
    assert [(await client.get(path)).status_code for path in (*parts, "/credentials")] == [303, 303, 303]


async def test_streams_are_bounded_and_a_closed_one_makes_room(app: Any, origin: str, signed_in: SignedIn) -> None:
    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(open_stream(origin, signed_in.client.cookies)) for _ in range(MOST_PER_USER)]
        for stream in streams:
            await stream.next_of("beat")
        refused = await signed_in.client.get("/live")
        assert refused.status_code == 429
    while app.state.live.hub.count:  # noqa: ASYNC110  # the server takes a moment to notice
        await asyncio.sleep(0.01)
    async with open_stream(origin, signed_in.client.cookies) as stream:
        await stream.next_of("beat")


async def test_a_stopping_server_ends_its_streams_at_once(app: Any, origin: str, signed_in: SignedIn) -> None:
    async with open_stream(origin, signed_in.client.cookies) as stream:
        await stream.next_of("beat")
        app.state.live.stop()
        assert await stream.read_to_end() == []
    assert app.state.live.hub.count == 0


async def test_strangers_get_no_stream(client: httpx.AsyncClient, app: Any) -> None:
    assert (await client.get("/live")).headers["location"].startswith("/sign-in")
    assert (await client.get("/credentials/live?id=x")).status_code == 303
    assert app.state.live.hub.count == 0


async def test_the_same_page_again_holds_the_changed_rows_only(
    app: Any, signed_in: SignedIn, make_client: Callable[[], httpx.AsyncClient]
) -> None:
    first = await connect_key(app, signed_in.client)
    second = await connect_key(app, signed_in.client, scenario="large")
    page = await open_page(signed_in.client, f"/credentials/live?id={second}&id=crd_unknown")
    assert [row.attributes["data-live-row"] for row in page.find(tag="li", data_live_row="*")] == [second]
    assert "of 2 keys" in page.find(data_live="summary")[0].text
    assert len(page.find(data_live="navigation", hidden=True)) == len(page.find(data_live="bell", hidden=True)) == 1
    detail = await open_page(signed_in.client, f"/credentials/{first}/live")
    assert {part.attributes["data-live"] for part in detail.find(data_live="*")} >= {"summary", "history", "balances"}


def test_a_moment_is_read_from_an_id_and_never_from_nonsense(clock: FakeClock) -> None:
    now = clock()
    assert parse_moment(write_moment(now - timedelta(seconds=1)), now=now) == now - timedelta(seconds=1)
    for nonsense in (None, "", "x", "-1", "9" * 30, "٣", write_moment(now + timedelta(days=1))):
        assert parse_moment(nonsense, now=now) == now
