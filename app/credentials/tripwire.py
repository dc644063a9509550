"""Compares what a check found with what was known of the key before: which conditions begin, last and end. Pure.

A key that gains the right to withdraw, or on a balances-only plan the right to transfer, goes into quarantine: its secret
is used for nothing but the check itself, until a check shows the right gone or the trader puts another key in.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from app.credentials.change_models import ChangeKind, Phase
from app.credentials.status import EXPIRY_NOTICE, list_missing, tells_of_key
from app.exchanges.types import AccessPlan, Answer, Exchange, Grant, Permission, Proof

EXPIRY_STEPS = (14, 7, 3, 1)  # days left at which an alert is due
QUARANTINES: Mapping[ChangeKind, Permission] = {
    ChangeKind.WITHDRAW_GAINED: Permission.WITHDRAW,
    ChangeKind.TRANSFER_GAINED: Permission.TRANSFER,
}
DEAD_CODES = frozenset({"invalid_key", "bad_signature", "key_expired", "ip_not_allowed", "account_blocked"})
ANY_ADDRESS = "any address"
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Known:
    """What was known before. `rights` holds definite answers only; `conditions` the open ones with their step."""

    rights: Mapping[str, str] = field(default_factory=dict)
    addresses: tuple[str, ...] | None = None
    conditions: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_quarantined(self) -> bool:
        return any(kind in self.conditions for kind in QUARANTINES)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a check found. `grants` is None when the key could not be judged."""

    exchange: Exchange
    plan: AccessPlan
    code: str
    grants: Mapping[Permission, Grant] | None
    addresses: tuple[str, ...] | None
    expires_at: datetime | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """One change to be written down."""

    kind: ChangeKind
    phase: Phase
    facts: Mapping[str, str] = field(default_factory=dict)


def list_forbidden(
    exchange: Exchange, plan: AccessPlan, *, known: Known | None, stops_at_withdraw: bool
) -> frozenset[Permission]:
    """Return the rights at whose sight a check must end: what no key may have here, and what this one did not have."""
    found = set()
    if stops_at_withdraw or (known is not None and (_is_new(Permission.WITHDRAW, known))):
        found.add(Permission.WITHDRAW)
    if known is not None and _is_watched(Permission.TRANSFER, exchange, plan):
        is_gain = known.rights.get(Permission.TRANSFER) == Answer.NO
        if is_gain or ChangeKind.TRANSFER_GAINED in known.conditions:
            found.add(Permission.TRANSFER)
    return frozenset(found)


def list_held(exchange: Exchange, plan: AccessPlan, *, known: Known) -> frozenset[Permission]:
    """Return the rights that keep the key in quarantine until a check shows them gone."""
    return frozenset(
        right for kind, right in QUARANTINES.items() if kind in known.conditions and _is_watched(right, exchange, plan)
    )


def learn(seen: Seen) -> Known:
    """Return what is known of a key that was just put in: nothing has changed, whatever it may do."""
    known = _remember(Known(), seen)
    step = _choose_step(seen)
    return replace(known, conditions={ChangeKind.EXPIRING: str(step)} if step else {})


def compare(known: Known, seen: Seen) -> tuple[Known, list[Change]]:
    """Return what is known now, and what changed. A check that says nothing of the key changes nothing."""
    if not tells_of_key(seen.code):
        return known, []
    changes = [*_judge_life(known, seen), *_judge_loss(known, seen)]
    if seen.grants is not None:
        changes += [*_judge_gains(known, seen), *_judge_addresses(known, seen), *_judge_expiry(known, seen)]
    conditions = dict(known.conditions)
    if _is_put_off(known, seen):
        conditions[ChangeKind.EXPIRING] = str(_choose_step(seen))
    for change in changes:
        if change.phase in (Phase.BEGAN, Phase.NEARER):
            conditions[change.kind] = change.facts.get("step", "")
        elif change.phase is Phase.ENDED:
            conditions.pop(change.kind, None)
    if ChangeKind.RIGHT_LOST in conditions and _tell_grants(seen) is not None:
        conditions[ChangeKind.RIGHT_LOST] = " ".join(_list_lost(known, seen))
    return replace(_remember(known, seen), conditions=conditions), changes


