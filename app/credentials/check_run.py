"""Runs the steps of one check against an adapter, tells each step as it goes, and collects what came back.

The order is fixed: clock, key, withdrawal, balances. The first failure stops the rest, the whole takes at most 40 s.
Nothing here knows the database.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from app.clock import Clock
from app.credentials.connect import StepListener
from app.credentials.problems import Circumstances, advise, find_box, find_transfer_box
from app.credentials.status import list_missing
from app.credentials.views import Step, StepName, StepState
from app.exchanges.adapter import ExchangeAdapter
from app.exchanges.errors import (
    ClockSkew,
    ExchangeError,
    KeyRefused,
    OurFault,
    PermissionMissing,
    StoodStill,
    Unreachable,
    WaitingForConfirmation,
)
from app.exchanges.stillness import Stillness
from app.exchanges.types import (
    AccessPlan,
    Answer,
    BalanceSheet,
    CallEvidence,
    ClockReading,
    Exchange,
    Grant,
    KeyReport,
    Permission,
    Proof,
)

LIMIT_SECONDS = 40.0
_RIGHT_NAMES = {right: right.value.capitalize() for right in Permission}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CheckOrder:
    """What a check is judged by. `forbidden`: a key that has one of these rights is asked nothing further.

    `held`: the same unless the exchange itself tells that the right is gone; it is what keeps the key in quarantine.
    """

    exchange: Exchange
    plan: AccessPlan
    forbidden: frozenset[Permission]
    attested_at: datetime | None
    format_step: Step
    held: frozenset[Permission] = frozenset()


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """What came back. `code` is `ok` or a problem code; `report` is None when the key could not be judged.

    `sheet` is None when balances were not fetched; then `balances_code` says why, None when they were not asked for.
    `public_outcome` is how the public clock call ended, None when it was not asked.
    """

    started_at: datetime
    finished_at: datetime
    code: str
    error: ExchangeError | None
    report: KeyReport | None
    sheet: BalanceSheet | None
    balances_code: str | None
    steps: tuple[Step, ...]
    evidence: tuple[CallEvidence, ...]
    public_outcome: str | None = None

    @property
    def grants(self) -> Mapping[Permission, Grant] | None:
        return None if self.report is None else self.report.grants


class CheckRun:
    """One check. Make it, `run()` it once, forget it."""

    def __init__(self, adapter: ExchangeAdapter, order: CheckOrder, *, clock: Clock, listener: StepListener | None) -> None:
        self._adapter = adapter
        self._order = order
        self._clock = clock
        self._listener = listener
        self._steps = {name: Step(name, StepState.WAITING) for name in StepName}
        self._running = StepName.FORMAT
        self._report: KeyReport | None = None
        self._sheet: BalanceSheet | None = None
        self._error: ExchangeError | None = None

    async def run(self) -> CheckOutcome:
        """Make the check. Never raises for what an exchange does: the outcome says it."""
        started_at = self._clock()
        for step in self._steps.values():
            await self._tell(step)
        await self._tell(self._order.format_step)
        self._adapter.ends_at = self._adapter.context.http.monotonic() + LIMIT_SECONDS
        try:
            with Stillness() as stillness:
                async with asyncio.timeout(LIMIT_SECONDS):
                    await self._ask()
        except ExchangeError as error:
            await self._fail(error)
        except TimeoutError:
            await self._fail(StoodStill() if stillness.was_met else Unreachable())
        except Exception as error:  # noqa: BLE001  # an adapter's fault must not lose the check, nor show its text
            _log.error("a check failed inside: %s", type(error).__name__)  # a traceback could hold a secret
            await self._fail(OurFault())
        for name, step in self._steps.items():
            if step.state in (StepState.WAITING, StepState.RUNNING):
                await self._tell(Step(name, StepState.SKIPPED, "Not asked"))
        return self._conclude(started_at)

    async def _ask(self) -> None:
        await self._begin(StepName.REACHABLE)
        asked = len(self._adapter.evidence)
        reading = await self._adapter.read_clock()
        await self._end(StepState.PASSED, f"{self._name} answered", duration_ms=self._sum_latency(asked))
        await self._begin(StepName.CLOCK)
        state = StepState.WARNED if reading.is_corrected else StepState.PASSED
        await self._end(state, describe_clock(reading, exchange=self._order.exchange))
        await self._begin(StepName.SIGNATURE)
        asked = len(self._adapter.evidence)
        report = self._attest(await self._adapter.check())
        self._report = report
        first = [entry.latency_ms for entry in self._adapter.evidence[asked:]][:1]
        await self._end(StepState.PASSED, f"{self._name} recognises the key", duration_ms=sum(first) if first else None)
        await self._judge_permissions(report, rest_ms=self._sum_latency(asked + 1))
        if await self._judge_withdrawal(report):
            await self._fetch_balances()

    async def _judge_permissions(self, report: KeyReport, *, rest_ms: int | None) -> None:
        await self._begin(StepName.PERMISSIONS)
        granted = [_RIGHT_NAMES[right] for right in Permission if report.grants.get(right, Grant()).answer is Answer.YES]
        missing = list_missing(self._order.exchange, self._order.plan, report.grants)
        words = f"{' and '.join(granted) or 'Nothing'} granted"
        if missing:
            words = f"{words}, {' and '.join(_RIGHT_NAMES[right] for right in missing)} missing"
        await self._end(StepState.WARNED if missing else StepState.PASSED, words, duration_ms=rest_ms)

    async def _judge_withdrawal(self, report: KeyReport) -> bool:
        """Tell the withdrawal step; return whether the check may go on."""
        await self._begin(StepName.WITHDRAWAL)
        withdraw = report.grants.get(Permission.WITHDRAW, Grant())
        words = describe_withdraw(withdraw, exchange=self._order.exchange)
        if withdraw.answer is Answer.YES:
            stops = Permission.WITHDRAW in self._order.forbidden
            await self._end(StepState.FAILED if stops else StepState.WARNED, words)
            return not stops
        if self._is_caught(report):
            await self._end(StepState.FAILED, f"This key can move funds between accounts now: {self._transfer_box} is on")
            return False
        if self._find_held(report) is not None:
            await self._end(StepState.FAILED, f"{self._name} did not tell whether the right is gone: the key stays in quarantine")
            return False
        is_known = withdraw.answer is Answer.NO and withdraw.proof is not Proof.ATTESTED
        await self._end(StepState.PASSED if is_known else StepState.WARNED, words)
        return True

    async def _fetch_balances(self) -> None:
        await self._begin(StepName.BALANCES)
        asked = len(self._adapter.evidence)
        self._sheet = await self._adapter.fetch_balances()
        count = len({row.asset for row in self._sheet.balances})
        words = "No balances" if count == 0 else f"{count} asset{'s' if count > 1 else ''}"
        if self._sheet.missing:
            words = f"{words} in what was read; not read: {', '.join(row.account for row in self._sheet.missing)}"
        state = StepState.WARNED if self._sheet.missing else StepState.PASSED
        await self._end(state, words, duration_ms=self._sum_latency(asked))

    async def _fail(self, error: ExchangeError) -> None:
        """End the running step by an error. Weather during the balances takes nothing from what the key has shown."""
        self._error = error
        if self._running is StepName.REACHABLE and isinstance(error, ClockSkew):
            await self._end(StepState.PASSED, f"{self._name} answered")
            await self._begin(StepName.CLOCK)
        if self._running is StepName.SIGNATURE and isinstance(error, PermissionMissing | WaitingForConfirmation):
            await self._end(StepState.PASSED, f"{self._name} recognises the key")
            await self._begin(StepName.PERMISSIONS)
        harmless = self._report is not None and not isinstance(error, KeyRefused)
        if isinstance(error, KeyRefused) and not isinstance(error, PermissionMissing):
            self._report = None
        grants = self._report.grants if self._report is not None else None
        about = Circumstances(grants=grants, seen_ip=error.seen_ip, skew_seconds=error.skew_seconds)
        cause = advise(error.code, exchange=self._order.exchange, about=about).cause
        await self._end(StepState.WARNED if harmless else StepState.FAILED, cause)

    def _conclude(self, started_at: datetime) -> CheckOutcome:
        fetching = self._report is not None and self._running is StepName.BALANCES
        return CheckOutcome(
            started_at=started_at,
            finished_at=self._clock(),
            code=self._choose_code(),
            error=self._error,
            report=self._report,
            sheet=self._sheet,
            balances_code=self._error.code if self._error is not None and fetching else None,
            steps=tuple(self._steps.values()),
            evidence=tuple(self._adapter.evidence),
            public_outcome=self._find_public_outcome(),
        )

    def _find_public_outcome(self) -> str | None:
        """Return how the public clock call ended, the last attempt of it: it tells the exchange from the key."""
        label = self._adapter.clock_call.label
        return next((entry.outcome for entry in reversed(self._adapter.evidence) if entry.call == label), None)

    def _choose_code(self) -> str:
        if self._report is None:
            return self._error.code if self._error is not None else "internal"
        if self._report.grants.get(Permission.WITHDRAW, Grant()).answer is Answer.YES:
            return "withdraw_enabled"
        held = self._find_held(self._report)
        if held is Permission.WITHDRAW:
            return "withdraw_enabled"
        if held is not None or self._is_caught(self._report):
            return "transfer_enabled"
        if self._report.waiting:
            return "waiting"
        missing = list_missing(self._order.exchange, self._order.plan, self._report.grants)
        return "permission_missing" if missing or isinstance(self._error, PermissionMissing) else "ok"

    def _attest(self, report: KeyReport) -> KeyReport:
        """Put the trader's word in where the exchange gives no answer about withdrawal."""
        withdraw = report.grants.get(Permission.WITHDRAW, Grant())
        if self._order.attested_at is None or withdraw.answer is not Answer.UNKNOWN:
            return report
        word = Grant(Answer.NO, Proof.ATTESTED, self._order.attested_at)
        return replace(report, grants={**report.grants, Permission.WITHDRAW: word})

    def _is_caught(self, report: KeyReport) -> bool:
        """Tell whether the key has gained the right to transfer, which its plan does not need."""
        gained = report.grants.get(Permission.TRANSFER, Grant()).answer is Answer.YES
        return gained and Permission.TRANSFER in self._order.forbidden

    def _find_held(self, report: KeyReport) -> Permission | None:
        """Return a right for which the key is in quarantine and that may still be there; the trader's word is no answer."""
        for right in Permission:
            grant = report.grants.get(right, Grant())
            if right in self._order.held and (grant.answer is not Answer.NO or grant.proof is Proof.ATTESTED):
                return right
        return None

    @property
    def _transfer_box(self) -> str:
        return find_transfer_box(self._order.exchange)

    @property
    def _name(self) -> str:
        return self._order.exchange.name

    def _sum_latency(self, start: int) -> int | None:
        taken = [entry.latency_ms for entry in self._adapter.evidence[start:]]
        return sum(taken) if taken else None

    async def _begin(self, name: StepName) -> None:
        self._running = name
        await self._tell(Step(name, StepState.RUNNING))

    async def _end(self, state: StepState, detail: str, *, duration_ms: int | None = None) -> None:
        await self._tell(Step(self._running, state, detail, duration_ms))

    async def _tell(self, step: Step) -> None:
        self._steps[step.name] = step
        if self._listener is not None:
            await self._listener(step)


def describe_clock(reading: ClockReading, *, exchange: Exchange) -> str:
    """Return how far this server's clock is from the exchange's, as a sentence."""
    if reading.ahead_seconds is None:
        return f"{exchange.name} does not tell its time here"
    words = f"This server's clock differs by {abs(reading.ahead_seconds):.1f} s"
    return f"{words}; calls are signed with {exchange.name}'s time until it is set right" if reading.is_corrected else words


def describe_withdraw(grant: Grant, *, exchange: Exchange) -> str:
    """Return what is known about withdrawal and how, as a sentence."""
    box = find_box(exchange, Permission.WITHDRAW)
    if grant.answer is Answer.YES:
        return f"This key can move funds out: {box} is on"
    if grant.answer is Answer.UNKNOWN:
        return f"{exchange.name} did not tell whether {box} is off"
    if grant.proof is Proof.ATTESTED:
        return f"{box} is off by your word; {exchange.name} did not tell"
    return f"{exchange.name} says {box} is off" if grant.proof is Proof.TOLD else f"A harmless question showed that {box} is off"
