"""Prepares what the credential pages show: order, filters, amounts, tones, words. Pure: no request, no HTML, no network."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal

from app.credentials.views import Advice, BalancesView, CheckView, CredentialView, Status, Step, StepName, StepState
from app.exchanges.health import RestingSite
from app.exchanges.types import (
    AccessPlan,
    Answer,
    BalanceSheet,
    CallEvidence,
    Environment,
    Exchange,
    Grant,
    Permission,
    PermissionBox,
    add_exactly,
)

DANGER = frozenset(
    {
        Status.WITHDRAW_ENABLED,
        Status.QUARANTINED,
        Status.INVALID_KEY,
        Status.KEY_EXPIRED,
        Status.IP_NOT_ALLOWED,
        Status.ACCOUNT_BLOCKED,
        Status.LOCKED,
    }
)
QUIET = frozenset({Status.UNAVAILABLE, Status.PAUSED, Status.CHECKING})
_WELL_KNOWN = ("BTC", "ETH", "USDT", "USDC", "USD", "EUR")
_CARD_PLACES = Decimal("0.00000001")
_ANSWERS = {
    "ok": "Answered",
    "permission_missing": "Refused: the key lacks this right",
    "invalid_key": "Refused: the key is not known",
    "bad_signature": "Refused: key and secret do not belong together",
    "key_expired": "Refused: the key has ended",
    "ip_not_allowed": "Refused: this server's address is not allowed",
    "account_blocked": "Refused: the account is blocked",
    "waiting": "Refused: not confirmed by e-mail yet",
    "rate_limited": "Limit reached",
    "maintenance": "Closed for maintenance",
    "unreachable": "No answer in time",
    "exchange_unavailable": "Failed at the exchange",
    "unexpected_reply": "An answer of unknown shape",
    "clock_skew": "Refused: the clocks differ",
    "no_way_out": "Not sent: this server's way out failed",
}
_REASONS = {"connect": "on connecting", "replace": "on replacing the key", "manual": "asked by you", "schedule": "by schedule"}


@dataclass(frozen=True, slots=True)
class Amount:
    """An asset's total over all accounts. `shown` is cut to eight places for a card, `exact` is not."""

    asset: str
    exact: Decimal
    shown: Decimal

    @property
    def is_cut(self) -> bool:
        return self.exact != self.shown


@dataclass(frozen=True, slots=True)
class BoxRow:
    """A tick box of the guide: `on`, `off` or `always`, for each plan."""

    label: str
    why: str
    trading: str
    balances: str


@dataclass(frozen=True, slots=True)
class GrantRow:
    """One right with its evidence: the call that showed it and how it was answered."""

    permission: Permission
    grant: Grant
    answered: str


def list_badges(view: CredentialView) -> dict[Permission, Grant]:
    """Return the rights worth a badge in the list: moving funds between own accounts only where the key may."""
    return {
        permission: grant
        for permission, grant in view.grants.items()
        if permission is not Permission.TRANSFER or grant.answer is Answer.YES
    }


def is_reading(balances: BalancesView) -> bool:
    """Tell whether the newest attempt to fetch balances succeeded."""
    return balances.fetched_at is not None and (balances.failed_at is None or balances.failed_at <= balances.fetched_at)


def list_amounts(sheet: BalanceSheet) -> list[Amount]:
    """Return the totals by asset: the well-known ones first, then by amount. Without prices no order is by value."""
    totals: dict[str, Decimal] = {}
    for row in sheet.balances:
        totals[row.asset] = add_exactly(totals.get(row.asset, Decimal(0)), row.total)
    known = {asset: place for place, asset in enumerate(_WELL_KNOWN)}
    ordered = sorted(totals.items(), key=lambda item: (known.get(item[0], len(known)), -item[1], item[0]))
    return [Amount(asset, total, _cut(total)) for asset, total in ordered]


def _cut(total: Decimal) -> Decimal:
    """Cut, never round up, to eight places; an amount too small for them stays exact, so that it is not shown as zero."""
    exponent = total.as_tuple().exponent
    if not isinstance(exponent, int) or exponent >= -8 or total.adjusted() > 18:
        return total
    return total.quantize(_CARD_PLACES, rounding=ROUND_DOWN) or total


def choose_tone(view: CredentialView) -> str:
    """Return the tone of a credential's notice: never red for what the exchange or this server is to blame for."""
    if view.status in DANGER:
        return "danger"
    return "idle" if view.status in QUIET else "warn"


