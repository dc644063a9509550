"""The outgoing client against real bytes on loopback: exactly what was signed leaves, and nothing hostile gets in."""

import asyncio
import gzip
import logging
import time
from collections.abc import Callable

import httpx
import pytest

from app.exchanges.errors import ExchangeError, OurFault, OutOfService, UndeclaredCall, Unreachable
from app.exchanges.http import ExchangeHttp, OutgoingRequest, Reply
from app.exchanges.types import Permission
from tests.exchanges.servers import RawServer, run_server, say
from tests.exchanges.stage import KINDS, SLUGS, load_fixture, make_adapter
from tests.exchanges.test_contract import list_texts

CANARY = "c4n4ry-s1gn4tur3"


async def send(server: RawServer, target: str = "/", *, method: str = "GET", content: bytes = b"", **options: float) -> Reply:
    async with ExchangeHttp(origins=frozenset({server.origin}), **options) as http:  # type: ignore[arg-type]  # test options
        return await http.send(OutgoingRequest(method, server.origin + target, {"X-Key": "k"}, content), call="GET /")


async def catch(server: RawServer, target: str = "/", **options: float) -> ExchangeError:
    with pytest.raises(ExchangeError) as caught:
        await send(server, target, **options)
    return caught.value


@pytest.mark.parametrize(
    "target",
    [
        "/v1/x?Timestamp=2026-03-01T08%3A09%3A10&states=filled%2Cpartial&Signature=4Ks0%2FQn5%2B%3D",
        "/a%2Fb/c?note=cold%20wallet&z=~-_.",
        "/p?x=%E5%B8%81",
        "/bare",
    ],
)
async def test_urls_leave_byte_for_byte(target: str) -> None:
    async with run_server(say(b"{}")) as server:
        await send(server, target)
    assert server.lines == [f"GET {target} HTTP/1.1"]


@pytest.mark.parametrize("target", ["/a b", "/q?x=é", '/q?x="', "/a/../b", "/a\r\nX-Evil: 1"])
async def test_a_url_that_would_be_rewritten_is_not_sent(target: str) -> None:
    async with run_server(say(b"{}")) as server:
        assert isinstance(await catch(server, target), UndeclaredCall)
    assert server.requests == []


async def test_headers_are_ours_and_gets_have_no_body() -> None:
    async with run_server(say(b"{}")) as server:
        await send(server)
        await send(server, method="DELETE")
        await send(server, method="POST", content=b'{"a":1}')
    assert not {"content-length", "transfer-encoding", "content-type"} & set(server.headers(0))
    assert server.headers(1).get("content-length", "0") == "0"
    assert server.requests[1].endswith(b"\r\n\r\n")
    assert server.headers(0)["accept-encoding"] == "identity"
    assert server.headers(0)["user-agent"].startswith("Mozilla/5.0")
    assert server.headers(0)["host"] == f"127.0.0.1:{server.port}"
    assert server.headers(2)["content-length"] == "7"
    assert server.requests[2].endswith(b'\r\n\r\n{"a":1}')


async def test_header_values_cannot_break_out() -> None:
    async with run_server(say(b"{}")) as server, ExchangeHttp(origins=frozenset({server.origin})) as http:
        for value in ("a\r\nX-Evil: 1", "a\nb", "ключ", "a\x00b"):
            with pytest.raises(UndeclaredCall):
                await http.send(OutgoingRequest("GET", server.origin + "/", {"X-Key": value}), call="c")
    assert server.requests == []


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
async def test_redirects_are_not_followed(status: str) -> None:
    async with (
        run_server(say(b"no")) as other,
        run_server(say(b"", status=status, headers=(f"Location: {other.origin}/x",))) as server,
    ):
        reply = await send(server)
    assert reply.status == int(status[:3])
    assert other.requests == []
    assert len(server.requests) == 1


async def test_cookies_are_not_kept() -> None:
    async with (
        run_server(say(b"{}", headers=("Set-Cookie: sid=1; Path=/",))) as server,
        ExchangeHttp(origins=frozenset({server.origin})) as http,
    ):
        for _ in range(2):
            await http.send(OutgoingRequest("GET", f"{server.origin}/"), call="c")
    assert len(server.requests) == 2
    assert "cookie" not in server.headers()


async def test_an_answer_above_the_byte_cap_is_refused() -> None:
    async with run_server(say(b"x" * 5000)) as server:
        assert (await send(server, byte_cap=5000)).content == b"x" * 5000
        assert isinstance(await catch(server, byte_cap=4999), OutOfService)


