"""Checks several credentials side by side, a few at a time: one that fails or hangs holds nobody up."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from app.web.errors import Problem

AT_ONCE = 8
_log = logging.getLogger(__name__)


async def check_each(credential_ids: Iterable[str], *, check: Callable[[str], Awaitable[None]]) -> None:
    """Run `check` for every id, each in its own unit of work. What one check raises is logged and stops no other."""
    places = asyncio.Semaphore(AT_ONCE)

    async def check_one(credential_id: str) -> None:
        async with places:
            try:
                await check(credential_id)
            except Problem as problem:
                _log.info("credential %s was not checked: %s", credential_id, problem.code)

    async with asyncio.TaskGroup() as group:
        for credential_id in credential_ids:
            group.create_task(check_one(credential_id))
