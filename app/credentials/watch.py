"""Writes down what changed about a key, in the transaction that stores the check: conditions, quarantine, the alerts' outbox."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.audit import record_event
from app.clock import Clock
from app.credentials import change_repository, repository
from app.credentials.change_models import ChangeKind, CredentialChange, CredentialWatch, Phase
from app.credentials.check_run import CheckOutcome
from app.credentials.records import read_grants
from app.credentials.repository import CredentialRow
from app.credentials.tripwire import QUARANTINES, Change, Known, Seen, compare, learn
from app.exchanges.types import AccessPlan, Answer, Exchange, Permission
from app.identifiers import create_id

KEPT_CHANGES = 100
BALANCES_AGE = timedelta(hours=1)
SETTLED = timedelta(minutes=5)
_SWEPT_AT_ONCE = 200
_EVENTS = {
    (ChangeKind.STOPPED_WORKING, Phase.BEGAN): "credential.stopped_working",
    (ChangeKind.STOPPED_WORKING, Phase.ENDED): "credential.works_again",
    (ChangeKind.RIGHT_LOST, Phase.BEGAN): "credential.right_lost",
    (ChangeKind.RIGHT_LOST, Phase.ENDED): "credential.right_back",
    (ChangeKind.EXPIRING, Phase.BEGAN): "credential.expiring",
    (ChangeKind.ADDRESSES_CHANGED, Phase.HAPPENED): "credential.addresses_changed",
}


@dataclass(frozen=True, slots=True)
class Observation:
    """What a check means for its key, before it is written. `values` are columns for the credential's own update."""

    row: CredentialRow
    known: Known
    changes: Sequence[Change]
    values: dict[str, Any]
    at: datetime


