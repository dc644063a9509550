"""Binance, played by its spot API: one refusal for a wrong key, a wrong address and a missing right; rights are told."""

from dataclasses import replace
from decimal import Decimal
from typing import ClassVar
from urllib.parse import parse_qsl

from starlette.responses import Response

from app.exchanges.types import AccessPlan, ProbePolicy
from app.sandbox.accounts import Account, Holding
from app.sandbox.amounts import cut
from app.sandbox.assets import list_many_assets
from app.sandbox.calls import ReceivedCall, Route, Visit, find_route
from app.sandbox.exchange import SimulatedExchange, html_page, json_answer
from app.sandbox.exchanges.binance.account import AccountCalls
from app.sandbox.exchanges.binance.public import open_public_data
from app.sandbox.exchanges.binance.refusals import (
    BinanceRefusal,
    bad_key_format,
    outside_window,
    rejected_key,
    too_much_weight,
)
from app.sandbox.exchanges.binance.signing import verify_moment, verify_signature
from app.sandbox.exchanges.binance.trading import SpotTrading
from app.sandbox.lettering import ALPHANUMERIC, draw_factor, draw_text
from app.sandbox.scenarios import READ_TRADE, SHARED, Fault, Outcome, Scenario, pick
from app.sandbox.state import Sandbox

_READ_TRADE = {
    "BTC": ("0.15230741", "0.02"),
    "ETH": ("2.418", "0.5"),
    "USDT": ("1840.55731", "250.25"),
    "SOL": ("18.04", "0"),
    "TRX": ("5120", "880"),
}
_ORDINARY = {"BTC": "0.08412093", "ETH": "1.206", "USDT": "936.48122", "LINK": "44.7"}
_KEY_LENGTH = 64
_BY_NAME = {scenario.name: scenario for scenario in SHARED}


class Binance(SimulatedExchange):
    slug: ClassVar[str] = "binance"
    name: ClassVar[str] = "Binance"
    withdraw_known_from: ClassVar[ProbePolicy] = ProbePolicy.READS
    scenarios: ClassVar[tuple[Scenario, ...]] = (
        *pick(without=("ip-restricted", "expiring", "expired")),
        replace(
            _BY_NAME["ip-restricted"],
            words="A key bound to an address that is not this server's: refused like an unknown key.",
            outcome=Outcome("invalid_key", "invalid_key"),
        ),
        replace(
            _BY_NAME["expiring"],
            words="A key bound to no address: its right to trade ends in a few days.",
            plan=AccessPlan.TRADING,
            permissions=READ_TRADE,
        ),
        Scenario(
            "demo-key",
            "A key of the exchange's own test site, used on the live one.",
            Outcome("invalid_key", "invalid_key"),
            environment="demo",
        ),
    )

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(sandbox)
        data = open_public_data()
        self._routes: tuple[Route, ...] = (*data.routes(), *AccountCalls(data).routes(), *SpotTrading(data).routes())

    @classmethod
    def write_key(cls, scenario: str) -> tuple[str, str]:
        key = draw_text(f"binance/{scenario}/key", length=_KEY_LENGTH, alphabet=ALPHANUMERIC)
        return key, draw_text(f"binance/{scenario}/secret", length=_KEY_LENGTH, alphabet=ALPHANUMERIC)

    def open_accounts(self, scenario: Scenario, *, number: int) -> list[Account]:
        account = Account("spot", number)
        if scenario.name == "read-trade":
            for asset, (available, held) in _READ_TRADE.items():
                account.holdings[asset] = Holding(Decimal(available), Decimal(held))
        elif scenario.purse != "empty":
            for asset, text in _ORDINARY.items():
                amount = Decimal(text) * draw_factor(f"binance/{scenario.name}/{asset}")
                account.holdings[asset] = Holding(cut(amount, step=Decimal("0.00000001")))
        if scenario.purse == "large":
            for asset in list_many_assets():
                share = draw_factor(f"binance/large/{asset}")
                account.holdings[asset] = Holding(share * 100, share if share > 2 else Decimal(0))
        return [account]

    def refuse_all(self, call: ReceivedCall, fault: Fault) -> Response:
        refusal = _find_weather(fault) or _shut_down()
        return json_answer(refusal.write(), status=refusal.status, headers=refusal.headers)

    async def answer(self, call: ReceivedCall) -> Response:
        found = find_route(self._routes, call)
        if found is None:
            self.sandbox.record(self.slug, None, call)
            return html_page(404, "Not Found")
        route, path = found
        visit = Visit(call, path)
        visit.entered = _read_form(call) | visit.query
        try:
            if not route.is_public and (unusual := await self._admit(route, visit)) is not None:
                return unusual
            return json_answer(route.handler(visit))
        except BinanceRefusal as refusal:
            return json_answer(refusal.write(), status=refusal.status, headers=refusal.headers)

    async def _admit(self, route: Route, visit: Visit) -> Response | None:
        """Let a signed call in, in Binance's order of checks. Returns an answer that is no JSON refusal, if there is one."""
        call = visit.call
        access_key = call.headers.get("x-mbx-apikey", "")
        key = self.sandbox.get_key(self.slug, access_key)
        visit.key = key
        self.sandbox.record(self.slug, key, call, is_alarming=route.is_alarming(call))
        if len(access_key) != _KEY_LENGTH or not access_key.isalnum():
            raise bad_key_format()
        if key is not None:
            await self.delay(key)
            if key.fault is Fault.HTML_ERROR:
                return html_page(403, "ERROR: The request could not be satisfied", server="CloudFront")
            if (weather := _find_weather(key.fault)) is not None:
                raise weather
        if key is None or not key.active or key.environment != "live" or not key.is_open_to(call.client_ip):
            raise rejected_key()
        verify_moment(visit.entered, now=visit.now)
        verify_signature(call, secret=key.secret)
        key.count_call()
        if key.fault is Fault.ACCOUNT_BLOCKED:
            raise BinanceRefusal(-2017, "API Keys are locked on this account.", 401)
        if not key.may(route.needs):
            raise rejected_key()
        return None


def _shut_down() -> BinanceRefusal:
    return BinanceRefusal(-1016, "This service is no longer available.", 503)


_WEATHER = {Fault.RATE_LIMITED: too_much_weight, Fault.MAINTENANCE: _shut_down, Fault.CLOCK_SKEW: outside_window}


def _find_weather(fault: Fault | None) -> BinanceRefusal | None:
    return _WEATHER[fault]() if fault in _WEATHER else None


def _read_form(call: ReceivedCall) -> dict[str, str]:
    """Return the fields of a form body; Binance takes parameters from the query and the body alike."""
    return dict(parse_qsl(call.body.decode("utf-8", "replace"), keep_blank_values=True))
