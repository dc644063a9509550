"""What pages and the API show of a credential: frozen values without any secret."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from app.credentials.verdict import Blame
from app.exchanges.types import AccessPlan, BalanceSheet, CallEvidence, Environment, Exchange, Grant, Permission


class Status(StrEnum):
    """What the page says now, most severe first."""

    WITHDRAW_ENABLED = "withdraw_enabled"
    QUARANTINED = "quarantined"
    INVALID_KEY = "invalid_key"
    KEY_EXPIRED = "key_expired"
    IP_NOT_ALLOWED = "ip_not_allowed"
    ACCOUNT_BLOCKED = "account_blocked"
    LOCKED = "locked"
    LIMITED = "limited"
    WAITING = "waiting"
    EXPIRING = "expiring"
    UNAVAILABLE = "unavailable"
    CHECKING = "checking"
    PAUSED = "paused"
    CONNECTED = "connected"


NEEDS_ATTENTION = frozenset(
    {
        Status.WITHDRAW_ENABLED,
        Status.QUARANTINED,
        Status.INVALID_KEY,
        Status.KEY_EXPIRED,
        Status.IP_NOT_ALLOWED,
        Status.ACCOUNT_BLOCKED,
        Status.LOCKED,
        Status.LIMITED,
        Status.WAITING,
        Status.EXPIRING,
    }
)


class StepName(StrEnum):
    """The lines of a check, in the order they are tried; the first failure stops the rest."""

    FORMAT = "format"
    REACHABLE = "reachable"
    CLOCK = "clock"
    SIGNATURE = "signature"
    PERMISSIONS = "permissions"
    WITHDRAWAL = "withdrawal"
    BALANCES = "balances"


class StepState(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    PASSED = "passed"
    WARNED = "warned"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a check. `detail` is a sentence for people; never a secret or a raw answer."""

    name: StepName
    state: StepState
    detail: str = ""
    duration_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Advice:
    """An error as a person reads it: cause, remedy, who must act, and the one next click.

    `action` names the click: `replace` `guide` `recheck` `watch_only` `copy_address` `none`; `copy` holds the text to
    copy (an address), where there is one. `field` names the form field the error belongs to, if any; `link` is the page
    of the exchange on which the next step is taken.
    """

    code: str
    cause: str
    remedy: str
    who_acts: str
    action: str = "none"
    copy: str | None = None
    field: str | None = None
    link: str | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """Something worth mending on a key that works. `box` is the tick box it is about, `link` the page to do it on."""

    code: str
    cause: str
    remedy: str
    box: str | None = None
    copy: tuple[str, ...] = ()
    link: str | None = None


@dataclass(frozen=True, slots=True)
class BalancesView:
    """The newest known balances. On failure the sheet stays, with its age; None means never fetched."""

    sheet: BalanceSheet | None
    fetched_at: datetime | None
    failed_at: datetime | None = None
    failure_code: str | None = None


@dataclass(frozen=True, slots=True)
class CheckView:
    """One check of the history. `code` is `ok` or a problem code; `advice` its words.

    `told`: how the exchange itself put it, masked and short; empty where it said nothing. For the owner only.
    """

    id: str
    reason: str
    started_at: datetime
    finished_at: datetime
    code: str
    steps: tuple[Step, ...]
    evidence: tuple[CallEvidence, ...]
    advice: Advice | None
    grants: Mapping[Permission, Grant] | None
    told: str = ""


@dataclass(frozen=True, slots=True)
class CredentialView:
    """Everything its owner may see of a credential. `checking`: a check is under way, whatever the status.

    `quarantined_at`: since when its secret is used for checks only, because it may do more than it could.
    `egress`: the addresses that its calls are seen to come from, `notices`: what is worth mending though it works.
    `verdict`: whose problem a failed check is.
    """

    id: str
    exchange: Exchange
    environment: Environment
    label: str
    plan: AccessPlan
    key_hint: str
    fingerprint: str
    status: Status
    advice: Advice | None
    grants: Mapping[Permission, Grant]
    checked_at: datetime | None
    next_check_at: datetime | None
    expires_at: datetime | None
    allowed_ips: tuple[str, ...] | None
    paused: bool
    balances: BalancesView
    account_id: str | None
    created_at: datetime
    updated_at: datetime
    checking: bool = False
    quarantined_at: datetime | None = None
    way: str | None = None
    egress: tuple[str, ...] = ()
    notices: tuple[Notice, ...] = ()
    verdict: Blame | None = None

    @property
    def needs_attention(self) -> bool:
        return self.status in NEEDS_ATTENTION


@dataclass(frozen=True, slots=True)
class SupportCredentialView:
    """What support staff may see: no secret, label, hint, fingerprint, account id, address list or balance."""

    id: str
    owner_email: str
    exchange_name: str
    exchange_slug: str
    environment: Environment
    plan: AccessPlan
    status: Status
    code: str | None
    cause: str
    who_acts: str
    reply: str
    grants: Mapping[Permission, Grant]
    checked_at: datetime | None
    next_check_at: datetime | None
    expires_at: datetime | None
    created_at: datetime
    checks: tuple[Mapping[str, Any], ...] = ()
    verdict: Blame | None = None
