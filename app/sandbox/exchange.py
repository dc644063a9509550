"""The frame of a simulated exchange: a file with one subclass is found by its name, seeded, mounted and listed."""

import importlib
import inspect
import json
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import ClassVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.exchanges.types import Permission, ProbePolicy
from app.sandbox import exchanges
from app.sandbox.accounts import Account, Customer, SimulatedKey
from app.sandbox.calls import BodyTooLarge, Json, ReceivedCall, read_call
from app.sandbox.orders import Desk
from app.sandbox.scenarios import Fault, Scenario
from app.sandbox.state import OUTAGE_SECONDS, SLOW_SECONDS, Sandbox

_ANSWERED_ALIKE = (Fault.OUTAGE, Fault.HTML_ERROR, Fault.RATE_LIMITED, Fault.MAINTENANCE)


class SimulatedExchange(ABC):
    """One exchange played at its real paths. Subclasses verify signatures with their own code."""

    slug: ClassVar[str]
    name: ClassVar[str]
    scenarios: ClassVar[tuple[Scenario, ...]]
    withdraw_known_from: ClassVar[ProbePolicy]
    reads_with: ClassVar[frozenset[Permission]] = frozenset({Permission.READ})
    forms: ClassVar[Mapping[str, str]] = {}
    """The other known forms of answers that a key's account can be switched to, with what each does."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.seed()

    def seed(self) -> None:
        """Put every scenario's key and accounts into the sandbox as they are at first."""
        for place, scenario in enumerate(self.scenarios):
            self.sandbox.add_keys(self._seed(scenario, place))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI), with the Date header of the sandbox's clock."""
        weather = self.sandbox.find_weather(self.slug)
        if latency_ms := weather.latency_ms or self.sandbox.latency_ms:
            await self.sandbox.sleep(latency_ms / 1000)
        try:
            call = await read_call(Request(scope, receive), now=self._tell_time())
            response = await self._answer_on_record(weather.fault, call)
        except BodyTooLarge:
            response = html_page(413, "Request Entity Too Large")
        response.headers["date"] = format_datetime(self._tell_time(), usegmt=True)
        await response(scope, receive, send)

    async def _answer_on_record(self, fault: Fault | None, call: ReceivedCall) -> Response:
        status: int | None = None
        try:
            response = await self._answer_in(fault, call)
            status = response.status_code
        finally:
            self.sandbox.finish(self.slug, call, status=status)
        return response

    async def _answer_in(self, fault: Fault | None, call: ReceivedCall) -> Response:
        """Answer a call in the weather of the whole exchange; most of it answers every call alike."""
        if fault in _ANSWERED_ALIKE:
            self.sandbox.record(self.slug, None, call)
        if fault is Fault.OUTAGE:
            await self.sandbox.sleep(OUTAGE_SECONDS)  # longer than anybody waits
        if fault in (Fault.OUTAGE, Fault.HTML_ERROR):
            return html_page(502, "Bad Gateway")
        if fault in (Fault.RATE_LIMITED, Fault.MAINTENANCE):
            return self.refuse_all(call, fault)
        if fault is Fault.SLOW:
            await self.sandbox.sleep(SLOW_SECONDS)
        return await self.answer(call)

    def refuse_all(self, call: ReceivedCall, fault: Fault) -> Response:
        """Return how the exchange words a rate limit or maintenance that meets everybody."""
        return html_page(429 if fault is Fault.RATE_LIMITED else 503, "Service Unavailable")

    def _tell_time(self) -> datetime:
        return self.sandbox.clock() + timedelta(seconds=self.sandbox.find_weather(self.slug).clock_ahead_seconds)

    @abstractmethod
    async def answer(self, call: ReceivedCall) -> Response:
        """Return the exchange's answer to one call, good or bad."""

    @classmethod
    @abstractmethod
    def write_key(cls, scenario: str) -> tuple[str, str]:
        """Return (access key, secret) of a scenario in the exchange's own look; always the same."""

    @classmethod
    def write_wrong_secret(cls, scenario: str) -> str:
        """Return a secret of the right look that belongs to no key."""
        return cls.write_key(f"{scenario}/another")[1]

    @abstractmethod
    def open_accounts(self, scenario: Scenario, *, number: int) -> list[Account]:
        """Return the accounts of a scenario's customer with their balances."""

    async def delay(self, key: SimulatedKey) -> None:
        """Make a slow exchange slow."""
        if key.fault is Fault.SLOW:
            await self.sandbox.sleep(SLOW_SECONDS)

    def _seed(self, scenario: Scenario, place: int) -> list[SimulatedKey]:
        number = 412_345_001 + 1_337 * place
        customer = Customer(
            number,
            self.open_accounts(scenario, number=number),
            Desk(first_number=356_501_383_558_000 + 1_000_000 * place),
            is_sub_user=scenario.is_sub_user,
        )
        access_key, secret = self.write_key(scenario.name)
        reads = self.reads_with if Permission.READ in scenario.permissions else frozenset()
        key = SimulatedKey(
            self.slug,
            scenario.name,
            access_key,
            secret,
            set(scenario.permissions | reads),
            customer,
            active=scenario.is_active,
            environment=scenario.environment,
            allowed_ips=scenario.allowed_ips,
            valid_days=scenario.valid_days,
            fault=scenario.fault,
            note=f"keydeck {scenario.name}",
            drifts_after=scenario.drifts_after,
            switches=set(scenario.switches),
            permission_words=scenario.permission_words,
            awaits_email=scenario.awaits_email,
        )
        customer.keys.append(key)
        return [key]


def json_answer(body: Json, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON answer, compact, in UTF-8."""
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
    return Response(content, status, headers=dict(headers or {}), media_type="application/json")


def html_page(status: int, title: str, *, server: str = "nginx") -> Response:
    """Return the kind of page a front end sends when the exchange behind it does not answer."""
    page = f"<html>\r\n<head><title>{status} {title}</title></head>\r\n<body>\r\n<center><h1>{status} {title}</h1></center>"
    return Response(f"{page}\r\n<hr><center>{server}</center>\r\n</body>\r\n</html>\r\n", status, media_type="text/html")


def find_exchanges() -> tuple[type[SimulatedExchange], ...]:
    """Return the simulated exchanges, sorted by slug. Raises LookupError naming a file that does not hold exactly one."""
    found: list[type[SimulatedExchange]] = []
    for module_info in sorted(pkgutil.iter_modules(exchanges.__path__), key=lambda info: info.name):
        module = importlib.import_module(f"{exchanges.__name__}.{module_info.name}")
        kinds = [
            kind
            for _, kind in inspect.getmembers(module, inspect.isclass)
            if issubclass(kind, SimulatedExchange) and kind.__module__.startswith(module.__name__)
        ]
        if len(kinds) != 1 or kinds[0].slug != module_info.name:
            raise LookupError(f"app/sandbox/exchanges/{module_info.name}: expected one exchange with that slug")
        found.append(kinds[0])
    return tuple(found)
