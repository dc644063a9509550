"""A process of its own that runs one round of alerts at a given moment; with `dies` it is killed right after sending.

Run by tests: `python -m tests.alerts.deliverer MOMENT [dies]`, settings from the environment.
"""

import asyncio
import os
import signal
import sys
from datetime import datetime
from typing import Any

from app.alerts.delivery import Outlets
from app.alerts.messages import Outgoing
from app.alerts.sending import Address, Sender
from app.main import Outside, create_app
from app.settings import load_settings


class DyingSender:
    """Sends for real, and takes the whole process down before anything can be written."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    async def send(self, outgoing: Outgoing, address: Address, *, at: Any) -> str:
        await self._sender.send(outgoing, address, at=at)
        os.kill(os.getpid(), signal.SIGKILL)
        return "never"


async def run(moment: datetime, *, dies: bool) -> None:
    app = create_app(load_settings(), outside=Outside(clock=lambda: moment))
    async with app.router.lifespan_context(app):
        rounds = app.state.alerts
        if dies:
            outlets: Outlets = app.state.outlets
            senders = {kind: DyingSender(sender) for kind, sender in outlets.senders.items()}
            rounds._deliverer._outlets = Outlets(senders, outlets.public_url)
        await rounds.run_round()


if __name__ == "__main__":
    asyncio.run(run(datetime.fromisoformat(sys.argv[1]), dies="dies" in sys.argv))
