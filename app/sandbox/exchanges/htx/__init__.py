"""HTX, played by its spot API: a signed query, errors inside HTTP 200, the key telling its own permissions."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import ClassVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from starlette.responses import Response

from app.exchanges.types import AccessPlan, ProbePolicy
from app.sandbox.accounts import Account, SimulatedKey
from app.sandbox.calls import Json, ReceivedCall, Route, Visit, find_route
from app.sandbox.exchange import SimulatedExchange, html_page, json_answer
from app.sandbox.exchanges.htx.funds import MANY_ZERO_ROWS, SEVERAL_KEYS, SUB_USER_403, SUB_USER_EMPTY, Funds
from app.sandbox.exchanges.htx.public import milliseconds, open_reference_data
from app.sandbox.exchanges.htx.quotes import Quotes
from app.sandbox.exchanges.htx.refusals import (
    CODE_AS_TEXT,
    NO_MESSAGE,
    V2_INVALID_SIGNATURE,
    V2_NUMBER,
    HtxRefusal,
    bad_gateway_input,
    blocked_account,
    expired_key,
    no_permission,
    too_many_calls,
    under_maintenance,
    wrong_address,
    wrong_key,
    wrong_moment,
)
from app.sandbox.exchanges.htx.seeds import open_htx_accounts
from app.sandbox.exchanges.htx.signing import read_presented, verify_moment, verify_signature
from app.sandbox.exchanges.htx.trading import LIST_BODY, SpotTrading
from app.sandbox.lettering import HEX, LOWER, draw_text
from app.sandbox.scenarios import CONNECTED, READ_TRADE, WITHDRAW_UNVERIFIED, Fault, Scenario, pick
from app.sandbox.state import Sandbox

ED25519 = "ed25519"
SLOW_BALANCE = "slow-balance"
SLOW_BALANCE_SECONDS = 10.0
GATEWAY_ERROR = "gateway-internal-error"
_LOCAL_NETWORKS = ("127.0.0.0/8", "::1", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")


def _sub_user(name: str, form: str, *, switches: frozenset[str] = frozenset()) -> Scenario:
    words = f"A sub-user's key: HTX does not tell its permissions ({form})."
    return Scenario(name, words, WITHDRAW_UNVERIFIED, is_sub_user=True, switches=switches)


class Htx(SimulatedExchange):
    slug: ClassVar[str] = "htx"
    name: ClassVar[str] = "HTX"
    withdraw_known_from: ClassVar[ProbePolicy] = ProbePolicy.READS
    forms: ClassVar[Mapping[str, str]] = {
        CODE_AS_TEXT: "Codes of v2 answers come as text.",
        GATEWAY_ERROR: "Every signed call ends in gateway-internal-error.",
        MANY_ZERO_ROWS: "Balances list 1,500 assets that are zero.",
        NO_MESSAGE: "v2 answers lack their message.",
        SEVERAL_KEYS: "The person holds a second, expired key that could withdraw.",
        SLOW_BALANCE: "Balances take 10 seconds.",
        SUB_USER_403: "A sub-user's key is refused with the number 403.",
        SUB_USER_EMPTY: "A sub-user's key is refused with HTTP 403 and no body.",
        V2_INVALID_SIGNATURE: "v2 paths refuse a key as 1003, invalid signature.",
        V2_NUMBER: "v2 paths refuse in v2's envelope, by number.",
    }
    scenarios: ClassVar[tuple[Scenario, ...]] = (
        *pick(),
        Scenario(
            "swapped-words",
            "A key whose permissions come in another order: trade before read.",
            CONNECTED,
            AccessPlan.TRADING,
            READ_TRADE,
            permission_words="trade,readOnly",
        ),
        Scenario("ip-bound", "A key bound to this machine's own networks.", CONNECTED, allowed_ips=_LOCAL_NETWORKS),
        Scenario(
            "several-keys",
            "One of several keys of the same person; another, expired one could withdraw.",
            CONNECTED,
            switches=frozenset({SEVERAL_KEYS}),
        ),
        _sub_user("sub-user", "number 1002"),
        _sub_user(SUB_USER_403, "number 403", switches=frozenset({SUB_USER_403})),
        _sub_user(SUB_USER_EMPTY, "HTTP 403 without a body", switches=frozenset({SUB_USER_EMPTY})),
        Scenario(ED25519, "A key pair the trader made: the secret is an Ed25519 private key.", CONNECTED),
    )

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(sandbox)
        data = open_reference_data()
        trading, funds = SpotTrading(data), Funds(data)
        self._routes: tuple[Route, ...] = (*data.routes(), *Quotes(data).routes(), *funds.routes(), *trading.routes())

    def seed(self) -> None:
        super().seed()
        self.sandbox.find_key(self.slug, "large").switches.add(MANY_ZERO_ROWS)

    @classmethod
    def write_key(cls, scenario: str) -> tuple[str, str]:
        seed = f"htx/{scenario}"
        groups = [draw_text(f"{seed}/key/{place}", length=size, alphabet=HEX) for place, size in enumerate((8, 8, 5))]
        access_key = "-".join([draw_text(f"{seed}/key", length=10, alphabet=LOWER), *groups])
        if scenario == ED25519:
            return access_key, _write_pem(seed)
        sizes = enumerate((8, 8, 8, 5))
        return access_key, "-".join(draw_text(f"{seed}/secret/{place}", length=size, alphabet=HEX) for place, size in sizes)

    def open_accounts(self, scenario: Scenario, *, number: int) -> list[Account]:
        return open_htx_accounts(scenario, number=number)

    def refuse_all(self, call: ReceivedCall, fault: Fault) -> Response:
        return self._refuse(_find_weather(fault) or under_maintenance(), Visit(call, {}))

    async def answer(self, call: ReceivedCall) -> Response:
        if call.method == "GET" and (call.body or call.headers.get("content-length", "0") != "0"):
            self.sandbox.record(self.slug, None, call)
            return html_page(403, "Forbidden")
        found = find_route(self._routes, call)
        if found is None:
            self.sandbox.record(self.slug, None, call)
            return self._refuse(HtxRefusal("method-not-allowed", "Method Not Allowed", status=405), Visit(call, {}))
        route, path = found
        visit = Visit(call, path)
        try:
            if not route.is_public and (unusual := await self._admit(route, visit)) is not None:
                return unusual
            visit.entered = _read_body(call)
            return json_answer(route.handler(visit), headers=_count_down(visit))
        except HtxRefusal as refusal:
            return self._refuse(refusal, visit)

    async def _admit(self, route: Route, visit: Visit) -> Response | None:
        """Let a signed call in, in HTX's order of checks. Returns an answer that is no JSON refusal, if there is one."""
        call = visit.call
        key = self.sandbox.get_key(self.slug, dict(call.list_parameters()).get("AccessKeyId", ""))
        visit.key = key
        self.sandbox.record(self.slug, key, call, is_alarming=route.is_alarming(call))
        if key is not None:
            await self.delay(key)
            if key.fault is Fault.HTML_ERROR:
                return html_page(403, "Forbidden", server="cloudflare")
            _meet_weather(key)
            if SLOW_BALANCE in key.switches and call.path.endswith("/balance"):
                await self.sandbox.sleep(SLOW_BALANCE_SECONDS)
        presented = read_presented(call)
        verify_moment(presented, now=visit.now)
        if key is None or not key.active:
            raise wrong_key()
        if key.valid_days == 0:
            raise expired_key()
        if not key.is_open_to(call.client_ip):
            raise wrong_address(call.client_ip)
        verify_signature(call, presented, secret=key.secret)
        key.count_call()
        if key.fault is Fault.ACCOUNT_BLOCKED:
            raise blocked_account()
        if not key.may(route.needs):
            raise no_permission()
        return None

    def _refuse(self, refusal: HtxRefusal, visit: Visit) -> Response:
        if not refusal.code and not refusal.number:
            return Response(b"", refusal.status)
        switches = visit.key.switches if visit.key else set()
        body = refusal.write(visit.call.path, switches=switches)
        if visit.call.path.startswith("/market/"):
            body = {"ts": milliseconds(visit), **body}
        return json_answer(body, status=refusal.status, headers=refusal.headers)


