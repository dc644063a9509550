"""The words of the exchanges library: frozen values that adapters give and the rest of Keydeck reads.

Money is `Decimal`, moments are aware UTC datetimes, and "unknown" is an answer of its own, never a "no".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Context, Decimal
from enum import StrEnum

import msgspec

from app.masking import Secret

_EXACT = Context(prec=200)


class Environment(StrEnum):
    """Where a key belongs: the real site, the exchange's own test site, or our simulated exchange."""

    LIVE = "live"
    DEMO = "demo"
    SANDBOX = "sandbox"


class Permission(StrEnum):
    """What a key may do, from harmless to dangerous."""

    READ = "read"
    TRADE = "trade"
    TRANSFER = "transfer"
    WITHDRAW = "withdraw"


class Answer(StrEnum):
    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Proof(StrEnum):
    """How an answer is known: the exchange told it, a harmless call showed it, the trader's word, or not at all."""

    TOLD = "told"
    PROBED = "probed"
    ATTESTED = "attested"
    NONE = "none"


class AccessPlan(StrEnum):
    """What the trader wants the key for."""

    BALANCES = "balances"
    TRADING = "trading"


class ProbePolicy(StrEnum):
    """Which calls a check may make: GETs only; also harmless non-GETs; also bitexbit's empty withdraw request."""

    READS = "reads"
    HARMLESS = "harmless"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Grant:
    """What we know of one permission. `call` names the request that showed it, `known_at` when."""

    answer: Answer = Answer.UNKNOWN
    proof: Proof = Proof.NONE
    known_at: datetime | None = None
    call: str | None = None


@dataclass(frozen=True, slots=True)
class CredentialField:
    """One input of the connect form, in the exchange's own words. The field named `api_key` is the public part."""

    name: str
    label: str
    secret: bool
    help: str = ""
    usual_length: int | None = None
    multiline: bool = False


@dataclass(frozen=True, slots=True)
class PermissionBox:
    """A tick box on the exchange's site: whether it should be on for each plan, and why."""

    label: str
    permission: Permission | None
    on_for: frozenset[AccessPlan]
    why: str = ""
    always: bool = False


@dataclass(frozen=True, slots=True)
class GuideStep:
    """One step of the connect guide. `kind` says what the page adds: the boxes, the addresses, or a label to copy."""

    title: str
    text: str = ""
    kind: str = "text"  # text | label | boxes | addresses | secret


@dataclass(frozen=True, slots=True)
class Site:
    """One environment of an exchange: API base URL (no trailing slash, may carry a path prefix), and its pages."""

    environment: Environment
    api_url: str
    keys_url: str
    name: str


@dataclass(frozen=True, slots=True)
class CallLimit:
    """At most `calls` requests within any `seconds` from one address, to the paths that start with `path`."""

    calls: int
    seconds: float = 1.0
    path: str = ""


CAUTIOUS_LIMITS = (CallLimit(10),)  # for an exchange whose limits per address are not known


@dataclass(frozen=True, slots=True)
class Exchange:
    """Static facts of a venue; pages, forms and documents read these and nothing else."""

    slug: str
    name: str
    monogram: str
    sites: tuple[Site, ...]
    fields: tuple[CredentialField, ...]
    guide: tuple[GuideStep, ...]
    boxes: tuple[PermissionBox, ...]
    needs: Mapping[AccessPlan, frozenset[Permission]]
    verified_on: str
    one_call_at_a_time: bool = False
    calls_per_second: int = 0  # per key, heeded where calls go one at a time; 0 = no such limit
    key_limit: CallLimit | None = None  # per key, over a longer time, where calls go one at a time
    aliases: tuple[str, ...] = ()
    limits: str = ""
    confirms_by_email: frozenset[Permission] = frozenset()
    doubtful_codes: frozenset[str] = frozenset()  # problem codes for which its answer leaves several reasons open
    expiry_rule: str = ""  # a sentence that says by which rule it ends keys
    host_limits: tuple[CallLimit, ...] = CAUTIOUS_LIMITS  # per host and address that calls go out from, over all keys

    def site(self, environment: Environment) -> Site | None:
        """Return the site for an environment, or None where the exchange has none."""
        return next((site for site in self.sites if site.environment is environment), None)


@dataclass(frozen=True, slots=True)
class Call:
    """A request an adapter may make. `path` may hold `{name}` placeholders; `probe` is the policy a non-GET needs.

    `reads` marks a POST that only reads, at an exchange that takes every signed call as a POST: it needs no policy.
    `calls_per_second` is a pace of this call alone, per key; 0 = none.
    """

    method: str
    path: str
    needs: Permission | None = None
    probe: ProbePolicy = ProbePolicy.READS
    public: bool = False
    reads: bool = False
    calls_per_second: int = 0

    @property
    def label(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Secrets:
    """A credential's opened values by field name, in memory only."""

    values: Mapping[str, Secret] = field(repr=False)

    def __getitem__(self, name: str) -> Secret:
        return self.values[name]


@dataclass(frozen=True, slots=True)
class CallEvidence:
    """One call of a check as it may be shown: what was asked, how it was answered, how long it took. No URL, no body."""

    call: str
    asked_at: datetime
    outcome: str  # "ok" or a problem code
    http_status: int | None
    latency_ms: int


@dataclass(frozen=True, slots=True)
class ClockReading:
    """The exchange's clock against ours: positive when ours is ahead; None when the exchange did not tell.

    `is_corrected` means that the exchange would refuse our own time, and calls are signed with its time instead.
    """

    ahead_seconds: float | None
    latency_ms: int
    is_corrected: bool = False


@dataclass(frozen=True, slots=True)
class KeyReport:
    """What a check found out. `allowed_ips` and `expires_at` are None where the exchange does not tell.

    `waiting` means the exchange still waits for the trader's e-mail confirmation.
    """

    grants: Mapping[Permission, Grant]
    account_id: str | None = None
    allowed_ips: tuple[str, ...] | None = None
    expires_at: datetime | None = None
    waiting: bool = False


def add_exactly(first: Decimal, *more: Decimal) -> Decimal:
    """Add amounts without rounding: the usual 28 digits are too few for 18 places of a large holding."""
    total = first
    for amount in more:
        if amount:
            total = _EXACT.add(total, amount)
    return total


class Balance(msgspec.Struct, frozen=True, gc=False):
    """One asset in one account of the exchange (spot, wallet …). `held` is in orders or locked."""

    account: str
    asset: str
    available: Decimal
    held: Decimal

    @property
    def total(self) -> Decimal:
        return add_exactly(self.available, self.held)


@dataclass(frozen=True, slots=True)
class MissingAccount:
    """An account of the exchange whose balance could not be read, and the problem code that says why."""

    account: str
    code: str


@dataclass(frozen=True, slots=True)
class BalanceSheet:
    """All non-zero balances of a credential, and the accounts that are missing from it."""

    balances: tuple[Balance, ...]
    missing: tuple[MissingAccount, ...] = ()
