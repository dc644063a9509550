"""The honesty table: per exchange, the calls Keydeck makes, what it can know of a key's rights and how, and what stays open.

Calls and limits are what the adapter declares; how a right comes to be known, and what a call is for, is what a rehearsal
with the sandbox's keys showed. Pure but for that rehearsal.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from app.clock import Clock
from app.credentials.problems import advise
from app.credentials.rehearsal import Observation, observe
from app.exchanges.adapter import ExchangeAdapter
from app.exchanges.registry import Exchanges, find_adapters
from app.exchanges.types import Call, CallLimit, Environment, Exchange, Grant, Permission, ProbePolicy, Proof
from app.sandbox.keys import list_keys

PROOF_WORDS: Mapping[Proof, str] = {
    Proof.TOLD: "told",
    Proof.PROBED: "probed",
    Proof.ATTESTED: "by your word",
    Proof.NONE: "unknown",
}
_UNSEEN = "not rehearsed"


@dataclass(frozen=True, slots=True)
class CallFacts:
    """One request that Keydeck may make: what for, and the settings of KEYDECK_PROBES under which it is made."""

    method: str
    path: str
    purposes: tuple[str, ...]
    probes: tuple[ProbePolicy, ...]
    is_signed: bool

    @property
    def label(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class RightFacts:
    """How one right is known, in words, under each setting of KEYDECK_PROBES."""

    permission: Permission
    known: Mapping[ProbePolicy, str]


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """The sites of an exchange at which rights are known alike, by name."""

    names: tuple[str, ...]
    rights: tuple[RightFacts, ...]


@dataclass(frozen=True, slots=True)
class DoubtFacts:
    """A problem code for which the exchange's answer leaves several reasons open, and what a trader then reads."""

    code: str
    words: str


@dataclass(frozen=True, slots=True)
class ExchangeFacts:
    """Everything the table says of one exchange. `limits` are those Keydeck keeps to, `notes` the exchange's own."""

    exchange: Exchange
    calls: tuple[CallFacts, ...]
    sites: tuple[SiteFacts, ...]
    limits: tuple[str, ...]
    notes: str
    doubts: tuple[DoubtFacts, ...]


async def rehearse(kinds: Mapping[str, type[ExchangeAdapter]], *, clock: Clock) -> tuple[ExchangeFacts, ...]:
    """Check the sandbox's good keys of each exchange, and return the table, sorted by name."""
    good = [key for key in list_keys(ProbePolicy.ALL) if key.stored]
    table = []
    for slug, kind in kinds.items():
        places = [site.environment for site in kind.exchange.sites]
        seen = await observe(kind, [key for key in good if key.exchange == slug], clock=clock, environments=places)
        table.append(describe(kind, seen))
    return tuple(sorted(table, key=lambda facts: facts.exchange.name.lower()))


async def rehearse_offered(exchanges: Exchanges, *, clock: Clock) -> tuple[ExchangeFacts, ...]:
    """Return the table of the exchanges that this instance offers."""
    kinds = {slug: kind for slug, kind in find_adapters().items() if exchanges.get(slug) is not None}
    return await rehearse(kinds, clock=clock)


def describe(kind: type[ExchangeAdapter], seen: Sequence[Observation]) -> ExchangeFacts:
    """Return what can be said of one exchange, from its adapter and from what was seen."""
    exchange = kind.exchange
    return ExchangeFacts(
        exchange=exchange,
        calls=tuple(_describe_call(call, seen) for call in kind.calls),
        sites=_describe_sites(exchange, seen),
        limits=_describe_limits(exchange),
        notes=exchange.limits,
        doubts=tuple(_describe_doubt(code, exchange) for code in sorted(exchange.doubtful_codes)),
    )


def _describe_call(call: Call, seen: Sequence[Observation]) -> CallFacts:
    is_read = call.method == "GET" or call.reads
    ranks = list(ProbePolicy)
    return CallFacts(
        method=call.method,
        path=call.path,
        purposes=_list_purposes(call, seen),
        probes=tuple(ranks if is_read else ranks[ranks.index(call.probe) :]),
        is_signed=not call.public,
    )


