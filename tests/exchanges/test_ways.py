"""Ways out: what an operator may write, real local addresses, and real proxies that see a CONNECT and nothing else."""

import asyncio
import base64
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from app.exchanges.errors import NoWayOut, Unreachable
from app.exchanges.http import ExchangeHttp, OutgoingRequest, Reply
from app.exchanges.transport import DirectTransport, make_tls
from app.exchanges.ways import DIRECT, Proxy, WayOut, find_way, list_addresses, parse_ways
from app.masking import Secret
from tests.exchanges.hostile.certificates import make_authority, make_server_tls
from tests.exchanges.hostile.test_tls import run_tls_server
from tests.exchanges.servers import run_server, say

PASSWORD = "pass,word=with:odd@letters"


def parse(*entries: str) -> tuple[WayOut, ...]:
    return parse_ways(Secret(entry) for entry in entries)


def test_addresses_alone_are_one_direct_way_as_ever() -> None:
    assert parse("203.0.113.10", "2001:db8::10") == (WayOut(DIRECT, ("203.0.113.10", "2001:db8::10")),)
    assert parse() == (WayOut(),)
    assert parse("keydeck.example.org")[0].addresses == ("keydeck.example.org",)


def test_bound_addresses_and_proxies_are_ways_of_their_own() -> None:
    ways = parse("203.0.113.11=10.0.0.11", "203.0.113.10", "203.0.113.12 + 2001:db8::12=http://user:p%40ss@proxy:3128/")
    assert [way.name for way in ways] == [DIRECT, "203.0.113.11", "203.0.113.12"]
    assert ways[1] == WayOut("203.0.113.11", ("203.0.113.11",), local_address="10.0.0.11")
    assert ways[2].addresses == ("203.0.113.12", "2001:db8::12")
    assert ways[2].proxy == Proxy("http://proxy:3128", Secret("user"), Secret("p@ss"))
    assert list_addresses(ways) == ("203.0.113.10", "203.0.113.11", "203.0.113.12", "2001:db8::12")
    assert find_way(ways, "203.0.113.11") is ways[1]
    assert find_way(ways, "203.0.113.99") is None
    assert [way.words for way in ways] == ["direct", "from 10.0.0.11", "through http://proxy:3128"]
    assert parse("203.0.113.11=https://[2001:db8::5]:3128")[0].proxy == Proxy("https://[2001:db8::5]:3128")
    assert len(parse("203.0.113.11=10.0.0.11")) == 1, "no direct way that nobody asked for"
    assert "p@ss" not in repr(ways)
    assert "user" not in repr(ways)


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "=10.0.0.1",
        "203.0.113.10 +",
        "host.example.org=10.0.0.1",
        "203.0.113.10=eth0",
        "203.0.113.10=",
        "203.0.113.10=socks5://u:hunter2@proxy:1080",
        "203.0.113.10=http://u:hunter2@proxy",
        "203.0.113.10=http://u:hunter2@proxy:port",
        "203.0.113.10=http://u:hunter2@:3128",
        "203.0.113.10=http://u:hunter2@proxy:3128/path",
        "203.0.113.10=http://u:hunter2@proxy:3128?x=1",
        "203.0.113.10=http://u:hunter2@[proxy:3128",
    ],
)
def test_what_cannot_be_used_is_refused_without_its_words(entry: str) -> None:
    with pytest.raises(ValueError, match="must be") as refused:
        parse(entry)
    assert "hunter2" not in str(refused.value)


def test_two_entries_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="the same address"):
        parse("203.0.113.10=10.0.0.1", "203.0.113.10=10.0.0.2")


async def ask(origin: str, way: WayOut, *, tls: ssl.SSLContext | None = None, seconds: float = 5) -> Reply:
    async with ExchangeHttp(
        origins=frozenset({origin}), transport=DirectTransport(tls=tls, way=way), way=way.name, deadline_seconds=seconds
    ) as http:
        request = OutgoingRequest("GET", f"{origin}/api?signature=abc", {"X-Key": "the-key"})
        return await http.send(request, call="GET /api")


async def test_calls_leave_from_the_local_address_that_is_named() -> None:
    peers: list[str] = []

    async def answer(writer: asyncio.StreamWriter) -> None:
        peers.append(writer.get_extra_info("peername")[0])
        await say(b"{}")(writer)

    async with run_server(answer) as server:
        for way in (WayOut(), *parse("203.0.113.11=127.0.0.2", "203.0.113.12=127.0.0.3")):
            assert (await ask(server.origin, way)).status == 200
    assert peers == ["127.0.0.1", "127.0.0.2", "127.0.0.3"]


