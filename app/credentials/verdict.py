"""You or them? Weighs a failed check against the exchange's public answer, the clocks and the other keys here. Pure.

Other keys count only as numbers. Where there is nothing to compare with, the verdict says so instead of guessing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from app.exchanges.types import Exchange

ENOUGH = 3
"""So many other keys must fail alike before it is taken for more than chance."""

_SHARE = 0.8
_CLOCK_NOISE_SECONDS = 30.0
_CLOCK_FINE_SECONDS = 1.0
_DOUBTED_CLOCK = (
    "Not clear: {exchange} finds this server's clock wrong, but it is off by {ahead:.1f} s only, and other keys work."
)
_WEATHER = frozenset(
    {"exchange_unavailable", "maintenance", "unreachable", "rate_limited", "unexpected_reply", "request_refused"}
)
_REFUSALS = frozenset(
    {"invalid_key", "bad_signature", "key_expired", "ip_not_allowed", "account_blocked", "permission_missing", "number_refused"}
)
_OURS = {
    "clock_skew": "Our side: this server's clock is off, whatever the key.",
    "no_way_out": "Our side: this server's own way to {exchange} is broken, whatever the key.",
    "locked": "Our side: this server cannot open the stored key.",
    "internal": "Our side: a fault of this server, whatever the key.",
}
WEIGHED = _WEATHER | _REFUSALS | frozenset(_OURS)
"""The codes of failed checks. What an exchange tells of the rights or the end of one key needs no comparison."""


class Whose(StrEnum):
    """Whose problem it is."""

    ONLY_THIS_KEY = "only_this_key"
    EVERYONE_HERE = "everyone_here"
    OUR_SIDE = "our_side"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Blame:
    """The verdict in one line, and the sentence that support may add to a reply (empty where it knows too little)."""

    whose: Whose
    sentence: str
    reply: str = ""


@dataclass(frozen=True, slots=True)
class Others:
    """How the newest checks of other keys ended, lately, at the same exchange and environment."""

    fine: int = 0
    same: int = 0
    different: int = 0

    @property
    def total(self) -> int:
        return self.fine + self.same + self.different

    @property
    def share(self) -> str:
        return f"{self.same} of {self.total}"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known about a failed check.

    `public_outcome`: how the exchange's public clock call ended in it, None when it was not asked. `answering` and
    `silent`: how many keys at other exchanges were answered, or not, at about the same time. `is_resting`: the
    exchange is not asked any more because it failed often.
    """

    code: str
    public_outcome: str | None = None
    others: Others = Others()
    answering: int = 0
    silent: int = 0
    is_resting: bool = False
    clock_ahead_seconds: float | None = None


def count_others(code: str, codes: Iterable[str]) -> Others:
    """Return how the other keys stand beside one that ended with `code`. Ours and weather alike count by their kind."""
    fine = same = different = 0
    for other in codes:
        if other == code or (other in _WEATHER and code in _WEATHER):
            same += 1
        elif other in WEIGHED:
            different += 1
        else:
            fine += 1  # judged: whatever it may or may not do, the exchange answered about it
    return Others(fine, same, different)


def weigh(evidence: Evidence, *, exchange: Exchange) -> Blame | None:
    """Return whose problem a failed check is; None for a code that needs no comparison."""
    name = exchange.name
    if evidence.code == "clock_skew" and _is_clock_fine(evidence):
        return Blame(Whose.UNCLEAR, _DOUBTED_CLOCK.format(exchange=name, ahead=abs(evidence.clock_ahead_seconds or 0.0)))
    if evidence.code in _OURS:
        return Blame(Whose.OUR_SIDE, _OURS[evidence.code].format(exchange=name), "It is on our side.")
    if evidence.code in _WEATHER:
        return _weigh_weather(evidence, name)
    return _weigh_refusal(evidence, name) if evidence.code in _REFUSALS else None


def _is_clock_fine(evidence: Evidence) -> bool:
    """Tell whether the clock was measured and found right while other keys were answered: then it is not the whole story."""
    ahead = evidence.clock_ahead_seconds
    return ahead is not None and abs(ahead) < _CLOCK_FINE_SECONDS and evidence.others.fine > 0 and not evidence.others.same


