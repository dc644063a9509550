"""The sandbox's memory: every simulated key by exchange, what was called, and what should never have been called."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from app.exchanges.types import Permission
from app.sandbox.accounts import SimulatedKey
from app.sandbox.calls import ReceivedCall
from app.sandbox.scenarios import Fault

Sleep = Callable[[float], Awaitable[None]]
CALLS_KEPT = 10_000
SLOW_SECONDS = 20.0
OUTAGE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Alarm:
    """A call that would have moved money or cancelled everything at a real exchange."""

    exchange: str
    scenario: str
    method: str
    path: str


@dataclass(slots=True)
class Weather:
    """How a whole exchange does: a fault that meets every call, a clock that is ahead of true time (or behind), a delay."""

    fault: Fault | None = None
    clock_ahead_seconds: float = 0.0
    latency_ms: int = 0


@dataclass(slots=True)
class RecordedCall:
    """One call as it is shown; `status` is None until it was answered."""

    exchange: str
    scenario: str
    method: str
    path: str
    at: datetime
    is_alarming: bool
    status: int | None = None


class Sandbox:
    """State of all simulated exchanges, for the exchanges themselves and for tests.

    `recorded_calls` holds (exchange, scenario or "" for calls without a known key, method, path), the last 10,000;
    `history` the same with moments and statuses.
    """

    def __init__(self, *, clock: Callable[[], datetime], sleep: Sleep = asyncio.sleep, latency_ms: int = 0) -> None:
        self.clock = clock
        self.sleep = sleep
        self.latency_ms = latency_ms
        self.recorded_calls: list[tuple[str, str, str, str]] = []
        self.history: deque[RecordedCall] = deque(maxlen=CALLS_KEPT)
        self.alarms: list[Alarm] = []
        self._unanswered: dict[int, RecordedCall] = {}
        self._weather: dict[str, Weather] = {}
        self._keys: dict[tuple[str, str], SimulatedKey] = {}

    def add_keys(self, keys: Iterable[SimulatedKey]) -> None:
        for key in keys:
            self._keys[key.exchange, key.access_key] = key

    def get_key(self, exchange: str, access_key: str) -> SimulatedKey | None:
        """Return the key an exchange was called with, whatever its state; None when it never existed."""
        return self._keys.get((exchange, access_key))

    def find_key(self, exchange: str, scenario: str) -> SimulatedKey:
        """Return the key of a scenario. Raises KeyError."""
        for key in self._keys.values():
            if (key.exchange, key.scenario) == (exchange, scenario):
                return key
        raise KeyError(f"{exchange} {scenario}")

    def list_keys(self, exchange: str) -> list[SimulatedKey]:
        """Return an exchange's keys in the order of their scenarios."""
        return [key for key in self._keys.values() if key.exchange == exchange]

    def find_weather(self, exchange: str) -> Weather:
        """Return an exchange's weather, to read or to change."""
        return self._weather.setdefault(exchange, Weather())

    def clear_weather(self) -> None:
        self._weather.clear()

    def record(self, exchange: str, key: SimulatedKey | None, call: ReceivedCall, *, is_alarming: bool = False) -> None:
        """Remember a call, and sound the alarm where it would have moved money."""
        scenario = key.scenario if key else ""
        self.recorded_calls.append((exchange, scenario, call.method, call.path))
        del self.recorded_calls[:-CALLS_KEPT]
        entry = RecordedCall(exchange, scenario, call.method, call.path, self.clock(), is_alarming)
        self._unanswered[id(call)] = entry
        self.history.append(entry)
        if is_alarming and len(self.alarms) < CALLS_KEPT:
            self.alarms.append(Alarm(exchange, scenario, call.method, call.path))

    def finish(self, exchange: str, call: ReceivedCall, *, status: int | None) -> None:
        """Remember how a call ended (None: the caller left). Calls of no key are recorded here, as nobody did before."""
        if id(call) not in self._unanswered:
            self.record(exchange, None, call)
        self._unanswered.pop(id(call)).status = status

    def forget_calls(self) -> None:
        self.recorded_calls.clear()
        self.history.clear()
        self.alarms.clear()

    def set_balance(
        self, exchange: str, *, scenario: str, account: str, asset: str, available: Decimal, held: Decimal = Decimal(0)
    ) -> None:
        """Put an exact balance into one account. Raises KeyError for an unknown scenario or account type."""
        holding = self.find_key(exchange, scenario).customer.find_account(account).open_holding(asset)
        holding.available, holding.held = available, held

    def set_permissions(self, exchange: str, *, scenario: str, permissions: Iterable[Permission]) -> None:
        """Change what a key may do. Raises KeyError."""
        self.find_key(exchange, scenario).permissions = set(permissions)

    def set_fault(self, exchange: str, *, scenario: str, fault: Fault | None) -> None:
        """Break or mend the signed calls of one key. Raises KeyError."""
        self.find_key(exchange, scenario).fault = fault