def choose_refusal_tone(advice: Advice) -> str:
    return {"trader": "danger", "nobody": "idle", "exchange": "idle"}.get(advice.who_acts, "warn")


def describe_status(view: CredentialView, *, now: datetime) -> str:
    """Return the pill's own words where the status' name says too little: how many days are left. Else an empty text."""
    if view.status is not Status.EXPIRING or view.expires_at is None:
        return ""
    days = -((now - view.expires_at) // timedelta(days=1))
    return "Expires today" if days < 1 else f"Expires in {days} day{'' if days == 1 else 's'}"


def list_boxes(exchange: Exchange) -> list[BoxRow]:
    """Return the tick boxes of the exchange's page with their state per plan."""
    return [
        BoxRow(box.label, box.why, _tell_state(box, AccessPlan.TRADING), _tell_state(box, AccessPlan.BALANCES))
        for box in exchange.boxes
    ]


def _tell_state(box: PermissionBox, plan: AccessPlan) -> str:
    return "always" if box.always else "on" if plan in box.on_for else "off"


def describe_plan(exchange: Exchange, plan: str) -> str:
    """Return which rights a plan needs, in one sentence."""
    chosen = AccessPlan(plan)
    names = [right.value.capitalize() for right in Permission if right in exchange.needs.get(chosen, frozenset())]
    return f"The key needs {' and '.join(names)}" + ("; leave Trade off" if chosen is AccessPlan.BALANCES else "")


def find_exchanges(exchanges: Iterable[Exchange], text: str) -> dict[str, bool]:
    """Return by slug whether the search finds the exchange in its name or aliases."""
    wanted = text.strip().lower()
    return {one.slug: wanted in " ".join((one.name, one.slug, *one.aliases)).lower() for one in exchanges}


def list_silent(resting: Iterable[RestingSite]) -> dict[str, datetime]:
    """Return since when exchanges do not answer, by slug; their own test sites do not count."""
    silent: dict[str, datetime] = {}
    for rest in resting:
        if rest.environment is Environment.LIVE:
            silent[rest.slug] = min(rest.failing_since, silent.get(rest.slug, rest.failing_since))
    return silent


def complete_steps(steps: Sequence[Step], *, state: StepState = StepState.SKIPPED) -> list[Step]:
    """Return all lines of a check in their order; those that were never begun get the given state."""
    known = {step.name: step for step in steps}
    return [known.get(name, Step(name, state)) for name in StepName]


def count_passed(steps: Sequence[Step]) -> int:
    return sum(step.state in (StepState.PASSED, StepState.WARNED) for step in steps)


def list_grants(view: CredentialView, checks: Sequence[CheckView]) -> list[GrantRow]:
    """Return every known right in order, with how the call that showed it was answered in the newest check that made it."""
    answers: dict[str, CallEvidence] = {}
    for check in reversed(checks):
        answers |= {entry.call: entry for entry in check.evidence}
    rows = []
    for permission in Permission:
        grant = view.grants.get(permission)
        if grant is not None:
            rows.append(GrantRow(permission, grant, _describe_grant(grant, answers, exchange=view.exchange)))
    return rows


def _describe_grant(grant: Grant, answers: dict[str, CallEvidence], *, exchange: Exchange) -> str:
    if grant.proof.value == "attested":
        return f"You said so; {exchange.name} does not tell"
    if grant.call is None:
        return f"{exchange.name} does not tell"
    entry = answers.get(grant.call)
    if grant.proof.value == "told":
        return f"{exchange.name} lists the key's rights"
    return describe_answer(entry) if entry is not None else "Answered in an earlier check"


def describe_answer(entry: CallEvidence) -> str:
    """Return in words how a call was answered."""
    words = _ANSWERS.get(entry.outcome, "Failed")
    return f"{words} ({entry.http_status})" if entry.http_status is not None else words


def describe_reason(reason: str) -> str:
    return _REASONS.get(reason, reason.replace("_", " "))


def judge_check(check: CheckView) -> str:
    """Return the state of a check for the time line: passed, warned or failed."""
    if check.code != "ok":
        return "warned" if check.grants else "failed"
    return "warned" if any(step.state is StepState.WARNED for step in check.steps) else "passed"


def measure(check: CheckView) -> int:
    """Return how long a check took, in milliseconds."""
    return round((check.finished_at - check.started_at) / timedelta(milliseconds=1))


def split_addresses(advice: Advice) -> list[str]:
    """Return the addresses to copy, one each."""
    return [part.strip() for part in (advice.copy or "").split(",") if part.strip()]
