"""The real server behind https on loopback, with a certificate of a test authority, and what a browser needs to trust it."""

import asyncio
import ssl
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import trustme
import uvicorn

from app.main import Outside, create_app
from app.settings import Settings
from tests.browser.server import find_free_port

START_SECONDS = 30
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class HttpsServer:
    """A server that answers: its app, its address, and the file of the authority that vouches for it."""

    app: Any
    port: int
    authority_file: Path
    loop: asyncio.AbstractEventLoop

    @property
    def origin(self) -> str:
        return f"https://localhost:{self.port}"

    def call(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine where the server runs."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout=60)

    def make_client(self) -> httpx.Client:
        """Make a browser-like client that trusts the test authority."""
        headers = {"Sec-Fetch-Site": "same-origin", "Origin": self.origin}
        return httpx.Client(base_url=self.origin, headers=headers, verify=trust(self.authority_file), timeout=30)


def trust(authority_file: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=authority_file)


@contextmanager
def run_https(settings: Settings, outside: Outside, *, folder: Path) -> Iterator[HttpsServer]:
    """Serve with the given settings, but at an https address of its own, until the block ends."""
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    chain, key, trusted = folder / "chain.pem", folder / "key.pem", folder / "authority.pem"
    chain.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    certificate.private_key_pem.write_to_path(key)
    authority.cert_pem.write_to_path(trusted)
    port = find_free_port()
    app = create_app(settings.model_copy(update={"public_url": f"https://localhost:{port}"}), outside=outside)
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        ssl_certfile=chain,
        ssl_keyfile=key,
        log_level="critical",
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        await server.serve()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    waited = threading.Event()
    for _ in range(START_SECONDS * 20):
        if server.started or not thread.is_alive():
            break
        waited.wait(0.05)
    assert server.started, "the server did not start"
    try:
        yield HttpsServer(app, port, trusted, loops[0])
    finally:
        server.should_exit = True
        thread.join(timeout=30)
