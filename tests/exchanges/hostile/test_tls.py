"""TLS is always verified: no byte of a key leaves for a server that cannot prove who it is."""

import asyncio
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509

from app.exchanges.adapter import ExchangeAdapter
from app.exchanges.errors import ExchangeError
from app.exchanges.transport import DirectTransport, make_tls
from tests.exchanges.hostile.certificates import DAY, NOW, Authority, make_authority, make_server_tls
from tests.exchanges.stage import KINDS, SLUGS, load_fixture, make_adapter


@dataclass
class TlsServer:
    origin: str = ""
    heard: bytearray = field(default_factory=bytearray)  # what arrived after a handshake that the client accepted
    connections: int = 0


@asynccontextmanager
async def run_tls_server(tls: ssl.SSLContext | None) -> AsyncIterator[TlsServer]:
    server = TlsServer()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server.heard += await reader.read(65536)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]")
            await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    server.origin = f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listening.close()
        await asyncio.sleep(0)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return make_authority()


def open_adapter(slug: str, server: TlsServer, trusted: Path) -> ExchangeAdapter:
    transport = DirectTransport(tls=make_tls(authorities=trusted))
    return make_adapter(KINDS[slug], load_fixture(slug), transport, base_url=server.origin)


async def ask(slug: str, server: TlsServer, trusted: Path) -> ExchangeError:
    adapter = open_adapter(slug, server, trusted)
    try:
        with pytest.raises(ExchangeError) as caught:
            await adapter.fetch_balances()
        return caught.value
    finally:
        await adapter.context.http.aclose()


def make_faulty(fault: str, folder: Path, authority: Authority) -> ssl.SSLContext | None:
    match fault:
        case "self-signed":
            return make_server_tls(folder, authority=None)
        case "another authority":
            return make_server_tls(folder, authority=make_authority())
        case "another host":
            return make_server_tls(folder, authority=authority, host=x509.DNSName("api.example.org"))
        case "expired":
            return make_server_tls(folder, authority=authority, ends=NOW - DAY)
        case "TLS 1.0" | "TLS 1.1":
            tls = make_server_tls(folder, authority=authority)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                tls.minimum_version = ssl.TLSVersion.TLSv1
                tls.maximum_version = ssl.TLSVersion.TLSv1 if fault == "TLS 1.0" else ssl.TLSVersion.TLSv1_1
            tls.set_ciphers("ALL:@SECLEVEL=0")
            return tls
    return None  # plain HTTP where TLS is expected


FAULTS = ["self-signed", "another authority", "another host", "expired", "TLS 1.0", "TLS 1.1", "plain"]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("slug", SLUGS)
async def test_a_server_that_proves_nothing_hears_nothing(slug: str, fault: str, authority: Authority, tmp_path: Path) -> None:
    trusted = authority.write(tmp_path / "authority.pem")
    fixture = load_fixture(slug)
    async with run_tls_server(make_faulty(fault, tmp_path, authority)) as server:
        refused = await ask(slug, server, trusted)
        assert refused.code == "unreachable"
        await asyncio.sleep(0.01)
    assert fault == "plain" or server.heard == b""
    assert b"HTTP/1.1" not in server.heard
    assert not [value for value in fixture["secrets"].values() if value.encode() in server.heard]


@pytest.mark.parametrize("slug", SLUGS)
async def test_a_good_certificate_is_let_through(slug: str, authority: Authority, tmp_path: Path) -> None:
    """The same server with nothing wrong: so the faults above, and nothing else, were refused."""
    trusted = authority.write(tmp_path / "authority.pem")
    async with run_tls_server(make_server_tls(tmp_path, authority=authority)) as server:
        adapter = open_adapter(slug, server, trusted)
        try:
            await adapter.fetch_balances()
        except ExchangeError as error:
            assert error.code == "unexpected_reply"  # noqa: PT017  # an empty list is no answer of some exchanges
        finally:
            await adapter.context.http.aclose()
    assert b"HTTP/1.1" in server.heard


def test_session_keys_are_written_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys.log"))
    tls = make_tls()
    assert tls.keylog_filename is None
    assert tls.verify_mode is ssl.CERT_REQUIRED
    assert tls.check_hostname
    assert tls.minimum_version >= ssl.TLSVersion.TLSv1_2
