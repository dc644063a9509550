"""Real processes check stored keys by themselves: the web server, `keydeck worker` alone, and several at once."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from app.main import create_app
from app.settings import Settings
from tests.browser.server import find_free_port
from tests.conftest import ORIGIN
from tests.credentials.bench import Bench
from tests.databases import copy_sqlite

ROOT = Path(__file__).resolve().parent.parent.parent
WAIT_SECONDS = 80


@pytest.fixture
def data_dir(tmp_path: Path, sqlite_template: Path) -> Path:
    """A data folder with three connected keys that are due."""
    copy_sqlite(sqlite_template, tmp_path / "keydeck.db")

    async def connect() -> None:
        app = create_app(Settings(data_dir=tmp_path, public_url=ORIGIN, sandbox="on"))
        async with app.router.lifespan_context(app):
            bench = await Bench.open(app)
            for exchange, scenario in (("hitbtc", "read-only"), ("htx", "read-only"), ("htx", "empty")):
                await bench.connect(exchange, scenario)
            await bench.execute("UPDATE credentials SET next_check_at = '2020-01-01 00:00:00.000000'")

    asyncio.run(connect())
    return tmp_path


@contextmanager
def run_process(*words: str, data_dir: Path) -> Iterator[subprocess.Popen[str]]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KEYDECK_")}
    env = kept | {
        "KEYDECK_DATA_DIR": str(data_dir),
        "KEYDECK_PORT": str(find_free_port()),
        "KEYDECK_SANDBOX": "on",
        "KEYDECK_CHECK_INTERVAL_SECONDS": "30",
        "PYTHONUNBUFFERED": "1",
    }
    line = [sys.executable, "-m", "app", *words]
    with subprocess.Popen(line, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def count_checks(data_dir: Path) -> list[int]:
    """Return how often each credential was checked by the schedule."""
    query = "SELECT count(*) FROM credential_checks WHERE reason = 'schedule' GROUP BY credential_id"
    with closing(sqlite3.connect(data_dir / "keydeck.db", timeout=10)) as database:
        return [count for (count,) in database.execute(query)]


def wait_for_checks(data_dir: Path, *processes: subprocess.Popen[str]) -> list[int]:
    end = time.monotonic() + WAIT_SECONDS
    while len(counts := count_checks(data_dir)) < 3:
        assert time.monotonic() < end, "nothing was checked"
        assert all(process.poll() is None for process in processes), "a process ended"
        time.sleep(0.1)
    return counts


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_stored_keys_are_checked_by_themselves(data_dir: Path, command: str) -> None:
    with run_process(command, data_dir=data_dir) as process:
        assert wait_for_checks(data_dir, process) == [1, 1, 1]
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=25)
        assert time.monotonic() - begun < 20
        assert process.returncode == 0
    assert "Traceback" not in errors
    assert output.count("\n") == 1
    with closing(sqlite3.connect(data_dir / "keydeck.db")) as database:
        assert database.execute("SELECT count(*) FROM credentials WHERE checking_since IS NOT NULL").fetchone() == (0,)
        waits = "SELECT min(next_check_at) > max(finished_at) FROM credentials, credential_checks WHERE reason = 'schedule'"
        assert database.execute(waits).fetchone() == (1,)


def test_two_workers_and_a_server_share_the_keys(data_dir: Path) -> None:
    with (
        run_process("worker", data_dir=data_dir) as first,
        run_process("worker", data_dir=data_dir) as second,
        run_process("serve", "--no-worker", data_dir=data_dir) as server,
    ):
        assert wait_for_checks(data_dir, first, second, server) == [1, 1, 1]
        for process in (first, second, server):
            process.send_signal(signal.SIGTERM)
        for process in (first, second, server):
            assert process.wait(timeout=25) == 0


def test_a_worker_does_not_start_on_an_old_database(tmp_path: Path) -> None:
    with run_process("worker", data_dir=tmp_path) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 78
    assert "keydeck migrate" in errors
