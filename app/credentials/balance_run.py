"""Fetches the balances of one key and nothing else, between two checks of what it may do. Nothing here knows the database."""

import asyncio
import logging
from dataclasses import dataclass
from datetime import datetime

from app.clock import Clock
from app.credentials.check_run import LIMIT_SECONDS
from app.exchanges.adapter import ExchangeAdapter
from app.exchanges.errors import ExchangeError, OurFault, StoodStill, Unreachable
from app.exchanges.stillness import Stillness
from app.exchanges.types import BalanceSheet, CallEvidence

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BalanceOutcome:
    """What came back: a sheet, or the error that came instead."""

    finished_at: datetime
    sheet: BalanceSheet | None = None
    error: ExchangeError | None = None
    evidence: tuple[CallEvidence, ...] = ()


async def fetch_balances(adapter: ExchangeAdapter, *, clock: Clock) -> BalanceOutcome:
    """Fetch the balances within the time of a check. Never raises for what an exchange does: the outcome says it."""
    adapter.ends_at = adapter.context.http.monotonic() + LIMIT_SECONDS
    error: ExchangeError
    try:
        with Stillness() as stillness:
            async with asyncio.timeout(LIMIT_SECONDS):
                sheet = await adapter.fetch_balances()
        return BalanceOutcome(clock(), sheet, evidence=tuple(adapter.evidence))
    except ExchangeError as found:
        error = found
    except TimeoutError:
        error = StoodStill() if stillness.was_met else Unreachable()
    except Exception as found:  # noqa: BLE001  # an adapter's fault must not lose the others of its batch, nor show its text
        _log.error("fetching balances failed inside: %s", type(found).__name__)
        error = OurFault()
    return BalanceOutcome(clock(), error=error, evidence=tuple(adapter.evidence))
