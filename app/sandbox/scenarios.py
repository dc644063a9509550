"""The seeded situations every simulated exchange can be in, and what connecting the key of each must give.

The names are the same for every exchange where they make sense; an exchange picks from here and adds its own.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from app.exchanges.types import AccessPlan, Permission, ProbePolicy

READ_ONLY = frozenset({Permission.READ})
READ_TRADE = READ_ONLY | {Permission.TRADE}
FOREIGN_ADDRESS = "203.0.113.7"


class Fault(StrEnum):
    """What goes wrong with every signed call of one key, or with every call of a whole exchange.

    OUTAGE (no byte comes back) is a whole exchange's only, ACCOUNT_BLOCKED a key's only.
    """

    SLOW = "slow"
    RATE_LIMITED = "rate-limited"
    MAINTENANCE = "maintenance"
    HTML_ERROR = "html-error"
    CLOCK_SKEW = "clock-skew"
    ACCOUNT_BLOCKED = "account-blocked"
    OUTAGE = "outage"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What connecting the key gives: Keydeck's status, its problem code (None: no problem) and whether it is stored."""

    status: str
    code: str | None = None
    stored: bool = False


LATE_NUMBER = Outcome("unavailable", "number_refused")
"""What a refused number (nonce) comes to where an exchange looks at numbers and at no clock."""
CONNECTED = Outcome("connected", None, True)
WITHDRAW_UNVERIFIED = Outcome("connected", "withdraw_unverified", True)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One situation, its key, and the expected outcome. `purse` names the balances: ordinary, empty or large."""

    name: str
    words: str
    outcome: Outcome
    plan: AccessPlan = AccessPlan.BALANCES
    permissions: frozenset[Permission] = READ_ONLY
    fault: Fault | None = None
    is_active: bool = True
    has_right_secret: bool = True
    is_sub_user: bool = False
    environment: str = "live"
    allowed_ips: tuple[str, ...] = ()
    valid_days: int | None = None
    drifts_after: int | None = None
    permission_words: str | None = None
    purse: str = "ordinary"
    awaits_email: bool = False
    switches: frozenset[str] = frozenset()


def _weather(name: Fault, *, code: str, words: str) -> Scenario:
    return Scenario(name.value, words, Outcome("unavailable", code), fault=name)


SHARED = (
    Scenario("read-only", "A key that may read and nothing else.", CONNECTED),
    Scenario(
        "read-trade",
        "A key that may read and trade; the account holds several assets.",
        CONNECTED,
        AccessPlan.TRADING,
        READ_TRADE,
    ),
    Scenario(
        "withdraw-enabled",
        "A key that may withdraw: refused, nothing is stored.",
        Outcome("withdraw_enabled", "withdraw_enabled"),
        AccessPlan.TRADING,
        READ_TRADE | {Permission.TRANSFER, Permission.WITHDRAW},
    ),
    Scenario("no-permissions", "A key that may do nothing.", Outcome("limited", "permission_missing"), permissions=frozenset()),
    Scenario(
        "ip-restricted",
        "A key bound to an address that is not this server's.",
        Outcome("ip_not_allowed", "ip_not_allowed"),
        allowed_ips=(FOREIGN_ADDRESS,),
    ),
    Scenario(
        "expiring", "A key that the exchange switches off in a few days.", Outcome("expiring", "key_expiring", True), valid_days=7
    ),
    Scenario("expired", "A key past its last day.", Outcome("key_expired", "key_expired"), valid_days=0),
    Scenario("revoked", "A key that was deleted at the exchange.", Outcome("invalid_key", "invalid_key"), is_active=False),
    Scenario(
        "wrong-secret",
        "A real key with a secret that does not belong to it.",
        Outcome("invalid_key", "bad_signature"),
        has_right_secret=False,
    ),
    Scenario("empty", "An account that holds nothing.", CONNECTED, purse="empty"),
    Scenario("large", "An account with hundreds of assets.", CONNECTED, purse="large"),
    _weather(Fault.SLOW, code="unreachable", words="The exchange takes 20 seconds to answer."),
    _weather(Fault.RATE_LIMITED, code="rate_limited", words="The exchange asks to slow down."),
    _weather(Fault.MAINTENANCE, code="maintenance", words="The exchange is under maintenance."),
    _weather(Fault.HTML_ERROR, code="exchange_unavailable", words="The exchange answers with an HTML error page."),
    _weather(Fault.CLOCK_SKEW, code="clock_skew", words="The exchange finds this server's clock wrong."),
    Scenario(
        "account-blocked",
        "The exchange has blocked the account behind the key.",
        Outcome("account_blocked", "account_blocked"),
        fault=Fault.ACCOUNT_BLOCKED,
    ),
    Scenario(
        "drifting",
        "A key that gains the right to withdraw after 25 calls.",
        CONNECTED,
        AccessPlan.TRADING,
        READ_TRADE,
        drifts_after=25,
    ),
)


def pick(*, without: Iterable[str] = ()) -> tuple[Scenario, ...]:
    """Return the shared scenarios but those named."""
    left_out = frozenset(without)
    return tuple(scenario for scenario in SHARED if scenario.name not in left_out)


def foresee(scenario: Scenario, *, withdraw_known_from: ProbePolicy, probes: ProbePolicy) -> Outcome:
    """Return what connecting must give under a probe policy: below `withdraw_known_from`, withdrawing stays unknown."""
    ranks = list(ProbePolicy)
    if ranks.index(probes) >= ranks.index(withdraw_known_from):
        return scenario.outcome
    if scenario.outcome == CONNECTED or scenario.outcome.status == "withdraw_enabled":
        return WITHDRAW_UNVERIFIED
    return scenario.outcome
