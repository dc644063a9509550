"""A tab of the real browser, and what its console complained about."""

import sqlite3
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.sync_api import Page


@dataclass
class Visit:
    """A tab and what its console complained about."""

    page: Page
    origin: str
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        self.page.goto(self.origin + path)


def set_proof_age(database: Path, *, seconds: float) -> None:
    """Let every session's last proof be this old: nobody waits five real minutes."""
    moment = (datetime.now(UTC) - timedelta(seconds=seconds)).strftime("%Y-%m-%d %H:%M:%S.%f")
    with sqlite3.connect(database, timeout=10) as connection:
        connection.execute("UPDATE user_sessions SET proved_at = ?", (moment,))
    connection.close()
