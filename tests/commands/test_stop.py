"""The real server ends in time, whatever it is busy with: a request that does not end, an open page, a check that hangs."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import httpx

from tests.browser.server import ROOT, find_free_port
from tests.databases import copy_sqlite
from tests.live.streams import open_stream
from tests.live.test_processes import connect_key
from tests.people import EMAIL, PASSWORD

STOP_SECONDS = 20  # what is promised to whoever runs the server: containers are killed soon after
WAIT_SECONDS = 60


class Server:
    """`keydeck serve` as a process of its own, on one SQLite file."""

    def __init__(self, process: subprocess.Popen[str], *, port: int, database: Path) -> None:
        self.process = process
        self.port = port
        self.origin = f"http://127.0.0.1:{port}"
        self._database = database

    def query(self, statement: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self._database, timeout=10)) as database, database:
            return database.execute(statement).fetchall()

    async def sign_up(self) -> httpx.AsyncClient:
        assert self.process.stdout is not None
        line = await asyncio.to_thread(self.process.stdout.readline)
        headers = {"Sec-Fetch-Site": "same-origin", "Origin": self.origin}
        client = httpx.AsyncClient(base_url=self.origin, headers=headers, timeout=WAIT_SECONDS)
        form = {"email": EMAIL, "password": PASSWORD, "token": line.strip().split("token=")[1]}
        assert (await client.post("/setup", data=form)).status_code == 303
        return client

    async def begin_hanging_check(self, client: httpx.AsyncClient) -> None:
        """Connect a key, take its exchange away, and wait until the server's own check of it hangs."""
        await connect_key(client)
        assert (await client.patch("/_sandbox/exchanges/htx", json={"fault": "outage"})).status_code == 200
        self.query("UPDATE credentials SET next_check_at = '2020-01-01 00:00:00.000000'")
        async with asyncio.timeout(WAIT_SECONDS):
            while self.query("SELECT count(*) FROM credentials WHERE checking_since IS NOT NULL") != [(1,)]:  # noqa: ASYNC110  # asked of another process
                await asyncio.sleep(0.05)

    async def begin_endless_request(self) -> asyncio.StreamWriter:
        """Send a form of which most never comes."""
        _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        head = (
            f"POST /sign-in HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nOrigin: {self.origin}\r\nSec-Fetch-Site: same-origin\r\n"
        )
        writer.write(f"{head}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\nemail=".encode())
        await writer.drain()
        return writer


@asynccontextmanager
async def run_server(data_dir: Path) -> AsyncIterator[Server]:
    port = find_free_port()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KEYDECK_")}
    own = {"DATA_DIR": str(data_dir), "PORT": str(port), "PUBLIC_URL": f"http://127.0.0.1:{port}", "SANDBOX": "on"}
    process = subprocess.Popen(  # noqa: ASYNC220  # returns at once
        [sys.executable, "-m", "app", "serve"],
        cwd=ROOT,
        env=kept | {f"KEYDECK_{name}": value for name, value in own.items()} | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield Server(process, port=port, database=data_dir / "keydeck.db")
        finally:
            process.kill()


async def test_a_busy_server_ends_in_time_and_gives_everything_back(tmp_path: Path, sqlite_template: Path) -> None:
    copy_sqlite(sqlite_template, tmp_path / "keydeck.db")
    async with run_server(tmp_path) as server:
        client = await server.sign_up()
        async with open_stream(server.origin, client.cookies) as stream:
            await stream.next_of("beat")
            await server.begin_hanging_check(client)
            writer = await server.begin_endless_request()
            server.process.send_signal(signal.SIGTERM)
            _, errors = await asyncio.to_thread(server.process.communicate, timeout=STOP_SECONDS)
            assert "ended" not in [event.name for event in await stream.read_to_end()], "an open page comes back by itself"
        writer.close()
        await client.aclose()
    assert server.process.returncode == 0, errors
    assert "cut off" not in errors
    assert server.query("SELECT count(*) FROM credentials WHERE checking_since IS NOT NULL") == [(0,)]
