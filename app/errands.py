"""Short work that is done after the answer has left, such as a letter: bounded, and finished before the server ends.

An answer that does not wait for it takes the same time whether there was something to do or not.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

MOST = 200  # at once; what comes beyond is dropped and logged
GRACE_SECONDS = 5.0

_log = logging.getLogger(__name__)


class Errands:
    """Runs work in the background of this process. What must survive a crash does not belong here."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def start(self, name: str, work: Callable[[], Awaitable[None]]) -> bool:
        """Begin the work; `name` is what a failure is logged under. False, and nothing begun, when too much runs already."""
        if len(self._running) >= MOST:
            _log.warning("too much is waiting to be done: dropped %s", name)
            return False
        task = asyncio.create_task(_run(name, work))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return True

    async def settle(self) -> None:
        """Wait until nothing runs."""
        while self._running:
            await asyncio.wait(self._running)

    async def aclose(self, *, grace_seconds: float = GRACE_SECONDS) -> None:
        """Let what runs end, for a short while."""
        running = set(self._running)
        if not running:
            return
        _, late = await asyncio.wait(running, timeout=grace_seconds)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)


async def _run(name: str, work: Callable[[], Awaitable[None]]) -> None:
    try:
        await work()
    except Exception as error:  # noqa: BLE001  # logged by type: a text could hold an address or a secret
        _log.error("%s failed: %s", name, type(error).__name__)
