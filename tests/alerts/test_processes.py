"""Real processes on one database: killed between sending and marking, and many at the same time."""

import asyncio
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

from tests.alerts.stage import READ, TRADE, WITHDRAW, AlertStage
from tests.conftest import FakeClock

ROOT = Path(__file__).resolve().parents[2]


async def start(stage: AlertStage, clock: FakeClock, *words: str) -> asyncio.subprocess.Process:
    settings = stage.state.settings
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KEYDECK_")}
    environment = kept | {
        "KEYDECK_DATABASE_URL": settings.database_url_text.reveal(),
        "KEYDECK_DATA_DIR": str(settings.data_dir),
        "KEYDECK_KEYRING_FILE": str(settings.keyring_path),
        "KEYDECK_PUBLIC_URL": settings.public_url,
        "KEYDECK_SANDBOX": "on",
        "KEYDECK_LOG_LEVEL": "ERROR",
    }
    moment = clock.now.isoformat()
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.alerts.deliverer", moment, *words, cwd=ROOT, env=environment
    )


async def test_a_killed_process_loses_nothing_and_many_send_once(stage: AlertStage, clock: FakeClock) -> None:
    await stage.add_webhook()
    view = await stage.connect("htx", "read-trade", label="Main")
    stage.set_rights(READ, TRADE, WITHDRAW)
    clock.advance(minutes=15)
    await stage.check(view.id)
    assert await (await start(stage, clock, "dies")).wait() == -signal.SIGKILL
    assert len(stage.receiver.ids) == 1
    assert await stage.list_deliveries() == [("waiting", 0, None)]
    clock.now += timedelta(minutes=1)
    assert await (await start(stage, clock)).wait() == 0
    assert len(stage.receiver.ids) == 1, "the dead one's claim still stands"
    clock.now += timedelta(minutes=2)
    several = [await start(stage, clock) for _ in range(3)]
    assert [await process.wait() for process in several] == [0, 0, 0]
    assert len(stage.receiver.ids) == 2, "sent once more, by one of them"
    assert len(set(stage.receiver.ids)) == 1, "under the same id"
    assert await stage.list_deliveries() == [("sent", 1, "Answered 204")]
    assert await stage.list_alerts() == [("withdraw_gained", "began")]