_WEATHER = {Fault.RATE_LIMITED: too_many_calls, Fault.MAINTENANCE: under_maintenance, Fault.CLOCK_SKEW: wrong_moment}


def _find_weather(fault: Fault | None) -> HtxRefusal | None:
    return _WEATHER[fault]() if fault in _WEATHER else None


def _meet_weather(key: SimulatedKey) -> None:
    """Raise what a broken key's signed calls end in."""
    if (weather := _find_weather(key.fault)) is not None:
        raise weather
    if GATEWAY_ERROR in key.switches:
        raise bad_gateway_input()


def _count_down(visit: Visit) -> dict[str, str]:
    """Return the rate headers of private answers."""
    if visit.key is None:
        return {}
    return {"X-HB-RateLimit-Requests-Remain": "97", "X-HB-RateLimit-Requests-Expire": str(milliseconds(visit) + 1500)}


def _read_body(call: ReceivedCall) -> dict[str, Json]:
    """Return a POST's fields; a list comes under LIST_BODY. Raises HtxRefusal gateway-internal-error."""
    if call.method == "GET" or not call.body:
        return {}
    if "application/json" not in call.headers.get("content-type", ""):
        raise bad_gateway_input()
    try:
        body = json.loads(call.body)
    except (ValueError, RecursionError):
        raise bad_gateway_input() from None
    if not isinstance(body, dict | list):
        raise bad_gateway_input()
    return body if isinstance(body, dict) else {LIST_BODY: [row for row in body if isinstance(row, dict)]}


def _write_pem(seed: str) -> str:
    private = Ed25519PrivateKey.from_private_bytes(sha256(f"keydeck sandbox/{seed}".encode()).digest())
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode().strip()