def write_rights(rights: Mapping[str, str]) -> str:
    """Return the rights a key has as words: `Read, Trade`."""
    return ", ".join(right.value.capitalize() for right in Permission if rights.get(right) == Answer.YES) or "Nothing"


def write_addresses(addresses: Iterable[str]) -> str:
    return ", ".join(addresses) or ANY_ADDRESS


def count_days(expires_at: datetime, *, now: datetime) -> int:
    """Return how many days are left, the day that has begun counted as one."""
    return max(0, -((now - expires_at) // _DAY))


def _is_watched(right: Permission, exchange: Exchange, plan: AccessPlan) -> bool:
    """Tell whether gaining the right is a danger. Transfer is none where the exchange's own guide has its box ticked."""
    if right is Permission.WITHDRAW:
        return True
    is_asked_for = any(box.permission is right and plan in box.on_for for box in exchange.boxes)
    return plan is AccessPlan.BALANCES and not is_asked_for


def _is_new(right: Permission, known: Known) -> bool:
    """Tell whether seeing the right would be a gain, or is one that lasts."""
    kinds = [kind for kind, gained in QUARANTINES.items() if gained is right]
    return known.rights.get(right) != Answer.YES or any(kind in known.conditions for kind in kinds)


def _remember(known: Known, seen: Seen) -> Known:
    """Return the definite answers, older ones kept where the exchange gave none; the trader's own word is no answer."""
    told = {
        right.value: grant.answer.value
        for right, grant in (seen.grants or {}).items()
        if grant.answer is not Answer.UNKNOWN and grant.proof is not Proof.ATTESTED
    }
    return replace(
        known, rights={**known.rights, **told}, addresses=known.addresses if seen.addresses is None else seen.addresses
    )


def _judge_life(known: Known, seen: Seen) -> Iterable[Change]:
    is_dead = seen.grants is None and seen.code in DEAD_CODES
    if is_dead and ChangeKind.STOPPED_WORKING not in known.conditions:
        yield Change(ChangeKind.STOPPED_WORKING, Phase.BEGAN, {"code": seen.code})
    elif seen.grants is not None and ChangeKind.STOPPED_WORKING in known.conditions:
        yield Change(ChangeKind.STOPPED_WORKING, Phase.ENDED)


def _judge_gains(known: Known, seen: Seen) -> Iterable[Change]:
    grants = seen.grants or {}
    facts = _write_both(known, seen)
    for kind, right in QUARANTINES.items():
        grant = grants.get(right, Grant())
        is_open, matters = kind in known.conditions, _is_watched(right, seen.exchange, seen.plan)
        if grant.answer is Answer.YES and matters:
            is_gain = known.rights.get(right) != Answer.YES if right is Permission.WITHDRAW else known.rights.get(right) == "no"
            if is_gain and not is_open:
                yield Change(kind, Phase.BEGAN, facts)
        elif is_open and (not matters or (grant.answer is Answer.NO and grant.proof is not Proof.ATTESTED)):
            yield Change(kind, Phase.ENDED, facts)


def _judge_loss(known: Known, seen: Seen) -> Iterable[Change]:
    """Tell of each right once per loss, of a further one by itself; and once of the return, when all are back."""
    grants = _tell_grants(seen)
    if grants is None:
        return
    missing = list_missing(seen.exchange, seen.plan, grants)
    told = _list_told_losses(known, seen)
    lost = [right for right in missing if known.rights.get(right) == Answer.YES and right not in told]
    if lost:
        names = " and ".join(right.value.capitalize() for right in lost)
        after = write_rights({**_remember(known, seen).rights, **{right.value: "no" for right in missing}})
        yield Change(ChangeKind.RIGHT_LOST, Phase.BEGAN, {**_write_both(known, seen), "lost": names, "after": after})
    elif ChangeKind.RIGHT_LOST in known.conditions and not _list_lost(known, seen):
        yield Change(ChangeKind.RIGHT_LOST, Phase.ENDED, _write_both(known, seen))


def _tell_grants(seen: Seen) -> Mapping[Permission, Grant] | None:
    """Return what the check says of rights; None when it says nothing."""
    if seen.grants is None and seen.code == "permission_missing":
        return {Permission.READ: Grant(Answer.NO, Proof.PROBED)}  # refused before any right could be listed
    return seen.grants


def _list_told_losses(known: Known, seen: Seen) -> frozenset[Permission]:
    """Return the lost rights the owner has been told of; all the plan needs where an older version did not note which."""
    told = known.conditions.get(ChangeKind.RIGHT_LOST)
    needed = seen.exchange.needs.get(seen.plan, frozenset())
    return frozenset() if told is None else needed.intersection(told.split()) if told else needed


def _list_lost(known: Known, seen: Seen) -> list[Permission]:
    """Return the rights that are lost after this check: what was told and has not come back, and what is missing now."""
    grants = _tell_grants(seen) or {}
    told = _list_told_losses(known, seen)
    gone = {right for right in told if grants.get(right, Grant()).answer is not Answer.YES}
    gone |= {right for right in list_missing(seen.exchange, seen.plan, grants) if known.rights.get(right) == Answer.YES}
    return [right for right in Permission if right in gone]


def _judge_addresses(known: Known, seen: Seen) -> Iterable[Change]:
    if seen.addresses is None or known.addresses is None or set(seen.addresses) == set(known.addresses):
        return
    facts = {"before": write_addresses(known.addresses), "after": write_addresses(seen.addresses)}
    yield Change(ChangeKind.ADDRESSES_CHANGED, Phase.HAPPENED, facts)


def _judge_expiry(known: Known, seen: Seen) -> Iterable[Change]:
    told = int(known.conditions.get(ChangeKind.EXPIRING) or 0)
    step = _choose_step(seen)
    if step and seen.expires_at is not None and (not told or step < told):
        days = count_days(seen.expires_at, now=seen.at)
        bound = "yes" if seen.addresses else "no" if seen.addresses is not None else ""
        facts = {"step": str(step), "days": str(days), "ends_at": seen.expires_at.isoformat(), "bound": bound}
        yield Change(ChangeKind.EXPIRING, Phase.NEARER if told else Phase.BEGAN, facts)
    elif told and (_tells_no_end(seen) if seen.expires_at is None else seen.expires_at - seen.at > EXPIRY_NOTICE + _DAY):
        yield Change(ChangeKind.EXPIRING, Phase.ENDED)


def _tells_no_end(seen: Seen) -> bool:
    """Tell whether the exchange spoke of the key and named no end; where its rights had to be probed, it did not speak."""
    return any(grant.proof is Proof.TOLD for grant in (seen.grants or {}).values())


def _is_put_off(known: Known, seen: Seen) -> bool:
    """Tell whether the key's end has moved away without being far: the coming steps are to be told again."""
    told = int(known.conditions.get(ChangeKind.EXPIRING) or 0)
    if not told or seen.expires_at is None or _choose_step(seen) <= told:
        return False
    return seen.expires_at - seen.at > (told + 1) * _DAY


def _choose_step(seen: Seen) -> int:
    """Return the smallest step that the days left have come down to; 0 when the end is far or not told."""
    if seen.expires_at is None or seen.expires_at <= seen.at:
        return 0
    days = count_days(seen.expires_at, now=seen.at)
    return min((step for step in EXPIRY_STEPS if days <= step), default=0)


def _write_both(known: Known, seen: Seen) -> dict[str, str]:
    return {"before": write_rights(known.rights), "after": write_rights(_remember(known, seen).rights)}
