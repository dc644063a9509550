"""A fleet of real processes on one database: started, killed, paused and stopped; and what they stored."""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from app.masking import Secret
from tests.browser.server import find_free_port
from tests.fleet.process import LEASE_SECONDS

ROOT = Path(__file__).resolve().parent.parent.parent
IS_FULL = os.environ.get("KEYDECK_FLEET") == "full"
PAUSE_SECONDS = 135.0 if IS_FULL else LEASE_SECONDS + 5
START_SECONDS = 90.0


@dataclass
class Fleet:
    """The processes by name, and how each is started again. Every start has a name of its own at the exchange."""

    folder: Path
    database_url: Secret
    exchange_port: int
    settings: dict[str, str]
    exchanges: tuple[str, ...]
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    starts: int = 0
    killed: int = 0
    paused: int = 0
    web_port: int = 0

    def start(self, name: str, *words: str) -> None:
        self.starts += 1
        kept = {key: value for key, value in os.environ.items() if not key.startswith("KEYDECK_")}
        base = f"http://127.0.0.1:{self.exchange_port}/{name}-{self.starts}"
        env = kept | self.settings | {f"KEYDECK_EXCHANGE_{slug.upper()}_URL": f"{base}/{slug}" for slug in self.exchanges}
        env |= {"KEYDECK_DATABASE_URL": self.database_url.reveal(), "KEYDECK_DATA_DIR": str(self.folder)}
        env |= {"FLEET": "full" if IS_FULL else "short", "KEYDECK_PORT": str(self.web_port)}
        line = [sys.executable, "-m", "tests.fleet.process", *words]
        log = (self.folder / f"{name}.log").open("ab")
        self.running[name] = subprocess.Popen(line, cwd=ROOT, env=env, stdout=log, stderr=log)
        log.close()

    def kill(self, name: str) -> None:
        self.running[name].kill()
        self.running[name].wait()
        self.killed += 1
        self.start(name, "worker")

    async def pause(self, name: str) -> None:
        """Let a process stand still until its marks have run out and others have taken over."""
        process = self.running[name]
        process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(PAUSE_SECONDS)
        process.send_signal(signal.SIGCONT)
        self.paused += 1

    async def disturb(self, names: list[str], *, seconds: float, pause_between: float) -> None:
        """Kill and pause workers at random for so long."""
        draw, ends_at = random.Random(20261121), time.monotonic() + seconds
        while time.monotonic() < ends_at:
            await asyncio.sleep(draw.uniform(0.5, 1.5) * pause_between)
            name = draw.choice(names)
            if draw.random() < 0.5:
                self.kill(name)
            else:
                await self.pause(name)

    def stop(self) -> dict[str, int]:
        """Stop everything as an operator does, and return the exit codes."""
        for process in self.running.values():
            process.send_signal(signal.SIGCONT)
            process.terminate()
        return {name: process.wait(timeout=40) for name, process in self.running.items()}

    def read_logs(self) -> str:
        return "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in self.folder.glob("*.log"))


@contextlib.asynccontextmanager
async def play_exchange(folder: Path, *, keys: int) -> AsyncIterator[tuple[int, Path]]:
    """Run the exchange's process; give its port and the file of calls."""
    port, path = find_free_port(), folder / "calls.jsonl"
    path.touch()
    line = [sys.executable, "-m", "tests.fleet.exchange", str(port), str(keys), str(path)]
    process = subprocess.Popen(line, cwd=ROOT)  # noqa: ASYNC220  # it returns at once
    try:
        await wait_for_answer(f"http://127.0.0.1:{port}/start/")
        yield port, path
    finally:
        process.terminate()
        process.wait(timeout=30)


async def wait_for_answer(url: str) -> None:
    """Wait until something answers there, whatever it says."""
    async with httpx.AsyncClient() as client:
        ends_at = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(httpx.HTTPError):
                await client.get(url)
                return
            assert time.monotonic() < ends_at, "it does not start"
            await asyncio.sleep(0.2)
