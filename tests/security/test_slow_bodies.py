"""A body that takes its time: whoever sends it is judged by what they may do when its last byte is here, or not at all."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from app.accounts.roles import Role
from app.main import Outside, create_app
from app.sandbox.keys import list_keys
from app.settings import Settings
from app.web.body_cap import BodyCap
from tests.accounts.attackers import browse
from tests.accounts.doors import PASSWORD, Unit, add_person, count_rows, sign_in
from tests.conftest import FakeClock
from tests.live.streams import serve
from tests.web.small_app import make_app

pytestmark = pytest.mark.anyio
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ROGUE = "rogue@example.org"
SHORT = 0.4  # seconds: how long a body may take where a test waits for the end of it
KEY = next(key for key in list_keys() if key.exchange == "hitbtc" and key.stored)
CONNECTING = httpx.Request(
    "POST", "http://x", data={"environment": "sandbox", "plan": KEY.plan, "label": "Slow", **KEY.show_secrets()}
).content
End = Callable[[Any, str, FakeClock], Awaitable[None]]


async def disable(app: Any, user_id: str, clock: FakeClock) -> None:
    async with Unit(app) as accounts:
        await accounts.disable(user_id)


async def end_sessions(app: Any, user_id: str, clock: FakeClock) -> None:
    async with Unit(app) as accounts:
        await accounts.sign_out_everywhere(user_id)


async def change_password(app: Any, user_id: str, clock: FakeClock) -> None:
    async with browse(app, "198.51.100.9") as owner:
        await sign_in(owner, ROGUE)
        form = {"current_password": PASSWORD, "new_password": "quiet orange lantern harbour"}
        assert (await owner.post("/security/password", data=form)).status_code == 303


async def take_roles(app: Any, user_id: str, clock: FakeClock) -> None:
    async with Unit(app) as accounts:
        await accounts.set_roles(user_id, roles=[Role.SUPPORT])


async def let_the_proof_age(app: Any, user_id: str, clock: FakeClock) -> None:
    clock.advance(minutes=6)


async def let_the_session_end(app: Any, user_id: str, clock: FakeClock) -> None:
    clock.advance(hours=3)


ENDS = (disable, end_sessions, change_password, take_roles, let_the_proof_age, let_the_session_end)
DEEDS = [
    ("/people/invitations", b"role=operator&email=", "invitations"),
    # any role may make tokens: taking one away ends nothing here
    ("/security/tokens", b"name=x&scope=credentials%3Amanage&expires_in_days=never", "api_tokens"),
    ("/credentials/connect/hitbtc", CONNECTING, "credentials"),
]


@pytest.mark.parametrize(
    ("deed", "end"), [(deed, end) for deed in DEEDS for end in ENDS if (deed, end) != (DEEDS[1], take_roles)]
)
async def test_what_ended_before_the_last_byte_has_ended(
    app: Any, clock: FakeClock, deed: tuple[str, bytes, str], end: End
) -> None:
    path, content, table = deed
    await add_person(app, "boss@example.org", Role.OPERATOR)
    rogue = await add_person(app, ROGUE, Role.OPERATOR, Role.TRADER)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def drip() -> AsyncIterator[bytes]:
        yield content[:-1]
        begun.set()
        await go_on.wait()
        yield content[-1:]

    async with browse(app) as browser:
        assert (await sign_in(browser, ROGUE)).status_code == 303
        sending = asyncio.create_task(browser.post(path, content=drip(), headers=FORM))
        await begun.wait()
        await end(app, rogue.id, clock)
        go_on.set()
        answer = await sending
    # on to the sign-in page, refused, or asked for a proof: the page of that keeps what may be kept, and nothing is done
    assert answer.status_code in (303, 401, 403), answer.status_code
    assert "token=" not in answer.text
    assert await count_rows(app, table) == 0


async def test_a_body_in_pieces_is_taken_while_nothing_ended(app: Any) -> None:
    """The same deeds, dripped by somebody who may do them: or the test above would prove nothing."""
    await add_person(app, ROGUE, Role.OPERATOR, Role.TRADER)

    async def drip(content: bytes) -> AsyncIterator[bytes]:
        for at in range(0, len(content), 7):
            yield content[at : at + 7]
            await asyncio.sleep(0)

    async with browse(app) as browser:
        await sign_in(browser, ROGUE)
        for path, content, table in DEEDS:
            answer = await browser.post(path, content=drip(content), headers=FORM)
            assert answer.status_code in (200, 303), (path, answer.status_code)
            assert await count_rows(app, table) == 1, path


def make_scope(path: str = "/", **headers: str) -> dict[str, Any]:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {
        "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"", "headers": raw,
        "scheme": "http", "server": ("127.0.0.1", 8000), "client": ("127.0.0.1", 1), "http_version": "1.1", "root_path": "",
        "app": make_app(),
    }  # fmt: skip


class Wire:
    """An app behind the cap that notes what it was given, and the messages of one request."""

    def __init__(self, *messages: dict[str, Any], seconds: float = SHORT, max_bytes: int = 100) -> None:
        self.messages = list(messages)
        self.received: list[Any] = []
        self.sent: list[Any] = []
        self.cap = BodyCap(self.answer, max_bytes=max_bytes, seconds=seconds)

    async def answer(self, scope: Any, receive: Any, send: Any) -> None:
        self.received.append(await receive())
        self.received.append(await receive())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def receive(self) -> Any:
        if not self.messages:
            await asyncio.sleep(60)
        return self.messages.pop(0)

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    async def run(self, path: str = "/api/v1/things", **headers: str) -> int:
        await self.cap(make_scope(path, **headers), self.receive, self.send)
        return int(self.sent[0]["status"])


def piece(body: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


GONE = {"type": "http.disconnect"}


async def test_the_app_gets_the_body_in_one_piece_and_then_the_end_of_the_connection() -> None:
    wire = Wire(piece(b"a", more=True), piece(b"", more=True), piece(b"b", more=False), GONE)
    assert await wire.run() == 200
    assert wire.received == [piece(b"ab", more=False), GONE]


async def test_the_app_hears_nothing_of_a_client_that_left_midway() -> None:
    wire = Wire(piece(b"a", more=True), GONE)
    assert await wire.run() == 408
    assert wire.received == []


@pytest.mark.parametrize("told", [{}, {"content_length": "101"}])
async def test_no_more_than_the_cap_is_kept(told: dict[str, str]) -> None:
    wire = Wire(*(piece(b"a" * 30, more=True) for _ in range(1000)))
    assert await wire.run(**told) == 413
    assert len(wire.messages) == (1000 if told else 996), "the rest is not read"
    assert wire.received == []


@pytest.mark.parametrize("gap_seconds", [0.02, 60])
async def test_a_drip_ends_as_a_stall_does(gap_seconds: float) -> None:
    """The limit is on the whole: a byte now and then buys no time."""
    wire = Wire(max_bytes=10_000)

    async def drip() -> Any:
        await asyncio.sleep(gap_seconds)
        return piece(b"a", more=True)

    loop = asyncio.get_running_loop()
    started = loop.time()
    await wire.cap(make_scope("/api/v1/things"), drip, wire.send)
    assert SHORT <= loop.time() - started < SHORT + 2
    start, body = wire.sent
    assert start["status"] == 408
    assert (b"connection", b"close") in start["headers"]
    assert b'"body_too_slow"' in body["body"]
    assert wire.received == []


async def test_the_limit_is_on_the_body_and_not_on_the_answer() -> None:
    wire = Wire(piece(b"a", more=False), GONE, seconds=0.05)
    inner = wire.cap.app

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.2)
        await inner(scope, receive, send)

    wire.cap.app = slow
    assert await wire.run() == 200


@contextlib.asynccontextmanager
async def run_server(settings: Settings, outside: Outside) -> AsyncIterator[tuple[Any, str]]:
    app = create_app(settings, outside=replace(outside, body_seconds=SHORT))
    async with app.router.lifespan_context(app), serve(app) as origin:
        yield app, origin


@pytest.mark.parametrize("way", ["stalled", "dripping", "chunked"])
async def test_over_a_real_connection_a_slow_body_is_answered_and_others_are_served(
    settings: Settings, outside: Outside, way: str
) -> None:
    async with run_server(settings, outside) as (_, origin):
        port = int(origin.rpartition(":")[2])
        length = "Transfer-Encoding: chunked" if way == "chunked" else "Content-Length: 1000"
        head = f"POST /sign-in HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: {origin}\r\n{length}\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{head}Content-Type: application/x-www-form-urlencoded\r\n\r\n".encode())

        async def drip() -> None:
            while way != "stalled":
                writer.write(b"1\r\na\r\n" if way == "chunked" else b"a")
                await asyncio.sleep(0.05)

        dripping = asyncio.create_task(drip())
        loop = asyncio.get_running_loop()
        started = loop.time()
        async with httpx.AsyncClient(base_url=origin) as other:
            assert (await other.get("/sign-in")).status_code == 200
        answer = await asyncio.wait_for(reader.read(), timeout=10)
        assert loop.time() - started < SHORT + 5
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in answer.partition(b"\r\n\r\n")[0].lower()
    assert b"This took too long to arrive" in answer


async def test_over_a_real_connection_who_leaves_midway_changes_nothing(settings: Settings, outside: Outside) -> None:
    async with run_server(settings, outside) as (app, origin):
        port = int(origin.rpartition(":")[2])
        async with httpx.AsyncClient(base_url=origin, headers={"Origin": origin}) as browser:
            await add_person(app, ROGUE, Role.OPERATOR)
            await sign_in(browser, ROGUE)
            cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in browser.cookies.jar)
            head = f"POST /people/invitations HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: {origin}\r\nCookie: {cookies}\r\n"
            with socket.create_connection(("127.0.0.1", port)) as line:
                line.sendall(f"{head}Content-Length: 20\r\nContent-Type: {FORM['Content-Type']}\r\n\r\nrole=operator".encode())
            await asyncio.sleep(0.2)
            assert (await browser.get("/people")).status_code == 200
        assert await count_rows(app, "invitations") == 0


async def test_an_event_stream_still_ends_with_its_reader(settings: Settings, outside: Outside) -> None:
    """The body of its request is over at once; that the reader left must still be heard, long after the limit."""
    async with run_server(settings, outside) as (app, origin):
        await add_person(app, ROGUE, Role.TRADER)
        async with httpx.AsyncClient(base_url=origin, headers={"Origin": origin}) as browser:
            await sign_in(browser, ROGUE)
            async with browser.stream("GET", "/live", timeout=5) as stream:
                lines = stream.aiter_lines()  # kept by name: one that is dropped closes the stream
                await anext(lines)
                await asyncio.sleep(2 * SHORT)
                assert app.state.live.hub.count == 1, "the limit on bodies ends no stream"
            async with asyncio.timeout(10):
                while app.state.live.hub.count:  # noqa: ASYNC110  # the hub has no event for a seat given back
                    await asyncio.sleep(0.02)
