"""Two real web servers on one PostgreSQL: a change made at one is heard at the other, also after its listener was killed."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import psycopg
import pytest

from app.masking import Secret
from app.sandbox.keys import list_keys
from tests.browser.server import ROOT, find_free_port
from tests.databases import PostgresCluster
from tests.live.streams import Stream, open_stream
from tests.people import EMAIL, PASSWORD

pytestmark = pytest.mark.postgresql
LISTENERS = "FROM pg_stat_activity WHERE application_name = 'keydeck live' AND datname = current_database()"


class Servers:
    """Web servers as processes of their own on one database; `origins` are where they answer."""

    def __init__(self, url: Secret, folder: Path) -> None:
        self.url = url.reveal()
        self.folder = folder
        self.processes: list[subprocess.Popen[str]] = []
        self.origins: list[str] = []
        self.setup_link = ""

    async def start(self) -> str:
        port = find_free_port()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("KEYDECK_")}
        own = {"DATABASE_URL": self.url, "DATA_DIR": str(self.folder), "PORT": str(port), "SANDBOX": "on", "LOG_LEVEL": "WARNING"}
        process = subprocess.Popen(  # noqa: ASYNC220  # returns at once; what takes time is waited for in a thread
            [sys.executable, "-m", "app", "serve", "--no-worker"],
            cwd=ROOT,
            env=kept | {f"KEYDECK_{name}": value for name, value in own.items()},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.processes.append(process)
        self.origins.append(f"http://127.0.0.1:{port}")
        self.setup_link = await asyncio.to_thread(self._read_greeting, process)  # the newest link is the one that works
        return self.origins[-1]

    def _read_greeting(self, process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        for line in process.stdout:
            if "/setup?token=" in line:
                return next(word for word in line.split() if "/setup?token=" in word)
        raise AssertionError("the server ended")

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.url.replace("+psycopg", ""), autocommit=True) as connection:
            return connection.execute(statement.encode()).fetchall()

    async def count_listeners(self, wanted: int) -> None:
        """Wait until so many processes listen."""
        async with asyncio.timeout(30):
            while self.execute(f"SELECT count(*) {LISTENERS}") != [(wanted,)]:  # noqa: ASYNC110  # asked of another process
                await asyncio.sleep(0.1)

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


@pytest.fixture
async def servers(postgres_cluster: PostgresCluster, tmp_path: Path) -> AsyncIterator[Servers]:
    with postgres_cluster.create_database() as url:
        running = Servers(url, tmp_path)
        try:
            await running.start()
            await running.start()
            yield running
        finally:
            running.end()


async def sign_up(servers: Servers) -> httpx.AsyncClient:
    """Create the first account at the first server."""
    client = httpx.AsyncClient(base_url=servers.origins[0], headers={"Sec-Fetch-Site": "same-origin"}, timeout=20)
    token = servers.setup_link.split("token=")[1]
    answer = await client.post("/setup", data={"email": EMAIL, "password": PASSWORD, "token": token})
    assert answer.status_code == 303, answer.text
    return client


async def connect_key(client: httpx.AsyncClient) -> str:
    key = next(key for key in list_keys() if (key.exchange, key.scenario) == ("htx", "read-only"))
    form = {"environment": "sandbox", "plan": "balances", "label": "Grid bot", **key.show_secrets()}
    answer = await client.post("/credentials/connect/htx", data=form)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"].split("/")[2].split("?")[0]


async def test_a_change_at_one_server_is_heard_at_the_other(servers: Servers) -> None:
    client = await sign_up(servers)
    credential_id = await connect_key(client)
    async with open_stream(servers.origins[1], client.cookies) as there, open_stream(servers.origins[0], client.cookies) as here:
        await servers.count_listeners(2)
        await client.post(f"/credentials/{credential_id}/pause")
        for stream in (there, here):
            assert await hear(stream, "changed") == credential_id
        servers.execute(f"SELECT pg_terminate_backend(pid) {LISTENERS}")
        await client.post(f"/credentials/{credential_id}/resume")  # while nobody listens, or just after
        for stream in (there, here):
            assert await hear(stream, "changed") == credential_id
        await servers.count_listeners(2)
        await client.post(f"/credentials/{credential_id}/pause")
        for stream in (there, here):
            assert await hear(stream, "changed") == credential_id
        listening = servers.execute("SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'")
        assert listening == [(0,)]  # waiting streams hold no transaction
    await client.aclose()


async def hear(stream: Stream, kind: str) -> str:
    while (event := await stream.next_of("change")).data["kind"] != kind:
        pass
    return str(event.data["credential"])


async def test_a_server_with_open_streams_stops_at_once(servers: Servers) -> None:
    """Open streams must not hold up a graceful stop, which may take 20 seconds at most."""
    client = await sign_up(servers)
    origin = servers.origins[1]
    async with open_stream(origin, client.cookies) as stream, open_stream(origin, client.cookies) as other:
        await stream.next_of("beat")
        await other.next_of("beat")
        servers.processes[1].send_signal(signal.SIGTERM)
        assert [event.name for event in await stream.read_to_end()] in ([], ["beat"], ["reset"], ["reset", "beat"])
        code = await asyncio.to_thread(servers.processes[1].wait, 15)  # cutting connections off would take 20
    assert code == 0
    await client.aclose()
