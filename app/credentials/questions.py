"""A marked credential on its way: opened, asked with no transaction open, and what came back stored.

For a check that a person waits for and for the server's own batches alike, so that there is one way to ask.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import Clock
from app.credentials.attempts import Attempts
from app.credentials.balance_run import BalanceOutcome, fetch_balances
from app.credentials.batch_repository import Refresh, store_refreshes_for_worker
from app.credentials.bookkeeping import Bookkeeping
from app.credentials.check_run import CheckOrder, CheckOutcome, CheckRun
from app.credentials.connect import StepListener
from app.credentials.entry import make_format_step
from app.credentials.models import CredentialSecret
from app.credentials.planning import plan_after_balances
from app.credentials.repository import CredentialRow
from app.credentials.safekeeping import Safekeeping, Use
from app.credentials.schedule_repository import ClaimedCheck, Duty
from app.credentials.storage import make_refresh_values
from app.exchanges.registry import Exchanges
from app.exchanges.types import AccessPlan, Environment, Exchange, Secrets
from app.live.changes import ChangeKind
from app.settings import Settings
from app.vault.envelope import Vault, VaultError
from app.web.errors import Problem

Answer = CheckOutcome | BalanceOutcome


@dataclass(frozen=True, slots=True)
class Question:
    """A credential under a mark of ours, ready to be asked. Without secrets: they did not open, and nobody is asked."""

    row: CredentialRow
    exchange: Exchange
    duty: Duty
    marked_at: datetime
    reason: str
    order: CheckOrder | None
    secrets: Secrets | None


Asked = tuple[Question, Answer | None]


class Questions:
    """Prepares and stores in one unit of work; `ask` needs none."""

    def __init__(self, session: AsyncSession, *, vault: Vault, exchanges: Exchanges, settings: Settings, clock: Clock) -> None:
        self._session = session
        self._exchanges = exchanges
        self._settings = settings
        self._clock = clock
        self._safekeeping = Safekeeping(session, vault=vault)
        self._attempts = Attempts(session, exchanges=exchanges, settings=settings, clock=clock)
        self.books = Bookkeeping(session, safekeeping=self._safekeeping, settings=settings, clock=clock)

    async def prepare(
        self, row: CredentialRow, *, duty: Duty, marked_at: datetime, reason: str, sealed: CredentialSecret | None = None
    ) -> Question:
        """Open the credential's secrets, which may be at hand. Raises Problem where this server no longer offers its exchange."""
        exchange = demand_offered(row, exchanges=self._exchanges)
        row = await self._attempts.settle_way(row)
        try:
            use = Use.CHECK if duty is Duty.RIGHTS else Use.ANYTHING_ELSE
            secrets: Secrets | None = await self._safekeeping.open(row, use=use, sealed=sealed)
        except VaultError:
            secrets = None
        if secrets is None or duty is Duty.BALANCES:
            return Question(row, exchange, duty, marked_at, reason, None, secrets)
        order = self._attempts.make_order(
            exchange,
            AccessPlan(row.plan),
            known=await self.books.watch.recall(row),
            attested_at=row.attested_at,
            format_step=make_format_step(secrets.values, exchange=exchange),
        )
        return Question(row, exchange, duty, marked_at, reason, order, secrets)

    async def ask(self, question: Question, *, on_step: StepListener | None = None) -> Answer | None:
        """Ask the exchange; None where there is nothing to ask with. Never with a transaction open."""
        return await ask_exchange(question, exchanges=self._exchanges, clock=self._clock, on_step=on_step)

    async def store_refreshes(self, answers: Sequence[Asked]) -> list[Asked]:
        """Store all plain news of balances at once; return the rest, which is to be stored one by one."""
        refreshes: list[Refresh] = []
        rest: list[Asked] = []
        for question, answer in answers:
            refresh = self._make_refresh(question, answer)
            if refresh is None:
                rest.append((question, answer))
            else:
                refreshes.append(refresh)
        for refresh in await store_refreshes_for_worker(self._session, refreshes):
            await self.books.tell(refresh.user_id, refresh.credential_id, ChangeKind.BALANCES)
        return rest

    def _make_refresh(self, question: Question, answer: Answer | None) -> Refresh | None:
        """Return what balances alone leave behind; None where they tell more, or nothing."""
        if question.duty is not Duty.BALANCES or not isinstance(answer, BalanceOutcome) or answer.sheet is None:
            return None
        row = question.row
        planned = plan_after_balances(row, answer, settings=self._settings, now=self._clock())
        if set(planned) != {"next_balances_at"}:
            return None
        values = make_refresh_values(answer)
        return Refresh(row.id, row.user_id, row.secret_version, question.marked_at, planned["next_balances_at"], values)

    async def store(self, question: Question, answer: Answer | None) -> bool:
        """Store what came back. False, and nothing stored, when the mark is not ours any more or the key was replaced."""
        if question.duty is Duty.BALANCES:
            outcome = answer if isinstance(answer, BalanceOutcome) else None
            return await self.books.store_balances(question.row, outcome, marked_at=question.marked_at)
        if not isinstance(answer, CheckOutcome) or question.secrets is None:
            return await self.books.store_locked(question.row, reason=question.reason, marked_at=question.marked_at)
        return await self.books.store_check(
            question.row,
            answer,
            exchange=question.exchange,
            reason=question.reason,
            secrets=question.secrets.values.values(),
            marked_at=question.marked_at,
        )


async def ask_exchange(
    question: Question, *, exchanges: Exchanges, clock: Clock, on_step: StepListener | None = None
) -> Answer | None:
    """Ask the exchange, without a database; None where there is nothing to ask with."""
    row, secrets = question.row, question.secrets
    if secrets is None:
        return None
    environment = Environment(row.environment)
    adapter = exchanges.open(question.exchange.slug, environment, secrets, key_id=row.fingerprint, way=row.way)
    if question.order is None:
        return await fetch_balances(adapter, clock=clock)
    return await CheckRun(adapter, question.order, clock=clock, listener=on_step).run()


def make_claim(question: Question) -> ClaimedCheck:
    """Return the claim that a question came from."""
    return ClaimedCheck(question.row.id, question.row.user_id, question.marked_at, question.duty)


def demand_offered(row: CredentialRow, *, exchanges: Exchanges) -> Exchange:
    """Return the exchange. Raises Problem when this server no longer offers it, or this environment of it."""
    exchange = exchanges.get(row.exchange)
    if exchange is None or Environment(row.environment) not in exchanges.list_environments(row.exchange):
        raise Problem(
            "exchange_not_offered",
            status=409,
            title="This exchange is not offered here any more",
            detail="The operator took it off the list. The credential stays stored and can be disconnected.",
            who_acts="operator",
            next_step="Ask your operator.",
        )
    return exchange
