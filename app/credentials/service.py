"""The five verbs on credentials: connect, re-check, replace, pause, disconnect; and what owners and support may see.

The exchange is always asked with no transaction open; what it said is then stored in one.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.current_user import Principal
from app.clock import Clock
from app.credentials import repository
from app.credentials.attempts import Attempts
from app.credentials.change_words import ChangeView
from app.credentials.connect import ConnectInput, StepListener
from app.credentials.entry import CleanEntry, clean_label, parse_plan, refuse_input
from app.credentials.lookups import Lookups
from app.credentials.questions import Questions, demand_offered, make_claim
from app.credentials.repository import CredentialRow
from app.credentials.safekeeping import Safekeeping
from app.credentials.schedule import Schedule
from app.credentials.schedule_repository import Duty
from app.credentials.status import CHECK_TIME
from app.credentials.unasked import is_in_time
from app.credentials.views import CheckView, CredentialView, SupportCredentialView
from app.exchanges.registry import Exchanges
from app.exchanges.types import Exchange
from app.live.changes import ChangeKind
from app.masking import Secret
from app.settings import Settings
from app.vault.envelope import Vault, VaultError
from app.web.errors import NotFound, Problem


class Credentials:
    """Everything one request or job does with credentials, on its session (a writing one for the verbs)."""

    def __init__(self, session: AsyncSession, *, vault: Vault, exchanges: Exchanges, settings: Settings, clock: Clock) -> None:
        self._session = session
        self._exchanges = exchanges
        self._settings = settings
        self._clock = clock
        self._safekeeping = Safekeeping(session, vault=vault)
        self._attempts = Attempts(session, exchanges=exchanges, settings=settings, clock=clock)
        self._questions = Questions(session, vault=vault, exchanges=exchanges, settings=settings, clock=clock)
        self._books = self._questions.books
        self._lookups = Lookups(session, exchanges=exchanges, settings=settings, clock=clock)

    async def list_all(self, principal: Principal) -> list[CredentialView]:
        """Return the user's credentials, most severe first."""
        return await self._lookups.list_all(user_id=principal.user_id)

    async def list_page(self, principal: Principal, *, limit: int, after: str | None) -> tuple[list[CredentialView], str | None]:
        """Return a page of the user's credentials by id, and the id to go on after (None: that was all)."""
        return await self._lookups.list_page(user_id=principal.user_id, limit=limit, after=after)

    async def get(self, principal: Principal, credential_id: str) -> CredentialView:
        """Return one credential. Raises NotFound, the same for an unknown id and another user's."""
        return await self._lookups.get(credential_id, user_id=principal.user_id)

    async def list_checks(
        self, principal: Principal, credential_id: str, *, limit: int = 20, before: str | None = None
    ) -> list[CheckView]:
        """Return the history, newest first; `before` is the id of the check to go on from. Raises NotFound."""
        return await self._lookups.list_checks(credential_id, user_id=principal.user_id, limit=limit, before=before)

    async def list_changes(self, principal: Principal, credential_id: str) -> list[ChangeView]:
        """Return what changed about a key without anybody's doing here, newest first. Raises NotFound."""
        return await self._lookups.list_changes(credential_id, user_id=principal.user_id)

    async def find_for_support(self, query: str) -> list[SupportCredentialView]:
        """Return credentials by id or by the beginning of the owner's e-mail, without anything staff must not see."""
        return await self._lookups.find_for_support(query)

    async def connect(
        self, principal: Principal, entered: ConnectInput, *, on_step: StepListener | None = None
    ) -> CredentialView:
        """Check a key and store it. Raises ConnectRefused when it is refused: then nothing is stored."""
        entry = await self._attempts.read_entry(entered, on_step=on_step)
        fingerprint = self._fingerprint(entry)
        await self._refuse_held(principal, entry, fingerprint=fingerprint)
        way = await self._attempts.choose_way(entry.exchange.slug, wanted=entered.way)
        attempt = await self._attempts.try_key(entry, fingerprint, way=way, on_step=on_step)
        credential_id = await self._books.insert(principal, attempt)
        if credential_id is None:  # the same key was connected while the exchange was asked
            await self._refuse_held(principal, entry, fingerprint=fingerprint)
            raise NotFound("account")
        return await self.get(principal, credential_id)

    async def propose_way(self, exchange: Exchange) -> str:
        """Return the way out that the next key of this exchange should use, so that the guide can show its address."""
        return await self._attempts.choose_way(exchange.slug)

    async def check(
        self, principal: Principal, credential_id: str, *, reason: str = "manual", on_step: StepListener | None = None
    ) -> CredentialView:
        """Check a stored key now and keep what came back. While another check runs, its result is the one to wait for.

        Raises NotFound, and Problem where this server no longer offers the exchange.
        """
        row = await self._lookups.get_row(credential_id, user_id=principal.user_id)
        demand_offered(row, exchanges=self._exchanges)
        now = self._clock()
        if await repository.begin_check(self._session, row.id, user_id=row.user_id, now=now, stale_before=now - CHECK_TIME):
            await self._books.tell(row.user_id, row.id, ChangeKind.CHECKING)
            if not await self._check_marked(row, marked_at=now, reason=reason, on_step=on_step):
                return await self.get(principal, credential_id)
            view = await self.get(principal, credential_id)
            code = view.advice.code if view.advice else "ok"
            self._books.record(principal, "credential.checked", row.id, label=row.label, exchange=row.exchange, code=code)
            return view
        return await self.get(principal, credential_id)

    async def replace(
        self,
        principal: Principal,
        credential_id: str,
        secrets: Mapping[str, Secret],
        *,
        attested: bool = False,
        on_step: StepListener | None = None,
    ) -> CredentialView:
        """Put a new key in place of the old one, which stays until the new one has passed.

        Raises ConnectRefused when the new key is refused or belongs to another account, NotFound.
        """
        row = await self._lookups.get_row(credential_id, user_id=principal.user_id)
        exchange = demand_offered(row, exchanges=self._exchanges)
        entered = ConnectInput(row.exchange, row.environment, row.label, row.plan, secrets, attested=attested)
        entry = await self._attempts.read_entry(entered, on_step=on_step)
        fingerprint = self._fingerprint(entry)
        await self._refuse_held(principal, entry, fingerprint=fingerprint, but=row.id)
        way = await self._attempts.choose_way(row.exchange, wanted=row.way or "")
        attempt = await self._attempts.try_key(entry, fingerprint, way=way, on_step=on_step)
        account_id = attempt.outcome.report.account_id if attempt.outcome.report else None
        if row.account_id and account_id and account_id != row.account_id:
            raise self._attempts.refuse("other_account", exchange, outcome=attempt.outcome)
        if not await self._books.put_in_place(principal, attempt, row=row):
            await self._refuse_held(principal, entry, fingerprint=fingerprint, but=row.id)
            await self._lookups.get_row(credential_id, user_id=principal.user_id)
            raise Problem("conflict", status=409, title="The key was replaced meanwhile", next_step="Look at it again.")
        return await self.get(principal, credential_id)

    async def update(
        self,
        principal: Principal,
        credential_id: str,
        *,
        label: str | None = None,
        plan: str | None = None,
        paused: bool | None = None,
    ) -> CredentialView:
        """Rename, change the plan, pause or resume. Raises ConnectRefused for a value that cannot be used, NotFound."""
        row = await self._lookups.get_row(credential_id, user_id=principal.user_id)
        values: dict[str, Any] = {}
        if label is not None and (cleaned := await self._clean_new_label(row, label)) != row.label:
            values["label"] = cleaned
            self._books.record(principal, "credential.renamed", row.id, before=row.label, after=cleaned)
        if plan is not None and (chosen := parse_plan(plan)).value != row.plan:
            values["plan"] = chosen.value
            if row.quarantined_at is not None and row.paused_at is None:
                values["next_check_at"] = self._clock()  # the new plan may allow what the key was put aside for
            self._books.record(principal, "credential.plan_changed", row.id, label=row.label, before=row.plan, after=chosen.value)
        if paused is not None and paused != (row.paused_at is not None):
            now = self._clock()
            values |= {"paused_at": now if paused else None, "next_check_at": None if paused else now}
            self._books.record(principal, "credential.paused" if paused else "credential.resumed", row.id, label=row.label)
        if values:
            values["updated_at"] = self._clock()
            await repository.update_credential(self._session, row.id, user_id=row.user_id, values=values)
            await self._books.tell(row.user_id, row.id, ChangeKind.CHANGED)
        return await self.get(principal, credential_id)

    async def disconnect(self, principal: Principal, credential_id: str) -> None:
        """Erase the credential with its secrets, checks and balances; only the audit event stays. Raises NotFound."""
        row = await self._lookups.get_row(credential_id, user_id=principal.user_id)
        await repository.delete_credential(self._session, row.id, user_id=row.user_id)
        await self._books.tell(row.user_id, row.id, ChangeKind.GONE)
        self._books.record(
            principal, "credential.disconnected", row.id, exchange=row.exchange, environment=row.environment, label=row.label
        )

    async def _check_marked(
        self,
        row: CredentialRow,
        *,
        marked_at: datetime,
        reason: str,
        on_step: StepListener | None = None,
    ) -> bool:
        """Make the check that the mark stands for, and store what came back. False, and nothing stored, when that came late.

        Then the mark was left to whoever comes next; where nobody has come yet the check is due at once.
        """
        question = await self._questions.prepare(row, duty=Duty.RIGHTS, marked_at=marked_at, reason=reason)
        await self._session.commit()  # the mark must be seen, and no transaction may wait on the network
        answer = await self._questions.ask(question, on_step=on_step)
        if is_in_time(question, now=self._clock()):
            return await self._questions.store(question, answer)
        await Schedule(self._session, clock=self._clock).put_off(make_claim(question), seconds=0.0)
        return False

    def _fingerprint(self, entry: CleanEntry) -> str:
        return self._safekeeping.fingerprint(
            exchange=entry.exchange.slug, environment=entry.environment.value, secrets=entry.secrets
        )

    async def _refuse_held(self, principal: Principal, entry: CleanEntry, *, fingerprint: str, but: str | None = None) -> None:
        """Raise ConnectRefused when another credential of the user holds this key already."""
        holder = await repository.find_holder(
            self._session,
            user_id=principal.user_id,
            exchange=entry.exchange.slug,
            environment=entry.environment.value,
            fingerprint=fingerprint,
        )
        if holder is not None and holder != but:
            raise self._attempts.refuse("duplicate_key", entry.exchange, existing_id=holder)

    async def _clean_new_label(self, row: CredentialRow, label: str) -> str:
        """Return the label for a stored key. Raises ConnectRefused when it is empty, too long or holds a part of the key."""
        try:
            secrets = tuple((await self._safekeeping.open(row)).values.values())
        except VaultError:
            secrets = ()  # what cannot be opened cannot be compared; renaming must still work
        cleaned = clean_label(label, secrets=secrets)
        if not cleaned:
            raise refuse_input("label", "The label is empty.", "Type a name for this key.")
        return cleaned
