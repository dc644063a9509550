"""Tries a key before it is stored: asks the exchange with no transaction open, and says no where the answer demands it."""

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import Clock
from app.credentials import comparison_repository
from app.credentials.check_run import CheckOrder, CheckOutcome, CheckRun
from app.credentials.connect import ConnectInput, ConnectRefused, StepListener
from app.credentials.entry import CleanEntry, clean_entry
from app.credentials.problems import Circumstances, advise
from app.credentials.repository import CredentialRow
from app.credentials.status import STATUS_OF_CODE
from app.credentials.tripwire import Known, list_forbidden, list_held
from app.credentials.verdict import Blame
from app.credentials.views import Step, StepName, StepState
from app.credentials.ways import choose_way, list_allowed
from app.credentials.weighing import Case, Weighing
from app.db import release
from app.exchanges.errors import PermissionMissing
from app.exchanges.registry import Exchanges
from app.exchanges.types import AccessPlan, Answer, Environment, Exchange, Grant, Permission, Secrets
from app.settings import Settings


@dataclass(frozen=True, slots=True)
class Attempt:
    """A key that passed: what was entered, how it will be recognised, and what the exchange said."""

    entry: CleanEntry
    fingerprint: str
    outcome: CheckOutcome
    attested_at: datetime | None
    way: str


class Attempts:
    """Runs checks for one unit of work."""

    def __init__(self, session: AsyncSession, *, exchanges: Exchanges, settings: Settings, clock: Clock) -> None:
        self._session = session
        self._exchanges = exchanges
        self._settings = settings
        self._clock = clock

    async def read_entry(self, entered: ConnectInput, *, on_step: StepListener | None) -> CleanEntry:
        """Return the input cleaned. Raises ConnectRefused, after telling the listener which step failed."""
        try:
            return clean_entry(entered, exchanges=self._exchanges)
        except ConnectRefused as refusal:
            if on_step is not None:
                for step in refusal.steps:
                    await on_step(step)
            raise

    async def choose_way(self, exchange: str, *, wanted: str = "") -> str:
        """Return the way out for a key: the one asked for where there is such, else the one with the fewest keys."""
        ways = self._settings.ways
        is_decided = len(ways) == 1 or any(way.name == wanted for way in ways)
        used = {} if is_decided else await comparison_repository.count_by_way_for_operations(self._session, exchange=exchange)
        return choose_way(ways, used=used, wanted=wanted).name

    async def settle_way(self, row: CredentialRow) -> CredentialRow:
        """Return the row with a way out that there is: another one is chosen where the operator took its own away."""
        if row.way is None or row.way in self._exchanges.ways:
            return row
        way = await self.choose_way(row.exchange)
        return replace(row, way=way, former_way=row.way, is_moved=True)

    async def try_key(self, entry: CleanEntry, fingerprint: str, *, way: str, on_step: StepListener | None) -> Attempt:
        """Ask the exchange; return the attempt when the key may be stored. Raises ConnectRefused otherwise."""
        attested_at = self._clock() if entry.attested else None
        order = self.make_order(entry.exchange, entry.plan, known=None, attested_at=attested_at, format_step=entry.format_step)
        secrets = Secrets(entry.secrets)
        await release(self._session)
        adapter = self._exchanges.open(entry.exchange.slug, entry.environment, secrets, key_id=fingerprint, way=way)
        outcome = await CheckRun(adapter, order, clock=self._clock, listener=on_step).run()
        code = find_refusal(outcome, stops_at_withdraw=self._stops_at_withdraw)
        if code is not None:
            blame = await self._weigh(code, entry, outcome=outcome, way=way)
            raise self.refuse(code, entry.exchange, outcome=outcome, way=way, environment=entry.environment, blame=blame)
        return Attempt(entry, fingerprint, outcome, attested_at, way)

    def make_order(
        self, exchange: Exchange, plan: AccessPlan, *, known: Known | None, attested_at: datetime | None, format_step: Step
    ) -> CheckOrder:
        """Return what a check is judged by: this server's policy, and what the key could not do before (`known`)."""
        forbidden = list_forbidden(exchange, plan, known=known, stops_at_withdraw=self._stops_at_withdraw)
        held = list_held(exchange, plan, known=known or Known())
        return CheckOrder(exchange, plan, forbidden, attested_at, format_step, held)

    def refuse(
        self,
        code: str,
        exchange: Exchange,
        *,
        outcome: CheckOutcome | None = None,
        existing_id: str | None = None,
        way: str | None = None,
        environment: Environment | None = None,
        blame: Blame | None = None,
    ) -> ConnectRefused:
        """Return the refusal with its words. A refusal before any call fails the first step."""
        egress = list_allowed(self._settings.ways, way)
        site = None if environment is None else self._exchanges.site(exchange.slug, environment)
        link = site.keys_url if site is not None else ""
        return make_refusal(code, exchange, outcome=outcome, existing_id=existing_id, egress=egress, link=link, blame=blame)

    async def _weigh(self, code: str, entry: CleanEntry, *, outcome: CheckOutcome, way: str) -> Blame | None:
        """Return whose problem a refused key is."""
        case = Case("", entry.exchange, entry.environment.value, code, outcome.public_outcome, way)
        weighing = Weighing(self._session, exchanges=self._exchanges, settings=self._settings, clock=self._clock)
        return (await weighing.weigh([case])).get("")

    @property
    def _stops_at_withdraw(self) -> bool:
        return self._settings.withdraw_policy == "refuse"


def find_refusal(outcome: CheckOutcome, *, stops_at_withdraw: bool) -> str | None:
    """Return why the key must not be stored, None when it may: judged, not able to withdraw, able to read."""
    if outcome.report is None:
        return outcome.code
    withdraw = outcome.report.grants.get(Permission.WITHDRAW, Grant())
    if withdraw.answer is Answer.YES and stops_at_withdraw:
        return "withdraw_enabled"
    return outcome.error.code if isinstance(outcome.error, PermissionMissing) else None


def make_refusal(
    code: str,
    exchange: Exchange,
    *,
    outcome: CheckOutcome | None,
    egress: tuple[str, ...],
    existing_id: str | None = None,
    link: str = "",
    blame: Blame | None = None,
) -> ConnectRefused:
    """Return the refusal with its words; without an outcome it is one before any call."""
    error = outcome.error if outcome is not None else None
    grants = outcome.grants if outcome is not None else None
    about = Circumstances(
        grants=grants,
        egress=egress,
        seen_ip=error.seen_ip if error is not None else None,
        skew_seconds=error.skew_seconds if error is not None else None,
        is_stored=False,
        link=link,
    )
    advice = advise(code, exchange=exchange, about=about)
    steps = outcome.steps if outcome is not None else (Step(StepName.FORMAT, StepState.FAILED, advice.cause),)
    status = STATUS_OF_CODE.get(code)
    return ConnectRefused(advice, status=status, steps=steps, grants=grants, existing_id=existing_id, blame=blame)
