"""HitBTC, played by its v3 API: Basic and HS256, four rights, three accounts, spot orders."""

import json
from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import parse_qsl

from starlette.responses import Response

from app.exchanges.types import AccessPlan, Permission, ProbePolicy
from app.sandbox.accounts import Account, SimulatedKey
from app.sandbox.calls import Json, ReceivedCall, Route, Visit, find_route
from app.sandbox.exchange import SimulatedExchange, html_page, json_answer
from app.sandbox.exchanges.hitbtc.funds import NO_RESERVED_MARGIN, ZERO_ROWS, list_fund_routes
from app.sandbox.exchanges.hitbtc.public import open_public_data
from app.sandbox.exchanges.hitbtc.refusals import EMPTY_DESCRIPTION, NO_DESCRIPTION, WRAPPED, HitbtcRefusal
from app.sandbox.exchanges.hitbtc.seeds import open_hitbtc_accounts
from app.sandbox.exchanges.hitbtc.signing import STALE, parse_authorization, verify_moment, verify_proof
from app.sandbox.exchanges.hitbtc.trading import SpotTrading
from app.sandbox.lettering import ALPHANUMERIC, draw_text
from app.sandbox.scenarios import READ_TRADE, Fault, Outcome, Scenario, pick
from app.sandbox.state import Sandbox

RATE_LIMIT_INSIDE_OK = "429-in-200"
HTML_503 = "html-503"
ADDRESS_FIRST = "address-first"