class Watch:
    """Everything that is noted about changes within one unit of work."""

    def __init__(self, session: AsyncSession, *, clock: Clock) -> None:
        self._session = session
        self._clock = clock

    async def recall(self, row: CredentialRow) -> Known:
        """Return what is known of a key; of one that was connected by an older version, what its newest check said."""
        stored = await change_repository.get_watch(self._session, row.id, user_id=row.user_id)
        if stored is not None:
            return read_watch(stored)
        if row.telling_check_id is None:
            return Known()
        checks = await repository.list_check_rows(self._session, [row.telling_check_id], user_id=row.user_id)
        check = checks.get(row.telling_check_id)
        grants = read_grants(check.grants) if check is not None else None
        if check is None or grants is None:
            return Known()
        rights = {right.value: grant.answer.value for right, grant in grants.items() if grant.answer is not Answer.UNKNOWN}
        if rights.get(Permission.WITHDRAW) == Answer.YES:
            del rights[Permission.WITHDRAW]  # no key may be used that was found so before quarantine existed
        return Known(rights, None if check.allowed_ips is None else tuple(check.allowed_ips))

    async def observe(self, row: CredentialRow, outcome: CheckOutcome, *, exchange: Exchange) -> Observation:
        """Compare a finished check with what was known. Writes nothing."""
        known, changes = compare(await self.recall(row), make_seen(outcome, exchange=exchange, plan=AccessPlan(row.plan)))
        values: dict[str, Any] = {}
        if known.is_quarantined != (row.quarantined_at is not None):
            values["quarantined_at"] = outcome.finished_at if known.is_quarantined else None
        return Observation(row, known, changes, values, outcome.finished_at)

    async def keep(self, seen: Observation) -> None:
        """Write an observation down, once its check was stored."""
        await self._put(seen.row, seen.known)
        for change in seen.changes:
            await self._add(seen.row.id, change, at=seen.at)
            self._record(seen.row, change, at=seen.at)

    async def begin(self, credential_id: str, outcome: CheckOutcome, *, exchange: Exchange, plan: AccessPlan) -> None:
        """Note what a new key may do: later checks are compared with that."""
        stored = CredentialWatch(credential_id=credential_id)
        await self._write(stored, learn(make_seen(outcome, exchange=exchange, plan=plan)))

    async def begin_anew(self, row: CredentialRow, outcome: CheckOutcome, *, exchange: Exchange) -> None:
        """Note what the key in place of another may do; what was wrong with the old one has ended."""
        known = await self.recall(row)
        for kind in known.conditions:
            change = Change(ChangeKind(kind), Phase.ENDED, {"replaced": "yes"})
            await self._add(row.id, change, at=outcome.finished_at)
            self._record(row, change, at=outcome.finished_at)
        await self._put(row, learn(make_seen(outcome, exchange=exchange, plan=AccessPlan(row.plan))))

    async def sweep_ages(self) -> int:
        """Note balances that have become old, and those that were read again; return how many of both."""
        now = self._clock()
        aged = await change_repository.list_aged_for_worker(
            self._session, before=now - BALANCES_AGE, settled_before=now - SETTLED, limit=_SWEPT_AT_ONCE
        )
        for found in aged:
            since = "" if found.fetched_at is None else found.fetched_at.isoformat()
            if await change_repository.note_age_for_worker(self._session, found.credential_id, since=now):
                await self._add(found.credential_id, Change(ChangeKind.BALANCES_OLD, Phase.BEGAN, {"since": since}), at=now)
        fresh = await change_repository.list_refreshed_for_worker(self._session, limit=_SWEPT_AT_ONCE)
        for found in fresh:
            if await change_repository.note_age_for_worker(self._session, found.credential_id, since=None):
                await self._add(found.credential_id, Change(ChangeKind.BALANCES_OLD, Phase.ENDED), at=now)
        return len(aged) + len(fresh)

    async def _put(self, row: CredentialRow, known: Known) -> None:
        stored = await change_repository.get_watch(self._session, row.id, user_id=row.user_id)
        if stored is None or read_watch(stored) != known:
            await self._write(stored or CredentialWatch(credential_id=row.id), known)

    async def _write(self, row: CredentialWatch, known: Known) -> None:
        row.rights = dict(known.rights)
        row.addresses = None if known.addresses is None else list(known.addresses)
        row.conditions = dict(known.conditions)
        await change_repository.put_watch(self._session, row)

    async def _add(self, credential_id: str, change: Change, *, at: datetime) -> None:
        row = CredentialChange(
            id=create_id("chg"),
            credential_id=credential_id,
            at=at,
            kind=change.kind.value,
            phase=change.phase.value,
            facts=dict(change.facts),
        )
        await change_repository.add_change(self._session, row, keep=KEPT_CHANGES)

    def _record(self, row: CredentialRow, change: Change, *, at: datetime) -> None:
        """Write the event that the owner's activity shows, with what was before and after."""
        action = name_event(change)
        if action is None:
            return
        detail = {name: change.facts[name] for name in ("before", "after", "code", "days") if name in change.facts}
        record_event(
            self._session,
            action,
            at=at,
            actor_id=None,
            owner_id=row.user_id,
            object_id=row.id,
            detail={"label": row.label, "exchange": row.exchange, **detail},
        )


def name_event(change: Change) -> str | None:
    """Return the audit action of a change; None for one that only alerts tell of."""
    if change.kind in QUARANTINES:
        return "credential.quarantined" if change.phase is Phase.BEGAN else "credential.released"
    return _EVENTS.get((change.kind, change.phase))


def make_seen(outcome: CheckOutcome, *, exchange: Exchange, plan: AccessPlan) -> Seen:
    report = outcome.report
    return Seen(
        exchange=exchange,
        plan=plan,
        code=outcome.code,
        grants=outcome.grants,
        addresses=None if report is None else report.allowed_ips,
        expires_at=None if report is None else report.expires_at,
        at=outcome.finished_at,
    )


def read_watch(row: CredentialWatch) -> Known:
    return Known(dict(row.rights), None if row.addresses is None else tuple(row.addresses), dict(row.conditions))
