"""Starts the real server as its own process on a free port, with everything fresh, the way a person would."""

import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60
EGRESS = ("203.0.113.10", "2001:db8::10")


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that answers: where, its data folder, and the one-time link it printed (empty where an account exists)."""

    origin: str
    data_dir: Path
    setup_link: str

    @property
    def database(self) -> Path:
        return self.data_dir / "keydeck.db"


def find_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def run_server(data_dir: Path, *, port: int | None = None, **settings: str) -> Iterator[RunningServer]:
    """Run `python -m app serve --migrate` until the block ends; its settings come from the environment only."""
    port = port or find_free_port()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KEYDECK_")}
    environment = kept | {
        "KEYDECK_DATA_DIR": str(data_dir),
        "KEYDECK_PORT": str(port),
        "KEYDECK_SANDBOX": "on",
        "KEYDECK_EGRESS": ",".join(EGRESS),
        "KEYDECK_LOG_LEVEL": "WARNING",
        **{f"KEYDECK_{name.upper()}": value for name, value in settings.items()},
    }
    command = [sys.executable, "-m", "app", "serve", "--migrate"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield RunningServer(f"http://127.0.0.1:{port}", data_dir, _wait_for_link(process))
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait_for_link(process: subprocess.Popen[str]) -> str:
    """Return the set-up link; keeps reading afterwards so that the server never blocks on a full pipe."""
    links: queue.Queue[str] = queue.Queue()
    seen: list[str] = []

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            seen.append(line)
            links.put(line)
        links.put("")

    threading.Thread(target=read, daemon=True).start()
    while True:
        try:
            line = links.get(timeout=START_SECONDS)
        except queue.Empty:
            raise AssertionError(f"the server did not start in time: {''.join(seen)}") from None
        if "Keydeck is ready at" in line:
            return ""
        if "/setup?token=" in line:
            return next(word for word in line.split() if "/setup?token=" in word)
        assert line, f"the server ended: {''.join(seen)}"
