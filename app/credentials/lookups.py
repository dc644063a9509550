"""Reads credentials: their owner's lists and pages, and what support may find."""

import re
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import Clock
from app.credentials import change_repository, repository
from app.credentials.change_words import ChangeView, describe_change
from app.credentials.descriptions import (
    StoredCredential,
    Surroundings,
    describe_check,
    describe_credential,
    describe_for_support,
    find_exchange,
)
from app.credentials.repository import CheckRow, CredentialRow
from app.credentials.status import SEVERITY
from app.credentials.verdict import Blame
from app.credentials.views import CheckView, CredentialView, SupportCredentialView
from app.credentials.ways import find_first_address, list_allowed
from app.credentials.weighing import Case, Weighing
from app.exchanges.registry import Exchanges
from app.exchanges.types import Environment
from app.settings import Settings
from app.web.errors import NotFound

SUPPORT_ROWS = 100
CHANGES_SHOWN = 10
SUPPORT_CHECKS = 10
SHORTEST_EMAIL = 3
_ID_PREFIX = "crd_"
_FINGERPRINT = re.compile(r"[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}")


class Lookups:
    """Every reading of credentials within one unit of work."""

    def __init__(self, session: AsyncSession, *, exchanges: Exchanges, settings: Settings, clock: Clock) -> None:
        self._session = session
        self._exchanges = exchanges
        self._settings = settings
        self._clock = clock
        self._weighing = Weighing(session, exchanges=exchanges, settings=settings, clock=clock)

    async def get_row(self, credential_id: str, *, user_id: str) -> CredentialRow:
        """Return the row. Raises NotFound, the same for an unknown id and another user's."""
        row = await repository.get_row(self._session, credential_id, user_id=user_id)
        if row is None:
            raise NotFound("credential")
        return row

    async def get(self, credential_id: str, *, user_id: str) -> CredentialView:
        row = await self.get_row(credential_id, user_id=user_id)
        return (await self._describe([row], user_id=user_id))[0]

    async def list_all(self, *, user_id: str) -> list[CredentialView]:
        """Return the user's credentials, most severe first, then by label."""
        views = await self._describe(await repository.list_rows(self._session, user_id=user_id), user_id=user_id)
        return sorted(views, key=lambda view: (SEVERITY[view.status], view.label.lower(), view.id))

    async def list_page(self, *, user_id: str, limit: int, after: str | None) -> tuple[list[CredentialView], str | None]:
        rows = await repository.list_rows(self._session, user_id=user_id, after=after, limit=limit + 1)
        views = await self._describe(rows[:limit], user_id=user_id)
        return views, (rows[limit - 1].id if len(rows) > limit else None)

    async def list_checks(self, credential_id: str, *, user_id: str, limit: int, before: str | None) -> list[CheckView]:
        """Return the newest checks first. Raises NotFound."""
        row = await self.get_row(credential_id, user_id=user_id)
        exchange = find_exchange(row.exchange, exchanges=self._exchanges)
        checks = await repository.list_checks(self._session, row.id, user_id=user_id, limit=limit, before=before)
        egress = list_allowed(self._settings.ways, row.way)
        return [describe_check(check, exchange=exchange, egress=egress) for check in checks]

    async def list_changes(self, credential_id: str, *, user_id: str) -> list[ChangeView]:
        """Return the newest changes first. Raises NotFound."""
        row = await self.get_row(credential_id, user_id=user_id)
        exchange = find_exchange(row.exchange, exchanges=self._exchanges)
        found = await change_repository.list_changes(self._session, row.id, user_id=user_id, limit=CHANGES_SHOWN)
        return [
            ChangeView(one.at, describe_change(one.kind, phase=one.phase, facts=one.facts, exchange=exchange)) for one in found
        ]

    async def find_for_support(self, query: str) -> list[SupportCredentialView]:
        """Return credentials by id, by fingerprint as pages show it, or by the beginning of the owner's e-mail."""
        asked = query.strip().lower()
        by = name_handle(asked)
        if by is None:
            return []
        handle = asked.replace("-", "") if by == "fingerprint" else asked
        found = await repository.list_rows_for_support(self._session, limit=SUPPORT_ROWS, **{by: handle})
        known = await repository.list_check_rows_for_support(self._session, _list_check_ids([row for row, _ in found]))
        recent = await repository.list_recent_for_support(self._session, [row.id for row, _ in found], limit=SUPPORT_CHECKS)
        now = self._clock()
        blames = await self._weigh([_join(row, known) for row, _ in found])
        views = [
            describe_for_support(
                _join(row, known),
                email=email,
                exchange=find_exchange(row.exchange, exchanges=self._exchanges),
                egress=list_allowed(self._settings.ways, row.way),
                now=now,
                checks=recent.get(row.id, []),
                blame=blames.get(row.id),
            )
            for row, email in found
        ]
        return sorted(views, key=lambda view: (view.owner_email != asked, view.owner_email, SEVERITY[view.status], view.id))

    async def _describe(self, rows: Sequence[CredentialRow], *, user_id: str) -> list[CredentialView]:
        known = await repository.list_check_rows(self._session, _list_check_ids(rows), user_id=user_id)
        now = self._clock()
        blames = await self._weigh([_join(row, known) for row in rows])
        return [
            describe_credential(
                _join(row, known),
                exchange=find_exchange(row.exchange, exchanges=self._exchanges),
                around=Surroundings(
                    egress=list_allowed(self._settings.ways, row.way),
                    former=find_first_address(self._settings.ways, row.former_way),
                    link=self._find_link(row),
                    blame=blames.get(row.id),
                ),
                now=now,
            )
            for row in rows
        ]

    async def _weigh(self, stored: Sequence[StoredCredential]) -> dict[str, Blame]:
        """Return whose problem each newest check that failed is, by credential."""
        return await self._weighing.weigh(
            [
                Case(
                    one.row.id,
                    find_exchange(one.row.exchange, exchanges=self._exchanges),
                    one.row.environment,
                    one.newest.code,
                    one.newest.public_outcome,
                    one.row.way,
                )
                for one in stored
                if one.newest is not None and one.row.paused_at is None
            ]
        )

    def _find_link(self, row: CredentialRow) -> str:
        """Return the exchange's page on which keys are made and changed; empty where there is none."""
        if Environment(row.environment) not in self._exchanges.list_environments(row.exchange):
            return ""
        site = self._exchanges.site(row.exchange, Environment(row.environment))
        return site.keys_url if site is not None else ""


def name_handle(asked: str) -> str | None:
    """Return by what a query of support's asks: `credential_id`, `fingerprint` or `email`; None when it is too short for any."""
    if asked.startswith(_ID_PREFIX):
        return "credential_id"
    if _FINGERPRINT.fullmatch(asked):
        return "fingerprint"
    return "email" if len(asked) >= SHORTEST_EMAIL else None


def _list_check_ids(rows: Sequence[CredentialRow]) -> list[str]:
    return [check_id for row in rows for check_id in {row.newest_check_id, row.telling_check_id} if check_id]


def _join(row: CredentialRow, known: dict[str, CheckRow]) -> StoredCredential:
    return StoredCredential(row, known.get(row.newest_check_id or ""), known.get(row.telling_check_id or ""))