def _list_purposes(call: Call, seen: Sequence[Observation]) -> tuple[str, ...]:
    """Say what a call was seen to be for: the clock, the rights it gave the answer to, the balances."""
    shown = {
        proof: [
            right
            for right in Permission
            if any(grant.call == call.label and grant.proof is proof for grant in _list_grants(seen, right))
        ]
        for proof in (Proof.TOLD, Proof.PROBED)
    }
    purposes = []
    if any(call.label in one.clock_calls for one in seen):
        purposes.append("see that the exchange answers, and what time it has")
    if shown[Proof.TOLD]:
        purposes.append(f"be told the rights: {_join(shown[Proof.TOLD])}")
    if shown[Proof.PROBED]:
        purposes.append(f"probe {_join(shown[Proof.PROBED])}")
    if not (shown[Proof.TOLD] or shown[Proof.PROBED]) and any(call.label in one.check_calls for one in seen):
        purposes.append("see that the key works")
    if any(call.label in one.balance_calls for one in seen):
        purposes.append("read balances")
    return tuple(purposes) or (_UNSEEN,)


def _list_grants(seen: Iterable[Observation], right: Permission) -> list[Grant]:
    return [one.report.grants[right] for one in seen if right in one.report.grants]


def _describe_sites(exchange: Exchange, seen: Sequence[Observation]) -> tuple[SiteFacts, ...]:
    """Return the rights per site; sites at which they are known alike are put together."""
    found: dict[tuple[tuple[str, ...], ...], tuple[list[str], tuple[RightFacts, ...]]] = {}
    for site in exchange.sites:
        rights = tuple(_describe_right(right, site.environment, seen) for right in Permission)
        alike = tuple(tuple(one.known.values()) for one in rights)
        found.setdefault(alike, ([], rights))[0].append(site.name)
    return tuple(SiteFacts(tuple(names), rights) for names, rights in found.values())


def _describe_right(right: Permission, environment: Environment, seen: Sequence[Observation]) -> RightFacts:
    known = {}
    for probes in ProbePolicy:
        here = [one for one in seen if one.probes is probes and one.environment is environment]
        known[probes] = _name_proofs([grant.proof for grant in _list_grants(here, right)])
    return RightFacts(right, known)


def _name_proofs(proofs: Sequence[Proof]) -> str:
    """Return how a right is known for most keys, and how for some."""
    if not proofs:
        return _UNSEEN
    usual, *others = [proof for proof, _ in Counter(proofs).most_common()]
    if not others:
        return PROOF_WORDS[usual]
    return f"{PROOF_WORDS[usual]}; for some keys {' or '.join(sorted(PROOF_WORDS[proof] for proof in others))}"


def _describe_limits(exchange: Exchange) -> tuple[str, ...]:
    found = [_describe_limit(limit) for limit in exchange.host_limits]
    if exchange.one_call_at_a_time:
        per_second = f", at most {exchange.calls_per_second} a second" if exchange.calls_per_second else ""
        longer = f", {_describe_limit(exchange.key_limit)}" if exchange.key_limit else ""
        found.append(f"one call at a time per key{per_second}{longer}")
    return tuple(found)


def _describe_limit(limit: CallLimit) -> str:
    span = "second" if limit.seconds == 1 else f"{limit.seconds:g} seconds"
    place = f" to paths under {limit.path}" if limit.path else ""
    return f"{limit.calls} calls a {span}{place}" if span == "second" else f"{limit.calls} calls in {span}{place}"


def _describe_doubt(code: str, exchange: Exchange) -> DoubtFacts:
    advice = advise(code, exchange=exchange)
    return DoubtFacts(code, f"{advice.cause} {advice.remedy}")


def _join(rights: Sequence[Permission]) -> str:
    names = [right.value for right in rights]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
