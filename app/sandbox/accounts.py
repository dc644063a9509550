"""What a simulated exchange knows of one person: accounts with balances, keys with rights, orders, faults and counters."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from app.exchanges.types import Permission
from app.sandbox.amounts import ZERO
from app.sandbox.orders import Desk
from app.sandbox.scenarios import Fault

_CONFIRMED_BY_EMAIL = frozenset({Permission.TRADE, Permission.WITHDRAW})


class InsufficientFunds(Exception):
    """An account holds less than an order needs; `left` is what is available."""

    def __init__(self, left: Decimal) -> None:
        super().__init__("insufficient funds")
        self.left = left


@dataclass(slots=True)
class Holding:
    """One asset in one account. `extra` holds what only some exchanges have (loan, interest, reserved margin …)."""

    available: Decimal = ZERO
    held: Decimal = ZERO
    extra: dict[str, Decimal] = field(default_factory=dict)


@dataclass(slots=True)
class Account:
    """One account type of a person at an exchange (spot, wallet, otc …)."""

    kind: str
    number: int = 0
    subtype: str = ""
    state: str = "working"
    holdings: dict[str, Holding] = field(default_factory=dict)

    def open_holding(self, asset: str) -> Holding:
        """Return the holding of an asset, an empty one when there was none."""
        return self.holdings.setdefault(asset, Holding())

    def reserve(self, asset: str, amount: Decimal) -> None:
        """Move an amount from available to held. Raises InsufficientFunds."""
        holding = self.open_holding(asset)
        if holding.available < amount:
            raise InsufficientFunds(holding.available)
        holding.available -= amount
        holding.held += amount

    def release(self, asset: str, amount: Decimal) -> None:
        """Give a reserved amount back."""
        holding = self.open_holding(asset)
        holding.held -= amount
        holding.available += amount

    def spend(self, asset: str, amount: Decimal) -> None:
        """Take an amount out of what is held."""
        self.open_holding(asset).held -= amount

    def receive(self, asset: str, amount: Decimal) -> None:
        self.open_holding(asset).available += amount


@dataclass(slots=True)
class SimulatedKey:
    """One API key. `drifts_after` counts signed calls until it may withdraw; `switches` choose among answer forms.

    `permissions` are the boxes that are ticked; while `awaits_email`, trading and withdrawing are not in force yet.
    """

    exchange: str
    scenario: str
    access_key: str
    secret: str = field(repr=False)
    permissions: set[Permission]
    customer: "Customer"
    active: bool = True
    environment: str = "live"
    allowed_ips: tuple[str, ...] = ()
    valid_days: int | None = None
    fault: Fault | None = None
    note: str = ""
    drifts_after: int | None = None
    switches: set[str] = field(default_factory=set)
    calls_made: int = 0
    last_nonce: int = 0
    permission_words: str | None = None
    awaits_email: bool = False

    @property
    def in_force(self) -> set[Permission]:
        """What the key may do now."""
        return self.permissions - _CONFIRMED_BY_EMAIL if self.awaits_email else self.permissions

    def may(self, right: Permission | None) -> bool:
        """Whether the key may make a call that needs this right; None needs none."""
        return right is None or right in self.in_force

    def count_call(self) -> None:
        """Count a signed call; a drifting key gains the right to withdraw when its number is reached."""
        self.calls_made += 1
        if self.drifts_after is not None and self.calls_made > self.drifts_after:
            self.permissions.add(Permission.WITHDRAW)

    def is_open_to(self, address: str) -> bool:
        """Whether the key may be used from an address; a key bound to none may be used from anywhere."""
        return not self.allowed_ips or any(_is_within(address, allowed) for allowed in self.allowed_ips)


@dataclass(slots=True)
class Customer:
    """A person at one exchange: number (uid), accounts, keys, orders."""

    number: int
    accounts: list[Account]
    desk: Desk
    keys: list[SimulatedKey] = field(default_factory=list)
    is_sub_user: bool = False

    def find_account(self, kind: str) -> Account:
        """Return the account of a type. Raises KeyError when the person has none."""
        for account in self.accounts:
            if account.kind == kind:
                return account
        raise KeyError(kind)


def _is_within(address: str, allowed: str) -> bool:
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(allowed, strict=False)
    except ValueError:
        return address == allowed


def sum_held(accounts: Iterable[Account], asset: str) -> Decimal:
    """Return available plus held of an asset over the accounts."""
    holdings = [account.holdings[asset] for account in accounts if asset in account.holdings]
    return sum((holding.available + holding.held for holding in holdings), ZERO)
