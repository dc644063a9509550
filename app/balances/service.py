"""The trader's balances as they are known now, ready to be shown: totals per environment and their coverage."""

from dataclasses import dataclass, replace
from datetime import datetime

from app.accounts.current_user import Principal
from app.balances.totals import Coverage, EnvironmentTotals, add_up, cover
from app.clock import Clock
from app.credentials.problems import advise
from app.credentials.service import Credentials
from app.exchanges.types import Exchange


@dataclass(frozen=True, slots=True)
class Overview:
    """Totals per environment, and the coverage over all of them. `find` is the part of an asset's name asked for."""

    now: datetime
    environments: tuple[EnvironmentTotals, ...]
    coverage: Coverage
    find: str = ""


class Balances:
    """Reads only what was fetched before: nothing here asks an exchange."""

    def __init__(self, credentials: Credentials, *, clock: Clock) -> None:
        self._credentials = credentials
        self._clock = clock

    async def describe(self, principal: Principal, *, find: str = "") -> Overview:
        """Return the user's balances; `find` leaves out assets without it in their name, and changes no total."""
        now = self._clock()
        totals = add_up(await self._credentials.list_all(principal), now=now, explain=explain)
        parts = [part for environment in totals for part in environment.parts]
        return Overview(now, tuple(_narrow(environment, find.strip()) for environment in totals), cover(parts), find.strip())


def explain(code: str, exchange: Exchange) -> str:
    """Return a problem code as a sentence about an exchange."""
    return advise(code, exchange=exchange).cause


def _narrow(totals: EnvironmentTotals, find: str) -> EnvironmentTotals:
    found = tuple(line for line in totals.assets if find.upper() in line.asset.upper())
    return replace(totals, assets=found)
