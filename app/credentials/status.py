"""From plan and checks to the one status a credential shows: a pure function, the most severe fact wins."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from app.credentials.views import Status
from app.exchanges.types import AccessPlan, Answer, Exchange, Grant, Permission, Proof

EXPIRY_NOTICE = timedelta(days=14)
CONFIRMATION_TIME = timedelta(hours=24)
CHECK_TIME = timedelta(minutes=2)
"""A check that began longer ago than this was cut off by a crash and counts as ended."""

SEVERITY: Mapping[Status, int] = {status: rank for rank, status in enumerate(Status)}

_UNAVAILABLE_CODES = (
    "exchange_unavailable",
    "rate_limited",
    "maintenance",
    "unreachable",
    "clock_skew",
    "unexpected_reply",
    "request_refused",
    "number_refused",
    "no_way_out",
    "internal",
)
STATUS_OF_CODE: Mapping[str, Status] = {
    "withdraw_enabled": Status.WITHDRAW_ENABLED,
    "transfer_enabled": Status.QUARANTINED,
    "invalid_key": Status.INVALID_KEY,
    "bad_signature": Status.INVALID_KEY,
    "key_expired": Status.KEY_EXPIRED,
    "ip_not_allowed": Status.IP_NOT_ALLOWED,
    "account_blocked": Status.ACCOUNT_BLOCKED,
    "locked": Status.LOCKED,
    "permission_missing": Status.LIMITED,
    "waiting": Status.WAITING,
    "key_expiring": Status.EXPIRING,
    "withdraw_unverified": Status.CONNECTED,
    **dict.fromkeys(_UNAVAILABLE_CODES, Status.UNAVAILABLE),
}
"""The status each problem code leads to; codes that stop an attempt before any call (duplicate_key …) have none."""


@dataclass(frozen=True, slots=True)
class CheckFacts:
    """What a check found: `code` is `ok` or a problem code; `grants` is None when the key could not be judged."""

    code: str
    grants: Mapping[Permission, Grant] | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StatusFacts:
    """Everything the status depends on, but the time.

    `newest` is the newest check, `telling` the newest one that says something about the key (see `tells_of_key`);
    often they are the same.
    """

    exchange: Exchange
    plan: AccessPlan
    newest: CheckFacts | None
    telling: CheckFacts | None
    key_set_at: datetime
    is_paused: bool = False
    checking_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The status and, where there is something to say, the problem code that explains it."""

    status: Status
    code: str | None = None


@dataclass(slots=True)
class _Candidates:
    found: list[Verdict] = field(default_factory=list)

    def add(self, code: str) -> None:
        self.found.append(Verdict(STATUS_OF_CODE[code], code))


def tells_of_key(code: str) -> bool:
    """Return whether a check with this code says something about the key, rather than about the weather or us."""
    return code != "locked" and STATUS_OF_CODE.get(code) is not Status.UNAVAILABLE


def list_missing(exchange: Exchange, plan: AccessPlan, grants: Mapping[Permission, Grant]) -> list[Permission]:
    """Return the permissions the plan needs and the key does not have; what is unknown is not missing."""
    needed = exchange.needs.get(plan, frozenset())
    return [right for right in Permission if right in needed and right in grants and grants[right].answer is Answer.NO]


def compute_status(facts: StatusFacts, *, now: datetime) -> Verdict:
    """Return the most severe status that applies at `now`, with its code."""
    candidates = _Candidates([Verdict(Status.CONNECTED)])
    if facts.telling is not None:
        _judge_key(facts, facts.telling, candidates, now=now)
    if facts.newest is None:
        candidates.found.append(Verdict(Status.CHECKING))
    elif not tells_of_key(facts.newest.code) and not (facts.is_paused and facts.newest.code != "locked"):
        candidates.add(facts.newest.code)
    if is_checking(facts.checking_since, now=now):
        candidates.found.append(Verdict(Status.CHECKING))
    if facts.is_paused:
        candidates.found.append(Verdict(Status.PAUSED))
    return _choose(candidates.found)


def is_checking(checking_since: datetime | None, *, now: datetime) -> bool:
    return checking_since is not None and now - checking_since < CHECK_TIME


def _choose(found: list[Verdict]) -> Verdict:
    """Return the most severe verdict; among equals one that has a code, so that nothing worth saying is lost."""
    return min(found, key=lambda verdict: (SEVERITY[verdict.status], verdict.code is None))


def _judge_key(facts: StatusFacts, check: CheckFacts, candidates: _Candidates, *, now: datetime) -> None:
    """Add what the newest telling check says. Its grants count more than its code: the plan may have changed since."""
    if check.grants is None:
        candidates.add(check.code)
        return
    withdraw = check.grants.get(Permission.WITHDRAW, Grant())
    if withdraw.answer is Answer.YES or check.code == "withdraw_enabled":  # in quarantine it counts until it is shown gone
        candidates.add("withdraw_enabled")
    elif withdraw.answer is Answer.UNKNOWN or withdraw.proof is Proof.ATTESTED:
        candidates.add("withdraw_unverified")
    if check.code == "transfer_enabled" and facts.plan is AccessPlan.BALANCES:
        candidates.add(check.code)
    missing = list_missing(facts.exchange, facts.plan, check.grants)
    if missing:
        may_wait = set(missing) <= facts.exchange.confirms_by_email and now - facts.key_set_at < CONFIRMATION_TIME
        candidates.add("waiting" if may_wait else "permission_missing")
    elif check.code == "waiting" and facts.plan is AccessPlan.TRADING:
        candidates.add("waiting")
    if check.expires_at is not None and check.expires_at <= now:
        candidates.add("key_expired")
    elif check.expires_at is not None and check.expires_at - now <= EXPIRY_NOTICE:
        candidates.add("key_expiring")
