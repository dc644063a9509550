"""The sandbox's switches: what a whole exchange and each of its keys can be turned to, read and set as plain values.

Everything the fact sheets of the exchanges ask a simulator for can be turned here while it runs.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from ipaddress import ip_network
from typing import Any

from app.exchanges.types import Permission
from app.sandbox.accounts import SimulatedKey
from app.sandbox.exchange import SimulatedExchange
from app.sandbox.scenarios import Fault
from app.sandbox.state import Sandbox

EXCHANGE_FAULTS = (Fault.SLOW, Fault.RATE_LIMITED, Fault.MAINTENANCE, Fault.HTML_ERROR, Fault.OUTAGE)
KEY_FAULTS = tuple(fault for fault in Fault if fault is not Fault.OUTAGE)
_MOST_SECONDS = 86_400.0
_MOST_CALLS = 1_000_000


class SwitchError(Exception):
    """A value that a switch does not take; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Switchboard:
    """All switches of one sandbox."""

    sandbox: Sandbox
    exchanges: tuple[SimulatedExchange, ...]

    def find_exchange(self, slug: str) -> SimulatedExchange:
        """Return the exchange. Raises KeyError."""
        for exchange in self.exchanges:
            if exchange.slug == slug:
                return exchange
        raise KeyError(slug)

    def describe(self) -> dict[str, Any]:
        """Return where every switch stands; no secret is among it."""
        return {
            "exchanges": [self.describe_exchange(exchange.slug) for exchange in self.exchanges],
            "calls": len(self.sandbox.history),
            "alarms": len(self.sandbox.alarms),
        }

    def describe_exchange(self, slug: str) -> dict[str, Any]:
        """Return one exchange's switches. Raises KeyError."""
        exchange, weather = self.find_exchange(slug), self.sandbox.find_weather(slug)
        words = {scenario.name: scenario.words for scenario in exchange.scenarios}
        return {
            "slug": slug,
            "name": exchange.name,
            "fault": weather.fault.value if weather.fault else None,
            "clock_ahead_seconds": weather.clock_ahead_seconds,
            "latency_ms": weather.latency_ms,
            "forms": dict(exchange.forms),
            "keys": [_describe_key(key, words.get(key.scenario, "")) for key in self.sandbox.list_keys(slug)],
        }

    def change_exchange(self, slug: str, values: Mapping[str, Any]) -> None:
        """Turn an exchange's switches. Raises KeyError or SwitchError; then nothing was turned."""
        self.find_exchange(slug)
        weather = self.sandbox.find_weather(slug)
        readers = {
            "fault": lambda value: _read_fault(value, EXCHANGE_FAULTS),
            "clock_ahead_seconds": lambda value: _read_number("clock_ahead_seconds", value, least=-_MOST_SECONDS),
            "latency_ms": lambda value: int(_read_number("latency_ms", value, least=0)),
        }
        _set_all(weather, values, readers)

    def change_key(self, slug: str, scenario: str, values: Mapping[str, Any]) -> None:
        """Turn a key's switches. Raises KeyError or SwitchError; then nothing was turned."""
        exchange = self.find_exchange(slug)
        key = self.sandbox.find_key(slug, scenario)
        readers = {
            "active": lambda value: _read_flag("active", value),
            "awaits_email": lambda value: _read_flag("awaits_email", value),
            "permissions": lambda value: {Permission(name) for name in _read_names(value, [one.value for one in Permission])},
            "fault": lambda value: _read_fault(value, KEY_FAULTS),
            "allowed_ips": _read_addresses,
            "valid_days": lambda value: _read_whole("valid_days", value),
            "drifts_after": lambda value: _read_whole("drifts_after", value),
            "permission_words": lambda value: str(value)[:200] if value else None,
            "forms": lambda value: set(_read_names(value, exchange.forms)),
        }
        _set_all(key, values, readers, named={"forms": "switches"})

    def set_balance(self, slug: str, scenario: str, *, account: str, asset: str, values: Mapping[str, Any]) -> None:
        """Put an exact balance into one account. Raises KeyError or SwitchError."""
        self.sandbox.find_key(slug, scenario).customer.find_account(account)
        if not asset.isascii() or not asset.replace(".", "").isalnum() or len(asset) > 20:
            raise SwitchError("an asset is letters and digits, at most 20")
        available, held = (_read_amount(name, values.get(name, "0")) for name in ("available", "held"))
        self.sandbox.set_balance(slug, scenario=scenario, account=account, asset=asset.upper(), available=available, held=held)

    def list_calls(self, *, exchange: str = "", scenario: str = "", limit: int = 200) -> list[dict[str, Any]]:
        """Return recorded calls, newest first, without queries: some exchanges sign in them."""
        found = [
            entry
            for entry in reversed(self.sandbox.history)
            if (not exchange or entry.exchange == exchange) and (not scenario or entry.scenario == scenario)
        ]
        return [
            {
                "at": entry.at.isoformat(),
                "exchange": entry.exchange,
                "scenario": entry.scenario,
                "method": entry.method,
                "path": entry.path,
                "status": entry.status,
                "alarming": entry.is_alarming,
            }
            for entry in found[:limit]
        ]

    def reset(self) -> None:
        """Put everything back to what it was at the start: keys, balances, orders, weather; and forget all calls."""
        self.sandbox.clear_weather()
        self.sandbox.forget_calls()
        for exchange in self.exchanges:
            exchange.seed()


