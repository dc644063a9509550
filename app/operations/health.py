"""Whether this server can serve: each part that must work, looked at now. Answers name parts, never versions or secrets."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sqlalchemy import text

from app.db import Database
from app.schema import fetch_revision
from app.vault.envelope import Vault
from app.vault.keyring import KeyState
from app.vault.repository import list_canaries, list_kids_in_use

PART_DEADLINE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Part:
    """One part of readiness. `words` tells an operator what it means when the part is not ready."""

    name: str
    ready: bool
    words: str


@dataclass(frozen=True, slots=True)
class Readiness:
    """All parts; ready only when every one is."""

    parts: tuple[Part, ...]

    @property
    def ready(self) -> bool:
        return all(part.ready for part in self.parts)


class Health:
    """Looks at the parts. `head` is the newest schema revision this version knows."""

    def __init__(self, *, database: Database, vault: Vault, head: str, deadline_seconds: float = PART_DEADLINE_SECONDS) -> None:
        self._database = database
        self._vault = vault
        self._head = head
        self._deadline_seconds = deadline_seconds

    async def examine(self) -> Readiness:
        """Look at database, schema and vault, each within its deadline; a part that fails never raises."""
        looks: tuple[tuple[str, Callable[[], Awaitable[bool]], str], ...] = (
            ("database", self._answers, "The database does not answer."),
            ("migrations", self._is_migrated, "The database is at another schema revision: run keydeck migrate."),
            ("vault", self._opens, "The key ring in use is not the one this database was sealed with."),
        )
        return Readiness(tuple([Part(name, await self._look(look), words) for name, look, words in looks]))

    async def _look(self, look: Callable[[], Awaitable[bool]]) -> bool:
        try:
            async with asyncio.timeout(self._deadline_seconds):
                return await look()
        except Exception:  # noqa: BLE001  # whatever it is, the part is not ready, and its text may name the database's URL
            return False

    async def _answers(self) -> bool:
        async with self._database.read() as session:
            await session.execute(text("SELECT 1"))
        return True

    async def _is_migrated(self) -> bool:
        return await fetch_revision(self._database) == self._head

    async def _opens(self) -> bool:
        """Compare the active key's check value with its canary's, and the ring's kids with those of stored credentials."""
        keys = {line.kid: line for line in self._vault.list_keys() if line.state is not KeyState.RETIRED}
        active = keys[self._vault.active_kid]
        async with self._database.read() as session:
            stored = {canary.kid: canary.check_value for canary in await list_canaries(session)}
            in_use = await list_kids_in_use(session)
        return stored.get(active.kid) == active.check and keys.keys() >= set(in_use)