def _weigh_weather(evidence: Evidence, name: str) -> Blame:
    others = evidence.others
    if evidence.code == "unreachable" and evidence.silent >= 1 and not evidence.answering and not others.fine:
        words = f"Our side, probably our network: no exchange answers this server, not only {name}."
        return Blame(Whose.OUR_SIDE, words, "It is on our side.")
    is_public_down = evidence.is_resting or (evidence.public_outcome is not None and evidence.public_outcome != "ok")
    if others.same and not others.fine:
        return _everyone(f"Everyone here: {name} fails for {others.share} other keys too.")
    if is_public_down and not others.fine:
        beside = "no other key here to compare with" if not others.total else "no other key here was answered lately"
        return _everyone(f"Everyone here: {name}'s public answer fails too; {beside}.")
    if is_public_down or others.same:
        seen = f"{others.fine} of {others.total} other keys were answered lately"
        return Blame(Whose.UNCLEAR, f"Not clear yet: {name} fails at times, and {seen}.")
    if others.fine and evidence.code != "rate_limited":
        answered = "the one other key" if others.total == 1 else f"{others.fine} of {others.total} other keys"
        return _only(f"Only this key: {name} answers, also for {answered} here.", name)
    beside = "no other key here to compare with"
    if others.fine:  # a limit counts calls, mostly those of the whole server: a refusal tells nothing of the key
        beside = f"{others.fine} of {others.total} other keys were answered lately, and its limit may count the calls of all"
    return Blame(Whose.UNCLEAR, f"Not clear: {name} answers in public; {beside}.")


def _weigh_refusal(evidence: Evidence, name: str) -> Blame:
    others = evidence.others
    if others.same >= ENOUGH and others.same >= _SHARE * others.total:
        if evidence.code == "ip_not_allowed":
            words = f"Our side, probably our network: {name} refuses this server's address for {others.share} other keys too."
            return Blame(Whose.OUR_SIDE, words, "It is probably on our side: we are looking into it.")
        return _everyone(
            f"Everyone here: {name} gives {others.share} other keys the same answer; wait before you change the key."
        )
    if evidence.code == "ip_not_allowed" and others.same >= ENOUGH and others.fine:  # one of several ways out, perhaps
        words = f"Not clear: {name} refuses this server's address for {others.share} other keys too, and {others.fine} work."
        return Blame(Whose.UNCLEAR, words)
    if others.fine:
        working = (
            f"the one other {name} key here works"
            if others.total == 1
            else f"{others.fine} of {others.total} other {name} keys here work"
        )
        return _only(f"Only this key: {working}.", name)
    return _admit(evidence, name)


def _admit(evidence: Evidence, name: str) -> Blame:
    """Return the verdict where no other key works to compare with."""
    others, ahead = evidence.others, evidence.clock_ahead_seconds
    if evidence.code in ("bad_signature", "number_refused") and ahead is not None and abs(ahead) > _CLOCK_NOISE_SECONDS:
        return Blame(Whose.OUR_SIDE, f"Our side, perhaps: this server's clock differs by {abs(ahead):.0f} s.")
    if others.same:
        few = "the one other key" if others.total == 1 else f"{others.share} other keys"
        return Blame(Whose.UNCLEAR, f"Not clear: {few} here got the same answer lately.")
    if others.different:
        none = (
            "the one other key here does not work" if others.total == 1 else f"none of the {others.total} other keys here works"
        )
        return Blame(Whose.UNCLEAR, f"Not clear: {none} just now.")
    return Blame(Whose.UNCLEAR, f"Probably this key: {name} answers; no other key here to compare with.")


def sum_up(standing: Mapping[str, int]) -> str:
    """Return for operators how the keys of an exchange stand together; `standing` counts them by newest code."""
    counts = {code: count for code, count in standing.items() if code not in ("paused", "unchecked") and count}
    total = sum(counts.values())
    failing = {code: count for code, count in counts.items() if code in WEIGHED}
    if not total or not failing:
        return "" if not total else f"No key fails ({total} checked)."
    code, most = max(failing.items(), key=lambda item: (item[1], item[0]))
    share = f"{sum(failing.values())} of {total} keys fail, {most} with {code}."
    if code in _OURS:
        return f"Our side: {share}"
    if most >= ENOUGH and most >= _SHARE * total:
        return f"Our network or address: {share}" if code == "ip_not_allowed" else f"Everyone here: {share}"
    return f"Single keys: {share}" if total > sum(failing.values()) else f"Too few keys to tell: {share}"


def _everyone(sentence: str) -> Blame:
    return Blame(Whose.EVERYONE_HERE, sentence, "It affects everyone here, not only you.")


def _only(sentence: str, name: str) -> Blame:
    return Blame(Whose.ONLY_THIS_KEY, sentence, f"Other {name} keys here work.")
