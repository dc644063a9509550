"""Turns stored rows into what its owner, and what support, may see of a credential. Pure: rows and a moment in, views out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from app.credentials.models import KeyCheck
from app.credentials.notices import list_notices
from app.credentials.problems import Circumstances, advise, support_reply
from app.credentials.records import read_evidence, read_grants, read_sheet, read_steps
from app.credentials.repository import CheckRow, CredentialRow
from app.credentials.status import CheckFacts, StatusFacts, Verdict, compute_status, is_checking
from app.credentials.verdict import Blame
from app.credentials.views import Advice, BalancesView, CheckView, CredentialView, SupportCredentialView
from app.exchanges.errors import UnexpectedReply
from app.exchanges.registry import Exchanges
from app.exchanges.types import AccessPlan, Environment, Exchange, Grant, Permission

_NOTHING_TO_DO = "Your {exchange} key works. There is nothing to do."
_PAUSED = "Checks of your {exchange} key are paused. Press Resume in Keydeck when you want them back."


@dataclass(frozen=True, slots=True)
class StoredCredential:
    """The rows a description is made from."""

    row: CredentialRow
    newest: CheckRow | None
    telling: CheckRow | None

    @property
    def grants(self) -> dict[Permission, Grant]:
        return (read_grants(self.telling.grants) if self.telling else None) or {}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known beside the rows.

    `egress` and `former` are the addresses of the key's way out and of the one before (empty: it did not change), `link`
    the exchange's page of keys, `blame` whose problem a failed check is.
    """

    egress: tuple[str, ...]
    former: str = ""
    link: str = ""
    blame: Blame | None = None


def find_exchange(slug: str, *, exchanges: Exchanges) -> Exchange:
    """Return the exchange; a bare stand-in for one that is not on offer any more, so that its credentials stay removable."""
    known = exchanges.get(slug)
    return known or Exchange(slug, slug, slug[:2].capitalize(), (), (), (), (), {}, "")


def judge(stored: StoredCredential, *, exchange: Exchange, now: datetime) -> Verdict:
    row = stored.row
    facts = StatusFacts(
        exchange=exchange,
        plan=AccessPlan(row.plan),
        newest=_collect_facts(stored.newest),
        telling=_collect_facts(stored.telling),
        key_set_at=row.key_set_at or row.created_at,
        is_paused=row.paused_at is not None,
        checking_since=row.checking_since,
    )
    return compute_status(facts, now=now)


def describe_credential(stored: StoredCredential, *, exchange: Exchange, around: Surroundings, now: datetime) -> CredentialView:
    """Return what the owner sees."""
    row, telling = stored.row, stored.telling
    verdict = judge(stored, exchange=exchange, now=now)
    about = replace(_collect_circumstances(stored, egress=around.egress), link=around.link)
    ips = telling.allowed_ips if telling else None
    return CredentialView(
        id=row.id,
        exchange=exchange,
        environment=Environment(row.environment),
        label=row.label,
        plan=AccessPlan(row.plan),
        key_hint=row.key_hint,
        fingerprint=row.fingerprint,
        status=verdict.status,
        advice=advise(verdict.code, exchange=exchange, about=about) if verdict.code else None,
        grants=stored.grants,
        checked_at=stored.newest.finished_at if stored.newest else None,
        next_check_at=row.next_check_at,
        expires_at=telling.expires_at if telling else None,
        allowed_ips=None if ips is None else tuple(ips),
        paused=row.paused_at is not None,
        balances=BalancesView(read_sheet(row.document), row.fetched_at, row.failed_at, row.failure_code),
        account_id=row.account_id,
        created_at=row.created_at,
        updated_at=row.updated_at,
        checking=is_checking(row.checking_since, now=now),
        way=row.way,
        egress=around.egress,
        verdict=around.blame if verdict.code else None,
        notices=list_notices(
            exchange, AccessPlan(row.plan), stored.grants, egress=around.egress, former=around.former, link=around.link
        ),
        quarantined_at=row.quarantined_at,
    )


def describe_check(check: KeyCheck, *, exchange: Exchange, egress: tuple[str, ...]) -> CheckView:
    grants = read_grants(check.grants)
    about = Circumstances(grants, egress, check.seen_ip, check.expires_at, check.skew_seconds)
    advice: Advice | None = None if check.code == "ok" else advise(check.code, exchange=exchange, about=about)
    return CheckView(
        id=check.id,
        reason=check.reason,
        started_at=check.started_at,
        finished_at=check.finished_at,
        code=check.code,
        steps=read_steps(check.steps),
        evidence=read_evidence(check.evidence),
        advice=advice,
        grants=grants,
        told="" if check.code == UnexpectedReply.code else check.told,  # those words are mostly ours
    )


def describe_for_support(
    stored: StoredCredential,
    *,
    email: str,
    exchange: Exchange,
    egress: tuple[str, ...],
    now: datetime,
    checks: Sequence[Mapping[str, Any]],
    blame: Blame | None = None,
) -> SupportCredentialView:
    """Return what staff may see: the address the exchange saw is left out, like everything that only the owner needs."""
    row = stored.row
    verdict = judge(stored, exchange=exchange, now=now)
    about = _collect_circumstances(stored, egress=egress, shows_seen_ip=False)
    advice = advise(verdict.code, exchange=exchange, about=about) if verdict.code else None
    fine = (_PAUSED if row.paused_at else _NOTHING_TO_DO).format(exchange=exchange.name)
    reply = support_reply(verdict.code, exchange=exchange, about=about) if verdict.code else fine
    return SupportCredentialView(
        id=row.id,
        owner_email=email,
        exchange_name=exchange.name,
        exchange_slug=exchange.slug,
        environment=Environment(row.environment),
        plan=AccessPlan(row.plan),
        status=verdict.status,
        code=verdict.code,
        cause=advice.cause if advice else "",
        who_acts=advice.who_acts if advice else "nobody",
        reply=" ".join(part for part in (reply, blame.reply if blame and verdict.code else "") if part),
        verdict=blame if verdict.code else None,
        grants=stored.grants,
        checked_at=stored.newest.finished_at if stored.newest else None,
        next_check_at=row.next_check_at,
        expires_at=stored.telling.expires_at if stored.telling else None,
        created_at=row.created_at,
        checks=tuple(checks),
    )


def _collect_facts(check: CheckRow | None) -> CheckFacts | None:
    return None if check is None else CheckFacts(check.code, read_grants(check.grants), check.expires_at)


def _collect_circumstances(stored: StoredCredential, *, egress: tuple[str, ...], shows_seen_ip: bool = True) -> Circumstances:
    """Take each fact from the check that knows it: our clock from the newest, the key's from the telling one."""
    newest, telling = stored.newest, stored.telling
    return Circumstances(
        grants=stored.grants or None,
        egress=egress,
        seen_ip=telling.seen_ip if telling and shows_seen_ip else None,
        expires_at=telling.expires_at if telling else None,
        skew_seconds=newest.skew_seconds if newest else None,
    )