async def test_an_endless_answer_is_cut() -> None:
    async def flood(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x" * 65536)
            await writer.drain()

    async with run_server(flood) as server:
        assert isinstance(await catch(server, byte_cap=200_000), OutOfService)


async def test_a_slow_drip_meets_the_total_deadline() -> None:
    """Each byte comes in time for a read timeout; only a deadline over the whole call ends it."""

    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with run_server(drip) as server:
        started = time.monotonic()
        assert isinstance(await catch(server, deadline_seconds=0.2), Unreachable)
        assert time.monotonic() - started < 2


async def test_silence_and_early_ends_are_unreachable() -> None:
    async def stay_silent(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(1)

    async def stop_half_way(writer: asyncio.StreamWriter) -> None:
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"a')
        await writer.drain()

    async def speak_nonsense(writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x16\x03\x01 hello\r\n\r\n")
        await writer.drain()

    for answer in (stay_silent, stop_half_way, speak_nonsense):
        async with run_server(answer) as server:
            assert isinstance(await catch(server, deadline_seconds=0.2), Unreachable)


async def test_a_closed_port_is_unreachable() -> None:
    async with run_server(say(b"")) as server:
        pass
    assert isinstance(await catch(server), Unreachable)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity, gzip"])
async def test_a_compressed_answer_is_refused(encoding: str) -> None:
    async with run_server(say(gzip.compress(b"{}" * 100_000), headers=(f"Content-Encoding: {encoding}",))) as server:
        assert isinstance(await catch(server), OutOfService)


async def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    async with run_server(say(b"proxied")) as proxy, run_server(say(b"direct")) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy.origin)
        monkeypatch.setenv("NO_PROXY", "")
        assert (await send(server)).content == b"direct"
    assert proxy.requests == []


@pytest.mark.parametrize(
    "change",
    [
        lambda origin: origin.replace("127.0.0.1", "localhost"),
        lambda origin: origin[:-1],
        lambda origin: f"{origin}1",
        lambda origin: f"{origin}@example.org",
        lambda origin: origin.replace("//", "//user@"),
        lambda origin: origin.replace("http:", "https:"),
        lambda _: "https://example.org",
        lambda _: "file:///etc",
        lambda _: "",
    ],
)
async def test_unknown_origins_are_refused_unsent(change: Callable[[str], str]) -> None:
    async with run_server(say(b"{}")) as server, ExchangeHttp(origins=frozenset({server.origin})) as http:
        with pytest.raises(UndeclaredCall):
            await http.send(OutgoingRequest("GET", f"{change(server.origin)}/x"), call="c")
    assert server.requests == []


async def test_plain_http_is_for_loopback_and_in_process_routes_only() -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.host)
        return httpx.Response(200, content=b"{}")

    def refuse(request: httpx.Request) -> httpx.Response:
        raise AssertionError("the default transport was asked")

    origins = frozenset({"http://inside.internal", "http://outside.example"})
    http = ExchangeHttp(
        origins=origins, transport=httpx.MockTransport(refuse), routes={"http://inside.internal": httpx.MockTransport(answer)}
    )
    async with http:
        assert (await http.send(OutgoingRequest("GET", "http://inside.internal/x"), call="c")).status == 200
        with pytest.raises(UndeclaredCall):
            await http.send(OutgoingRequest("GET", "http://outside.example/x"), call="c")
    assert seen == ["inside.internal"]


async def test_an_app_in_process_meets_the_deadline_too() -> None:
    async def app(scope: object, receive: object, send: object) -> None:
        await asyncio.sleep(5)

    origin = "http://inside.internal"
    async with ExchangeHttp(
        origins=frozenset({origin}), routes={origin: httpx.ASGITransport(app)}, deadline_seconds=0.05
    ) as http:  # type: ignore[arg-type]  # a bare app
        with pytest.raises(Unreachable):
            await http.send(OutgoingRequest("GET", f"{origin}/x"), call="c")


async def test_urls_reach_no_log_and_no_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    target = f"/v1/x?Signature={CANARY}"
    texts: list[str] = []
    async with run_server(say(b"{}")) as server:
        reply = await send(server, target)
        texts += [repr(reply), repr(OutgoingRequest("GET", server.origin + target))]
        for options in ({"byte_cap": 1}, {"deadline_seconds": 0}):
            texts += list_texts(await catch(server, target, **options))
    texts += list_texts(await catch(server, target))
    texts += list_texts(await catch(server, f"/é?{CANARY}"))
    texts += [record.getMessage() for record in caplog.records]
    assert not [text for text in texts if CANARY in text]


@pytest.mark.parametrize("slug", SLUGS)
async def test_signed_calls_arrive_as_signed(slug: str) -> None:
    """The whole way: an adapter with a path prefix, the default transport, a real socket; the target is what was signed."""
    fixture = load_fixture(slug)
    call = next(call for call in KINDS[slug].calls if not call.public and call.needs is Permission.READ)
    async with run_server(say(b"{}")) as server:
        adapter = make_adapter(
            KINDS[slug], fixture, httpx.MockTransport(lambda _: httpx.Response(200)), base_url=f"{server.origin}/{slug}"
        )
        request = adapter.sign(adapter._build(call, query=[("list", "a,b:c d")], path={}, body=None))
        async with ExchangeHttp(origins=frozenset({server.origin})) as http:
            await http.send(request, call=call.label)
    target = request.url.removeprefix(server.origin)
    assert server.lines == [f"{call.method} {target} HTTP/1.1"]
    assert f"/{slug}{call.path}?" in target
    assert "list=a%2Cb%3Ac%20d" in target
    for name, value in request.headers.items():
        assert server.headers()[name.lower()] == value
    assert adapter.split_signed(request)[0] == server.headers()["host"]


async def test_nothing_is_sent_once_the_time_is_over() -> None:
    """A process that stood still for minutes must not go on with a key that others use by now."""
    async with run_server(say(b"{}")) as server, ExchangeHttp(origins=frozenset({server.origin})) as http:
        with pytest.raises(OurFault):
            await http.send(OutgoingRequest("GET", server.origin + "/"), call="GET /", within_seconds=-1.0)
        assert server.requests == []
        assert (await http.send(OutgoingRequest("GET", server.origin + "/"), call="GET /")).status == 200
