"""A process of the fleet: the real command, with Keydeck's spans of minutes shortened so that a test takes two minutes.

`python -m tests.fleet.process serve --no-worker` or `… worker`. KEYDECK_FLEET=full leaves every span as it is.
"""

import os
import sys
from dataclasses import replace
from datetime import timedelta

from app import job_engine, jobs, worker
from app.cli import main
from app.credentials import background, balance_run, check_run, schedule, service, status

LEASE_SECONDS = 30.0


def shorten() -> None:
    """Let a mark last 30 seconds instead of 120, a check 12 instead of 40, and everything that looks after them come sooner."""
    lease = timedelta(seconds=LEASE_SECONDS)
    schedule.CHECK_TIME = service.CHECK_TIME = status.CHECK_TIME = background.CHECK_TIME = lease  # type: ignore[misc]  # a test's own time
    check_run.LIMIT_SECONDS = balance_run.LIMIT_SECONDS = LEASE_SECONDS / 2.5
    background.FRESH = lease / 4
    job_engine.MEND_SECONDS = 5
    worker.CHECK_SECONDS = 1
    worker.Worker.register.__kwdefaults__["seconds"] = 1
    pace = replace(job_engine.JobPace(), lease_seconds=LEASE_SECONDS, polling_seconds=0.2, grace_seconds=3.0)
    jobs.JobPace = lambda: pace  # type: ignore[assignment,misc]  # the pace an app takes when it is handed none


if __name__ == "__main__":
    if os.environ.get("FLEET") != "full":
        shorten()
    sys.argv[0] = "keydeck"
    main()
