"""Kraken, played by its spot REST API: POSTs with rising numbers, errors in lists with HTTP 200, rights told in words."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import ClassVar

from starlette.responses import Response

from app.exchanges.types import ProbePolicy
from app.sandbox.accounts import Account, Holding
from app.sandbox.amounts import cut
from app.sandbox.assets import list_many_assets
from app.sandbox.calls import ReceivedCall, Route, Visit, find_route
from app.sandbox.exchange import SimulatedExchange, html_page, json_answer
from app.sandbox.exchanges.kraken.account import UNTOLD, list_account_routes
from app.sandbox.exchanges.kraken.public import open_public_data
from app.sandbox.exchanges.kraken.refusals import (
    KrakenRefusal,
    invalid_key,
    invalid_nonce,
    permission_denied,
    unknown_method,
)
from app.sandbox.exchanges.kraken.signing import read_fields, verify_call
from app.sandbox.exchanges.kraken.trading import SpotTrading
from app.sandbox.lettering import ALPHANUMERIC, draw_factor, draw_text
from app.sandbox.scenarios import CONNECTED, LATE_NUMBER, SHARED, Fault, Outcome, Scenario, pick
from app.sandbox.state import Sandbox

_READ_TRADE = {
    "BTC": ("0.15230741", "0.02"),
    "ETH": ("2.418", "0.5"),
    "USDT": ("1840.55731", "250.25"),
    "USD": ("1250.55", "0"),
    "TRX": ("5120", "880"),
}
_ORDINARY = {"BTC": "0.08412093", "USD": "840.25", "USDT": "936.48122", "DOGE": "1204.3"}
_STAKED = {"BTC": "0.05", "ETH.F": "1.25", "XBT.M": "0.015", "USDT.B": "400", "DOT28.S": "31.5", "SOL.S": "4.2"}
_UNLIKE = {scenario.name: scenario for scenario in SHARED}
_LIKE_UNKNOWN = Outcome("invalid_key", "invalid_key")


class Kraken(SimulatedExchange):
    slug: ClassVar[str] = "kraken"
    name: ClassVar[str] = "Kraken"
    withdraw_known_from: ClassVar[ProbePolicy] = ProbePolicy.READS
    forms: ClassVar[Mapping[str, str]] = {UNTOLD: "The exchange does not tell what the key may do."}
    scenarios: ClassVar[tuple[Scenario, ...]] = (
        *pick(without=("ip-restricted", "expired", "clock-skew")),
        replace(
            _UNLIKE["ip-restricted"],
            words="A key bound to an address that is not this server's: refused like an unknown key.",
            outcome=_LIKE_UNKNOWN,
        ),
        replace(_UNLIKE["expired"], words="A key past its last day: refused like an unknown key.", outcome=_LIKE_UNKNOWN),
        replace(
            _UNLIKE["clock-skew"],
            words="A key whose numbers are always late: another program uses it, too.",
            outcome=LATE_NUMBER,
        ),
        Scenario("ip-bound", "A key bound to this server's addresses.", CONNECTED, allowed_ips=("127.0.0.0/8", "::1")),
        Scenario("untold", "An exchange that does not tell what the key may do.", CONNECTED, switches=frozenset({UNTOLD})),
        Scenario("staked", "An account with staked and rewarded holdings under Kraken's suffixes.", CONNECTED, purse="staked"),
    )

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(sandbox)
        data = open_public_data()
        self._routes: tuple[Route, ...] = (*data.routes(), *list_account_routes(), *SpotTrading(data).routes())

    @classmethod
    def write_key(cls, scenario: str) -> tuple[str, str]:
        key = draw_text(f"kraken/{scenario}/key", length=56, alphabet=ALPHANUMERIC + "+/")
        secret = draw_text(f"kraken/{scenario}/secret", length=85, alphabet=ALPHANUMERIC + "+/")
        return key, f"{secret}A=="  # 64 bytes in base64 leave four bits of the last letter empty

    def open_accounts(self, scenario: Scenario, *, number: int) -> list[Account]:
        account = Account("spot", number)
        if scenario.name == "read-trade":
            for asset, (available, held) in _READ_TRADE.items():
                account.holdings[asset] = Holding(Decimal(available), Decimal(held))
        elif scenario.purse == "staked":
            account.holdings = {code: Holding(Decimal(text)) for code, text in _STAKED.items()}
        elif scenario.purse != "empty":
            for asset, text in _ORDINARY.items():
                amount = Decimal(text) * draw_factor(f"kraken/{scenario.name}/{asset}")
                account.holdings[asset] = Holding(cut(amount, step=Decimal("0.00000001")))
        if scenario.purse == "large":
            for asset in list_many_assets():
                share = draw_factor(f"kraken/large/{asset}")
                account.holdings[asset] = Holding(share * 100, share if share > 2 else Decimal(0))
        return [account]

    def refuse_all(self, call: ReceivedCall, fault: Fault) -> Response:
        return json_answer((_find_weather(fault) or KrakenRefusal("EService:Unavailable")).write())

    async def answer(self, call: ReceivedCall) -> Response:
        found = find_route(self._routes, call)
        if found is None:
            self.sandbox.record(self.slug, None, call)
            return json_answer(unknown_method().write())
        route, path = found
        visit = Visit(call, path)
        try:
            if not route.is_public and (unusual := await self._admit(route, visit)) is not None:
                return unusual
            return json_answer({"error": [], "result": route.handler(visit)})
        except KrakenRefusal as refusal:
            return json_answer(refusal.write())

    async def _admit(self, route: Route, visit: Visit) -> Response | None:
        """Let a private call in. Returns an answer that is no JSON refusal, if there is one."""
        call = visit.call
        key = self.sandbox.get_key(self.slug, call.headers.get("api-key", ""))
        visit.key = key
        self.sandbox.record(self.slug, key, call, is_alarming=route.is_alarming(call))
        if key is not None:
            await self.delay(key)
            if key.fault is Fault.HTML_ERROR:
                return html_page(520, "Web server is returning an unknown error", server="cloudflare")
            if (weather := _find_weather(key.fault)) is not None:
                raise weather
        if key is None or not key.active or key.valid_days == 0 or not key.is_open_to(call.client_ip):
            raise invalid_key()
        visit.entered = read_fields(call)
        verify_call(call, visit.entered, key)
        key.count_call()
        if key.fault is Fault.ACCOUNT_BLOCKED:
            raise KrakenRefusal("EAuth:Account temporary disabled")
        if not key.may(route.needs):
            raise permission_denied()
        return None


_WEATHER = {
    Fault.RATE_LIMITED: "EAPI:Rate limit exceeded",
    Fault.MAINTENANCE: "EService:Unavailable",
    Fault.CLOCK_SKEW: invalid_nonce().words,
}


def _find_weather(fault: Fault | None) -> KrakenRefusal | None:
    return KrakenRefusal(_WEATHER[fault]) if fault in _WEATHER else None
