"""Writes what a verb leaves behind, in the unit of work it runs in: rows, history, balances, and the audit event."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.current_user import Principal
from app.audit import record_event
from app.clock import Clock
from app.credentials import repository, schedule_repository
from app.credentials.attempts import Attempt
from app.credentials.balance_run import BalanceOutcome
from app.credentials.check_run import CheckOutcome
from app.credentials.models import Credential, KeyCheck
from app.credentials.planning import KeyFacts, plan_after_balances, plan_next
from app.credentials.repository import CredentialRow
from app.credentials.safekeeping import Safekeeping
from app.credentials.schedule import SCHEDULED, choose_next_of_locked
from app.credentials.status import tells_of_key
from app.credentials.storage import (
    make_balance_values,
    make_check_row,
    make_locked_row,
    make_pointers,
    make_refresh_values,
    make_way_values,
)
from app.credentials.watch import Watch
from app.credentials.ways import find_first_address
from app.exchanges.types import AccessPlan, Exchange
from app.identifiers import create_id
from app.live.changes import Change, ChangeKind, note_changes
from app.masking import Secret
from app.settings import Settings

KEPT_CHECKS = 200


class Bookkeeping:
    """Every write of credentials within one unit of work."""

    def __init__(self, session: AsyncSession, *, safekeeping: Safekeeping, settings: Settings, clock: Clock) -> None:
        self._session = session
        self._safekeeping = safekeeping
        self._settings = settings
        self._clock = clock
        self.watch = Watch(session, clock=clock)
        self.held: list[Change] | None = None
        """Where a batch collects what it will tell; None: each change is told at once."""

    async def insert(self, principal: Principal, attempt: Attempt) -> str | None:
        """Store a new credential with its first check and balances; return its id.

        None when the user holds the key already, or is gone: then the unit of work was rolled back.
        """
        entry, outcome, now = attempt.entry, attempt.outcome, self._clock()
        credential_id = create_id("crd")
        user_id, exchange, environment = principal.user_id, entry.exchange.slug, entry.environment.value
        check = make_check_row(outcome, credential_id=credential_id, reason="connect", secrets=entry.secrets.values())
        credential = Credential(
            id=credential_id,
            user_id=user_id,
            exchange=exchange,
            environment=environment,
            label=entry.label or await self._choose_label(entry.exchange, user_id=user_id),
            plan=entry.plan.value,
            secret_version=1,
            created_at=now,
            updated_at=now,
            **self._make_key_values(attempt, check),
        )
        secret = self._safekeeping.seal(
            entry.secrets, credential_id=credential_id, user_id=user_id, exchange=exchange, environment=environment,
            secret_version=1, now=now,
        )  # fmt: skip
        label = credential.label  # read before a rollback could expire the row
        try:
            await repository.add_credential(self._session, credential, secret=secret)
        except IntegrityError:
            await self._session.rollback()
            return None
        await self._store_history(check, outcome, user_id=user_id)
        await self.watch.begin(credential_id, outcome, exchange=entry.exchange, plan=entry.plan)
        self.record(principal, "credential.connected", credential_id, exchange=exchange, environment=environment, label=label)
        await self._note_shared_key(principal, attempt, credential_id=credential_id)
        return credential_id

    async def put_in_place(self, principal: Principal, attempt: Attempt, *, row: CredentialRow) -> bool:
        """Store a new key over the old one. False, and rolled back, when it is held elsewhere or the old one changed."""
        entry, outcome, now = attempt.entry, attempt.outcome, self._clock()
        check = make_check_row(outcome, credential_id=row.id, reason="replace", secrets=entry.secrets.values())
        values = {
            "secret_version": row.secret_version + 1,
            "key_set_at": now,
            "checking_since": None,
            "quarantined_at": None,
            "updated_at": now,
            **self._make_key_values(attempt, check),
        }
        if row.paused_at is not None:
            values["next_check_at"] = None
        secret = self._safekeeping.seal(
            entry.secrets, credential_id=row.id, user_id=row.user_id, exchange=row.exchange, environment=row.environment,
            secret_version=row.secret_version + 1, now=now,
        )  # fmt: skip
        try:
            is_changed = await repository.update_credential(
                self._session, row.id, user_id=row.user_id, values=values, secret_version=row.secret_version
            )
        except IntegrityError:
            is_changed = False
        if not is_changed:
            await self._session.rollback()
            return False
        await repository.replace_secret(self._session, secret)
        if row.account_id is None or values["account_id"] != row.account_id:
            await self._forget_balances(row)  # they may be another account's
        await self._store_history(check, outcome, user_id=row.user_id)
        await self.watch.begin_anew(row, outcome, exchange=entry.exchange)
        self.record(principal, "credential.replaced", row.id, exchange=row.exchange, environment=row.environment, label=row.label)
        return True

    async def store_check(
        self,
        row: CredentialRow,
        outcome: CheckOutcome,
        *,
        exchange: Exchange,
        reason: str,
        secrets: Iterable[Secret],
        marked_at: datetime,
    ) -> bool:
        """Store a finished check. False, and nothing stored, when the credential was replaced or removed meanwhile.

        The same when the check took so long that another one has taken over its mark.
        """
        check = make_check_row(outcome, credential_id=row.id, reason=reason, secrets=secrets)
        planned = await self._plan_next(row, outcome, exchange=exchange)
        seen = await self.watch.observe(row, outcome, exchange=exchange)
        values = {"checking_since": None, **planned, **make_pointers(check), **make_way_values(row, outcome), **seen.values}
        if outcome.report is not None and outcome.report.account_id is not None:
            values["account_id"] = outcome.report.account_id
        is_changed = await repository.update_credential(
            self._session,
            row.id,
            user_id=row.user_id,
            values=values,
            secret_version=row.secret_version,
            marked_at=marked_at,
        )
        if is_changed:
            await repository.keep_pause(self._session, row.id, user_id=row.user_id)
            await self._store_history(check, outcome, user_id=row.user_id)
            await self.watch.keep(seen)
            self._note_move(row)
        return is_changed

    async def store_balances(self, row: CredentialRow, outcome: BalanceOutcome | None, *, marked_at: datetime) -> bool:
        """Store balances that were fetched without a check. False, and nothing stored, when the mark is not ours any more.

        Where they tell of the key itself, or could not be asked for (None), a check of its rights is due at once.
        """
        planned = plan_after_balances(row, outcome, settings=self._settings, now=self._clock())
        values = {"checking_since": None, **planned}
        is_changed = await repository.update_credential(
            self._session, row.id, user_id=row.user_id, values=values, secret_version=row.secret_version, marked_at=marked_at
        )
        if is_changed:
            await repository.keep_pause(self._session, row.id, user_id=row.user_id)
        if is_changed and outcome is not None:
            await repository.put_balances(self._session, row.id, user_id=row.user_id, values=make_refresh_values(outcome))
            await self.tell(row.user_id, row.id, ChangeKind.BALANCES)
        return is_changed

    async def store_locked(self, row: CredentialRow, *, reason: str, marked_at: datetime) -> bool:
        """Store that the secrets did not open here; nobody was asked. False, and nothing stored, when it is not ours any more."""
        now = self._clock()
        check = make_locked_row(credential_id=row.id, reason=reason, now=now)
        interval_seconds = self._settings.check_interval_seconds
        next_check_at = choose_next_of_locked(credential_id=row.id, at=now, interval_seconds=interval_seconds)
        values = {"checking_since": None, "next_check_at": next_check_at, "next_balances_at": None, **make_pointers(check)}
        is_changed = await repository.update_credential(
            self._session, row.id, user_id=row.user_id, values=values, secret_version=row.secret_version, marked_at=marked_at
        )
        if is_changed:
            await repository.keep_pause(self._session, row.id, user_id=row.user_id)
            await repository.add_check(self._session, check, keep=KEPT_CHECKS)
            await self.tell(row.user_id, row.id, ChangeKind.CHECKED)
        return is_changed

    async def tell(self, user_id: str, credential_id: str, kind: ChangeKind) -> None:
        """Let open pages hear of a change, once it is committed; in a batch with all others, by `tell_held`."""
        change = Change(user_id, credential_id, kind)
        if self.held is not None:
            self.held.append(change)
        else:
            await note_changes(self._session, [change], at=self._clock())

    async def tell_held(self) -> None:
        """Tell the changes of a batch at once."""
        await note_changes(self._session, self.held or [], at=self._clock())

    def record(self, principal: Principal, action: str, credential_id: str, **detail: str) -> None:
        """Write an audit event of what the user did with a credential of theirs."""
        record_event(
            self._session,
            action,
            at=self._clock(),
            actor_id=principal.user_id,
            owner_id=principal.user_id,
            object_id=credential_id,
            actor_ip=principal.ip,
            detail=detail,
        )

    def _make_key_values(self, attempt: Attempt, check: KeyCheck) -> dict[str, Any]:
        """Return the columns that describe the key itself, the same for a new credential and a replaced key."""
        report = attempt.outcome.report
        facts = KeyFacts(attempt.entry.exchange, attempt.entry.plan, attempt.outcome.finished_at)
        return {
            "key_hint": attempt.entry.key_hint,
            "fingerprint": attempt.fingerprint,
            "account_id": report.account_id if report is not None else None,
            "attested_at": attempt.attested_at,
            "way": attempt.way,
            "former_way": None,
            **plan_next(attempt.outcome, facts, credential_id=check.credential_id, settings=self._settings),
            **make_pointers(check),
        }

    async def _plan_next(self, row: CredentialRow, outcome: CheckOutcome, *, exchange: Exchange) -> dict[str, datetime | None]:
        """Return when to look again; after bad weather ever later, by how many scheduled checks it has spoiled already."""
        failures = 0
        if not tells_of_key(outcome.code):
            failures = await schedule_repository.count_untelling_checks(
                self._session, row.id, user_id=row.user_id, reason=SCHEDULED
            )
        facts = KeyFacts(exchange, AccessPlan(row.plan), row.key_set_at or row.created_at, row.checked_code, failures)
        return plan_next(outcome, facts, credential_id=row.id, settings=self._settings)

    async def _store_history(self, check: KeyCheck, outcome: CheckOutcome, *, user_id: str) -> None:
        await repository.add_check(self._session, check, keep=KEPT_CHECKS)
        values = make_balance_values(outcome)
        await repository.put_balances(self._session, check.credential_id, user_id=user_id, values=values)
        await self.tell(user_id, check.credential_id, ChangeKind.CHECKED)

    async def _forget_balances(self, row: CredentialRow) -> None:
        values = {"fetched_at": None, "document": None, "failed_at": None, "failure_code": None}
        await repository.put_balances(self._session, row.id, user_id=row.user_id, values=values)

    async def _choose_label(self, exchange: Exchange, *, user_id: str) -> str:
        """Return the exchange's name, numbered from the second key on."""
        taken = await repository.list_labels(self._session, user_id=user_id)
        label, number = exchange.name, 1
        while label in taken:
            number += 1
            label = f"{exchange.name} {number}"
        return label

    def _note_move(self, row: CredentialRow) -> None:
        """Write an event for the owner when the key's way out was taken away, and another one was chosen."""
        if row.is_moved:
            ways = self._settings.ways
            before, after = (find_first_address(ways, name) for name in (row.former_way, row.way))
            detail = {"label": row.label, "before": before, "after": after}
            record_event(
                self._session,
                "credential.moved",
                at=self._clock(),
                actor_id=None,
                owner_id=row.user_id,
                object_id=row.id,
                detail=detail,
            )

    async def _note_shared_key(self, principal: Principal, attempt: Attempt, *, credential_id: str) -> None:
        """Write an event for operators when another user connected the same key; neither user is told."""
        entry = attempt.entry
        if await repository.is_held_by_others(
            self._session,
            user_id=principal.user_id,
            exchange=entry.exchange.slug,
            environment=entry.environment.value,
            fingerprint=attempt.fingerprint,
        ):
            record_event(
                self._session,
                "credential.shared_key",
                at=self._clock(),
                actor_id=None,
                owner_id=None,
                object_id=credential_id,
                detail={"exchange": entry.exchange.slug, "environment": entry.environment.value},
            )
