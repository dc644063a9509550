"""bitexbit, played by its v2 and Gateway APIs: rising nonces, plain HTTP statuses, no call that tells a key's rights."""

import json
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import ClassVar

from starlette.responses import Response

from app.exchanges.types import ProbePolicy
from app.sandbox.accounts import Account, Holding, SimulatedKey
from app.sandbox.amounts import cut
from app.sandbox.assets import list_many_assets
from app.sandbox.calls import Json, ReceivedCall, Route, Visit, find_route
from app.sandbox.exchange import SimulatedExchange, html_page, json_answer
from app.sandbox.exchanges.bitexbit.private import PrivateCalls
from app.sandbox.exchanges.bitexbit.public import open_public_data
from app.sandbox.exchanges.bitexbit.refusals import (
    OLD_ERRORS,
    BitexbitRefusal,
    invalid_nonce,
    no_access,
    not_found,
    throttled,
    under_maintenance,
)
from app.sandbox.exchanges.bitexbit.signing import read_access_key, verify_call
from app.sandbox.lettering import ALPHANUMERIC, HEX, draw_factor, draw_text
from app.sandbox.scenarios import LATE_NUMBER, SHARED, Fault, Scenario, pick
from app.sandbox.state import Sandbox

_READ_TRADE = {
    "BTC": ("0.42000000", "0.01000000"),
    "USD": ("1250.55000000", "310.00000000"),
    "ETH": ("3.10450000", "0"),
    "LTC": ("22.5", "4.25"),
    "USDT": ("612.08", "0"),
}
_ORDINARY = {"BTC": "0.05120000", "USD": "840.25", "XRP": "410.5"}


class Bitexbit(SimulatedExchange):
    slug: ClassVar[str] = "bitexbit"
    name: ClassVar[str] = "bitexbit"
    withdraw_known_from: ClassVar[ProbePolicy] = ProbePolicy.ALL
    forms: ClassVar[Mapping[str, str]] = {OLD_ERRORS: "Errors come in v1's form: a date and one text."}
    scenarios: ClassVar[tuple[Scenario, ...]] = (
        *pick(without=("expiring", "expired", "clock-skew")),
        replace(
            next(scenario for scenario in SHARED if scenario.name == "clock-skew"),
            words="A key whose numbers are always late: another program uses it, too.",
            outcome=LATE_NUMBER,
        ),
    )

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(sandbox)
        data = open_public_data()
        self._routes: tuple[Route, ...] = (*data.routes(), *PrivateCalls(data).routes())

    @classmethod
    def write_key(cls, scenario: str) -> tuple[str, str]:
        key = draw_text(f"bitexbit/{scenario}/key", length=40, alphabet=HEX)
        return key, draw_text(f"bitexbit/{scenario}/secret", length=64, alphabet=ALPHANUMERIC)

    def open_accounts(self, scenario: Scenario, *, number: int) -> list[Account]:
        account = Account("main", number)
        if scenario.name == "read-trade":
            for asset, (available, held) in _READ_TRADE.items():
                account.holdings[asset] = Holding(Decimal(available), Decimal(held))
        elif scenario.purse != "empty":
            for asset, text in _ORDINARY.items():
                amount = Decimal(text) * draw_factor(f"bitexbit/{scenario.name}/{asset}")
                account.holdings[asset] = Holding(cut(amount, step=Decimal("0.00000001")))
        if scenario.purse == "large":
            for asset in list_many_assets():
                share = draw_factor(f"bitexbit/large/{asset}")
                account.holdings[asset] = Holding(share * 75, share if share > 2 else Decimal(0))
        return [account]

    def refuse_all(self, call: ReceivedCall, fault: Fault) -> Response:
        refusal = _find_weather(fault) or under_maintenance()
        return json_answer(refusal.write(), status=refusal.status, headers=refusal.headers)

    async def answer(self, call: ReceivedCall) -> Response:
        found = find_route(self._routes, call)
        if found is None:
            self.sandbox.record(self.slug, None, call)
            return json_answer(not_found().write(), status=404)
        route, path = found
        visit = Visit(call, path)
        try:
            if not route.is_public and (unusual := await self._admit(route, visit)) is not None:
                return unusual
            visit.entered = _read_body(call)
            return json_answer(route.handler(visit))
        except BitexbitRefusal as refusal:
            body = refusal.write_old(call) if visit.has_switch(OLD_ERRORS) else refusal.write()
            return json_answer(body, status=refusal.status, headers=refusal.headers)

    async def _admit(self, route: Route, visit: Visit) -> Response | None:
        """Let a signed call in: weather, authentication, access. Returns an answer that is no JSON refusal, if there is one."""
        call = visit.call
        access_key = read_access_key(call)
        key = self.sandbox.get_key(self.slug, access_key)
        visit.key = key
        self.sandbox.record(self.slug, key, call, is_alarming=route.is_alarming(call))
        if not access_key:
            raise BitexbitRefusal(401, "Authentication credentials were not provided.")
        if key is not None:
            await self.delay(key)
            if key.fault is Fault.HTML_ERROR:
                return html_page(502, "Bad Gateway")
            if (weather := _find_weather(key.fault)) is not None:
                raise weather
        if key is None or not key.active:
            raise BitexbitRefusal(401, "Invalid API key.")
        verify_call(call, key)
        key.count_call()
        _refuse_key(key, route, call)
        return None


_WEATHER = {Fault.RATE_LIMITED: throttled, Fault.MAINTENANCE: under_maintenance, Fault.CLOCK_SKEW: invalid_nonce}


def _find_weather(fault: Fault | None) -> BitexbitRefusal | None:
    return _WEATHER[fault]() if fault in _WEATHER else None


def _refuse_key(key: SimulatedKey, route: Route, call: ReceivedCall) -> None:
    if not key.is_open_to(call.client_ip):
        raise BitexbitRefusal(401, f"IP address {call.client_ip} is not allowed for this API key.")
    if key.fault is Fault.ACCOUNT_BLOCKED:
        raise BitexbitRefusal(403, "User account is blocked.")
    if not key.may(route.needs):
        raise no_access()


def _read_body(call: ReceivedCall) -> dict[str, Json]:
    """Return a POST's fields. Raises BitexbitRefusal 400."""
    if call.method == "GET" or not call.body:
        return {}
    try:
        body = json.loads(call.body)
    except (ValueError, RecursionError):
        raise BitexbitRefusal(400, "JSON parse error.") from None
    if not isinstance(body, dict):
        raise BitexbitRefusal(400, "Invalid data. Expected a dictionary.")
    return body