async def test_a_local_address_that_is_not_here_is_the_operators_to_mend() -> None:
    async with run_server(say(b"{}")) as server:
        with pytest.raises(NoWayOut) as broken:
            await ask(server.origin, WayOut("203.0.113.11", ("203.0.113.11",), local_address="192.0.2.1"))
    assert broken.value.who_acts == "operator"
    assert server.requests == []


@dataclass
class ConnectProxy:
    """A proxy that carries CONNECT, and keeps what it was shown."""

    port: int = 0
    heads: list[str] = field(default_factory=list)
    carried: bytearray = field(default_factory=bytearray)


@asynccontextmanager
async def run_proxy(*, refusal: str = "", tls: ssl.SSLContext | None = None) -> AsyncIterator[ConnectProxy]:
    proxy = ConnectProxy()
    tasks: set[asyncio.Task[None]] = set()
    writers: list[asyncio.StreamWriter] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(65536):
            proxy.carried.extend(chunk)
            writer.write(chunk)
            await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        proxy.heads.append(head)
        if refusal or not head.startswith("CONNECT "):
            writer.write(f"HTTP/1.1 {refusal or '405 No'}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            writer.close()
            return
        host, _, port = head.split(" ")[1].rpartition(":")
        inner_reader, inner_writer = await asyncio.open_connection(host, int(port))
        writers.append(inner_writer)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        for pair in ((reader, inner_writer), (inner_reader, writer)):
            tasks.add(asyncio.create_task(pump(*pair)))

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    proxy.port = listening.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in writers:
            writer.transport.abort()
        await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)


def make_way(proxy: ConnectProxy, *, scheme: str = "http") -> WayOut:
    user = Secret("keydeck")
    return WayOut("203.0.113.12", ("203.0.113.12",), proxy=Proxy(f"{scheme}://127.0.0.1:{proxy.port}", user, Secret(PASSWORD)))


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_sees_the_host_and_its_own_password_and_nothing_else(
    scheme: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    authority = make_authority()
    trusted = make_tls(authorities=authority.write(tmp_path / "ca.pem"))
    server_tls = make_server_tls(tmp_path, authority=authority)
    async with run_tls_server(server_tls) as server, run_proxy(tls=server_tls if scheme == "https" else None) as proxy:
        assert (await ask(server.origin, make_way(proxy, scheme=scheme), tls=trusted)).content == b"[]"
    (head,) = proxy.heads
    assert head.split("\r\n")[0] == f"CONNECT {server.origin.removeprefix('https://')} HTTP/1.1"
    expected = base64.b64encode(f"keydeck:{PASSWORD}".encode()).decode()
    assert f"Proxy-Authorization: Basic {expected}" in head
    for word in ("the-key", "signature", "/api"):
        assert word not in head
        assert word.encode() not in proxy.carried
    assert b"the-key" in server.heard
    assert b"roxy-" not in server.heard, "the proxy's password is the proxy's alone"
    assert not [record for record in caplog.records if PASSWORD in record.getMessage() or expected in record.getMessage()]


async def test_tls_is_verified_through_a_proxy(tmp_path: Path) -> None:
    """A proxy that leads elsewhere is a server that cannot prove who it is."""
    async with run_tls_server(make_server_tls(tmp_path, authority=make_authority())) as server, run_proxy() as proxy:
        with pytest.raises(Unreachable):
            await ask(server.origin, make_way(proxy), tls=make_tls())
    assert server.heard == b""


async def test_plain_http_never_goes_through_a_proxy() -> None:
    async with run_server(say(b"{}")) as server, run_proxy() as proxy:
        with pytest.raises(NoWayOut):
            await ask(server.origin, make_way(proxy))
    assert (server.requests, proxy.heads) == ([], [])


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        ("407 Proxy Authentication Required", NoWayOut),
        ("403 Forbidden", NoWayOut),
        ("502 Bad Gateway", Unreachable),
        ("504 Gateway Timeout", Unreachable),
    ],
)
async def test_whose_fault_a_proxys_refusal_is(refusal: str, kind: type[Exception], tmp_path: Path) -> None:
    async with run_tls_server(None) as server, run_proxy(refusal=refusal) as proxy:
        with pytest.raises(kind) as told:
            await ask(server.origin, make_way(proxy))
    assert PASSWORD not in f"{told.value!r} {told.value.__cause__!r} {told.value.__context__!r}"


async def test_a_proxy_that_is_away_is_the_operators_to_mend() -> None:
    async with run_proxy() as proxy:
        away = make_way(proxy)
    with pytest.raises(NoWayOut):
        await ask("https://127.0.0.1:9", away)
