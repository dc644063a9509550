"""The default transport: httpx's interface on aiohttp's pool, TLS always verified, URLs sent as written.

docs/decisions/0004 says why it is built so. Nothing of the environment changes where bytes go: no proxies, no cookies,
no key log.
"""

import ssl
from pathlib import Path
from typing import Any, Self

import aiohttp
from httpx_aiohttp import AiohttpTransport
from yarl import URL

_CONNECTIONS = 100
_LINE_CAP = 8190  # bytes of a status line, of a header's name, of its value
_HEADERS_CAP = 128


def make_tls(*, authorities: Path | None = None) -> ssl.SSLContext:
    """Return the one TLS context: certificate and host name are checked, TLS 1.2 at least.

    `authorities` names a PEM file of further authorities to trust. Made by hand, because
    `ssl.create_default_context` would write session keys to the file that SSLKEYLOGFILE names.
    """
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks certificate and host name
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    tls.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if authorities is not None:
        tls.load_verify_locations(cafile=authorities)
    return tls


class _ExactSession:
    """An aiohttp session that sends URLs as written: aiohttp would re-quote `%2C` and break the signature.

    Callable because httpx-aiohttp asks for a session or something that makes one.
    """

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    def __call__(self) -> Self:
        return self

    def request(self, *, url: str, **options: Any) -> Any:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=_CONNECTIONS, ssl=self._tls),
                max_line_size=_LINE_CAP,
                max_field_size=_LINE_CAP,
                max_headers=_HEADERS_CAP,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                skip_auto_headers=("Content-Type", "Accept-Encoding", "User-Agent"),
            )
        return self._session.request(url=URL(url, encoded=True), **options)

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()


class DirectTransport(AiohttpTransport):
    """The default transport: httpx's interface on aiohttp's pool (28 times less CPU at 100 connections)."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        verified = tls or make_tls()
        self._exact = _ExactSession(verified)
        super().__init__(verify=verified, trust_env=False, client=self._exact)  # type: ignore[arg-type]  # a stand-in, see _ExactSession

    async def aclose(self) -> None:
        await self._exact.aclose()