def _describe_key(key: SimulatedKey, words: str) -> dict[str, Any]:
    return {
        "scenario": key.scenario,
        "words": words,
        "active": key.active,
        "permissions": [right.value for right in Permission if right in key.permissions],
        "in_force": [right.value for right in Permission if right in key.in_force],
        "awaits_email": key.awaits_email,
        "allowed_ips": list(key.allowed_ips),
        "valid_days": key.valid_days,
        "fault": key.fault.value if key.fault else None,
        "drifts_after": key.drifts_after,
        "permission_words": key.permission_words,
        "forms": sorted(key.switches),
        "calls_made": key.calls_made,
        "balances": [
            {"account": account.kind, "asset": asset, "available": f"{holding.available:f}", "held": f"{holding.held:f}"}
            for account in key.customer.accounts
            for asset, holding in account.holdings.items()
        ],
    }


def _set_all(
    target: Any, values: Mapping[str, Any], readers: Mapping[str, Any], *, named: Mapping[str, str] | None = None
) -> None:
    """Read every value first, then set them all: a value that is refused leaves everything as it was."""
    unknown = sorted(values.keys() - readers.keys())
    if unknown:
        raise SwitchError(f"there is no switch {unknown[0]}; there are {', '.join(sorted(readers))}")
    read = {name: readers[name](value) for name, value in values.items()}
    for name, value in read.items():
        setattr(target, (named or {}).get(name, name), value)


def _read_fault(value: Any, allowed: Iterable[Fault]) -> Fault | None:
    names = [fault.value for fault in allowed]
    if value in (None, ""):
        return None
    if value not in names:
        raise SwitchError(f"fault is one of {', '.join(names)}, or null")
    return Fault(value)


def _read_flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise SwitchError(f"{name} is true or false")
    return value


def _read_names(value: Any, allowed: Iterable[str]) -> list[str]:
    known = list(allowed)
    if not isinstance(value, list) or not all(isinstance(name, str) and name in known for name in value):
        raise SwitchError(f"a list of {', '.join(known) or 'nothing: this exchange has no such forms'}")
    return list(value)


def _read_addresses(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > 20:
        raise SwitchError("allowed_ips is a list of at most 20 addresses or networks; an empty one binds the key to none")
    try:
        networks = [ip_network(str(address), strict=False) for address in value]
    except ValueError:
        raise SwitchError("allowed_ips: not an address or network") from None
    return tuple(str(network.network_address) if network.num_addresses == 1 else str(network) for network in networks)


def _read_whole(name: str, value: Any) -> int | None:
    return None if value is None else int(_read_number(name, value, least=0))


def _read_number(name: str, value: Any, *, least: float) -> float:
    most = _MOST_CALLS if least == 0 else _MOST_SECONDS
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise SwitchError(f"{name} is a number from {least:g} to {most:g}")
    return float(value)


def _read_amount(name: str, value: Any) -> Decimal:
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        raise SwitchError(f"{name} is an amount") from None
    if not amount.is_finite() or amount < 0 or amount.adjusted() > 20:
        raise SwitchError(f"{name} is an amount, not negative")
    return amount