class Hitbtc(SimulatedExchange):
    slug: ClassVar[str] = "hitbtc"
    name: ClassVar[str] = "HitBTC"
    withdraw_known_from: ClassVar[ProbePolicy] = ProbePolicy.HARMLESS
    # "Payment information" shows the wallet and can also move funds between own accounts
    reads_with: ClassVar[frozenset[Permission]] = frozenset({Permission.READ, Permission.TRANSFER})
    forms: ClassVar[Mapping[str, str]] = {
        ADDRESS_FIRST: "The address is compared before time and signature (the order of checks is not documented).",
        EMPTY_DESCRIPTION: "Errors have an empty description.",
        HTML_503: "The HTML error page comes with HTTP 503.",
        NO_DESCRIPTION: "Errors have no description.",
        NO_RESERVED_MARGIN: "Balances lack reserved_margin.",
        RATE_LIMIT_INSIDE_OK: "The rate limit's error comes with HTTP 200.",
        WRAPPED: "Errors are wrapped, with a time and a path.",
        ZERO_ROWS: "Balances list assets that are zero.",
    }
    scenarios: ClassVar[tuple[Scenario, ...]] = (
        *pick(without=("expiring", "expired")),
        Scenario(
            "waiting",
            "A key whose right to trade still waits for the trader's e-mail confirmation.",
            Outcome("waiting", "waiting", stored=True),
            AccessPlan.TRADING,
            READ_TRADE,
            awaits_email=True,
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
        self._routes: tuple[Route, ...] = (*data.routes(), *list_fund_routes(), *SpotTrading(data).routes())

    @classmethod
    def write_key(cls, scenario: str) -> tuple[str, str]:
        return _draw_part(f"hitbtc/{scenario}/key"), _draw_part(f"hitbtc/{scenario}/secret")

    def open_accounts(self, scenario: Scenario, *, number: int) -> list[Account]:
        return open_hitbtc_accounts(scenario)

    def refuse_all(self, call: ReceivedCall, fault: Fault) -> Response:
        return self._refuse(call, _find_weather(fault) or HitbtcRefusal(503), None)

    async def answer(self, call: ReceivedCall) -> Response:
        found = find_route(self._routes, call)
        if found is None:
            self.sandbox.record(self.slug, None, call)
            return self._refuse(call, HitbtcRefusal(800), None)
        route, path = found
        visit = Visit(call, path)
        try:
            if not route.is_public and (unusual := await self._admit(route, visit)) is not None:
                return unusual
            visit.entered = _read_body(call)
            return json_answer(route.handler(visit))
        except HitbtcRefusal as refusal:
            return self._refuse(call, refusal, visit.key)

    async def _admit(self, route: Route, visit: Visit) -> Response | None:
        """Let a signed call in, in HitBTC's order of checks. Returns an answer that is no JSON refusal, if there is one."""
        call = visit.call
        key = self._peek_key(call)
        visit.key = key
        self.sandbox.record(self.slug, key, call, is_alarming=route.is_alarming(call))
        if key is not None:
            await self.delay(key)
            if key.fault is Fault.HTML_ERROR:
                return (
                    html_page(503, "Service Temporarily Unavailable")
                    if HTML_503 in key.switches
                    else html_page(502, "Bad Gateway")
                )
            if (weather := _find_weather(key.fault)) is not None:
                raise weather
        presented = parse_authorization(call.headers.get("authorization", ""))
        if key is None or not key.active or key.environment != "live":
            raise HitbtcRefusal(1002, "unknown or inactive API key")
        if key.fault is Fault.CLOCK_SKEW:
            raise HitbtcRefusal(1002, STALE)
        if ADDRESS_FIRST in key.switches and not key.is_open_to(call.client_ip):
            raise HitbtcRefusal(1003)
        verify_moment(presented, now=visit.now)
        verify_proof(presented, call, secret=key.secret)
        key.count_call()
        _refuse_key(key, route, call)
        return None

    def _peek_key(self, call: ReceivedCall) -> SimulatedKey | None:
        """Return whose call it claims to be, before anything is verified: faults belong to the key used."""
        try:
            return self.sandbox.get_key(self.slug, parse_authorization(call.headers.get("authorization", "")).access_key)
        except HitbtcRefusal:
            return None

    def _refuse(self, call: ReceivedCall, refusal: HitbtcRefusal, key: SimulatedKey | None) -> Response:
        switches = key.switches if key else set()
        headers = {"Retry-After": str(refusal.retry_after_seconds)} if refusal.retry_after_seconds else {}
        hidden = refusal.code == 429 and RATE_LIMIT_INSIDE_OK in switches
        return json_answer(refusal.write(call, switches=switches), status=200 if hidden else refusal.status, headers=headers)


def _draw_part(seed: str) -> str:
    """Return 32 characters as HitBTC's keys and secrets have them."""
    first = draw_text(f"{seed}/first", length=1, alphabet=ALPHANUMERIC)
    return first + draw_text(seed, length=31, alphabet=ALPHANUMERIC + "-_")


def _find_weather(fault: Fault | None) -> HitbtcRefusal | None:
    if fault is Fault.RATE_LIMITED:
        return HitbtcRefusal(429, retry_after_seconds=2)
    return HitbtcRefusal(503) if fault is Fault.MAINTENANCE else None


def _refuse_key(key: SimulatedKey, route: Route, call: ReceivedCall) -> None:
    if not key.is_open_to(call.client_ip):
        raise HitbtcRefusal(1003)
    if key.fault is Fault.ACCOUNT_BLOCKED:
        raise HitbtcRefusal(600)
    if not key.may(route.needs):
        raise HitbtcRefusal(1003)


def _read_body(call: ReceivedCall) -> dict[str, Json]:
    """Return the fields of a JSON or form body. Raises HitbtcRefusal 10001."""
    if not call.body:
        return {}
    if "x-www-form-urlencoded" in call.headers.get("content-type", "") and not call.body.lstrip().startswith(b"{"):
        return dict(parse_qsl(call.body.decode("utf-8", "replace"), keep_blank_values=True))
    try:
        body = json.loads(call.body)
    except (ValueError, RecursionError):
        raise HitbtcRefusal(10001, "malformed body") from None
    if not isinstance(body, dict):
        raise HitbtcRefusal(10001, "malformed body")
    return body
