"""bitexbit, REST API v2 and Gateway: signed headers with a rising number; it tells no rights, so each is probed."""

import hashlib
import hmac
from dataclasses import replace

from app.exchanges.adapter import ExchangeAdapter, Refusal
from app.exchanges.errors import (
    AccountBlocked,
    BadSignature,
    ClockSkew,
    ExchangeError,
    InvalidKey,
    IpNotAllowed,
    KeyExpired,
    NumberRefused,
    PermissionMissing,
    RateLimited,
    RequestRefused,
)
from app.exchanges.http import OutgoingRequest
from app.exchanges.reading import Expected, Json, parse_amount, parse_asset, parse_public_key, parse_rows
from app.exchanges.types import (
    AccessPlan,
    Balance,
    BalanceSheet,
    Call,
    CallLimit,
    CredentialField,
    Environment,
    Exchange,
    Grant,
    GuideStep,
    KeyReport,
    Permission,
    PermissionBox,
    ProbePolicy,
    Site,
)

BOTH = frozenset(AccessPlan)
TRADING = frozenset({AccessPlan.TRADING})

CLOCK = Call("GET", "/api/v2/public/currencies", public=True)
BALANCE = Call("GET", "/api/v2/private/balance", needs=Permission.READ)
CANCEL_NOTHING = Call("POST", "/api/v2/private/order/0/cancel", needs=Permission.TRADE, probe=ProbePolicy.HARMLESS)
WITHDRAW_NOTHING = Call("POST", "/api/gateway/withdraw/create", needs=Permission.WITHDRAW, probe=ProbePolicy.ALL)

_GATEWAY = "/api/gateway/"
_GATEWAY_TIMEOUT_MS = 10_000  # until when a Gateway call may run
_NO_SUCH_ORDER = (("404", ""), ("400", "order"))
_FIELDS_MISSING = (("400", "required"),)

_GUIDE = (
    GuideStep(
        "Open the API page",
        "Sign in at bitexbit, with the second factor where it is on. Point at Profile in the upper right, open API and press "
        "Add API key.",
    ),
    GuideStep("Give it a name", "With a name of its own you find this key again when you want to delete it.", kind="label"),
    GuideStep(
        "Choose the functionality",
        "Set each box as shown here. A key with no box ticked may read, and that is all balances need.",
        kind="boxes",
    ),
    GuideStep(
        "Allow this server's addresses",
        "Enter the addresses in the list of IP addresses that may use the key. A key bound to addresses is of no use to a thief.",
        kind="addresses",
    ),
    GuideStep(
        "Create the key",
        "Press Create key. The pop-up shows Access Key and Private Key: copy both, then close it. The Private Key is shown once.",
        kind="secret",
    ),
    GuideStep(
        "Come back here",
        "Paste Access Key and Private Key into the form. The key now stands in the list of API Management: Delete removes it, "
        "Delete all clears the list. With Address Management on, withdrawals only go to addresses you listed: worth it.",
    ),
)

_BOXES = (
    PermissionBox("Can trade", Permission.TRADE, TRADING, "Placing and cancelling orders; reading comes with it."),
    PermissionBox(
        "Can withdraw / full access", Permission.WITHDRAW, frozenset(), "Keydeck never withdraws and refuses such a key."
    ),
)


class BitexbitAdapter(ExchangeAdapter):
    exchange = Exchange(
        slug="bitexbit",
        name="bitexbit",
        monogram="bx",
        sites=(Site(Environment.LIVE, "https://www.bitexbit.com", "https://www.bitexbit.com", "bitexbit"),),
        fields=(
            CredentialField("api_key", "Access Key", secret=False, help="The public part, as bitexbit shows it."),
            CredentialField("secret_key", "Private Key", secret=True, help="bitexbit shows it once, when the key is created."),
        ),
        guide=_GUIDE,
        boxes=_BOXES,
        needs={
            AccessPlan.BALANCES: frozenset({Permission.READ}),
            AccessPlan.TRADING: frozenset({Permission.READ, Permission.TRADE}),
        },
        verified_on="2026-11",
        one_call_at_a_time=True,
        calls_per_second=2,
        host_limits=(CallLimit(50),),  # half the published figure for public calls; signed ones count per account
        limits="Up to 16 keys per account. bitexbit answers 2 calls a second per account. It cannot be asked what a key may do.",
    )
    calls = (CLOCK, BALANCE, CANCEL_NOTHING, WITHDRAW_NOTHING)
    clock_call = CLOCK
    refusals = (
        Refusal("401", "nonce", NumberRefused),
        Refusal("401", "timeout", ClockSkew),
        Refusal("401", "signature", BadSignature),
        Refusal("401", "ip address", IpNotAllowed),
        Refusal("401", "ip is not", IpNotAllowed),
        Refusal("401", "your ip", IpNotAllowed),
        Refusal("401", "expired", KeyExpired),
        Refusal("401", "inactive", AccountBlocked),
        Refusal("401", "blocked", AccountBlocked),
        Refusal("401", "", InvalidKey),
        Refusal("403", "ip address", IpNotAllowed),
        Refusal("403", "blocked", AccountBlocked),
        Refusal("403", "inactive", AccountBlocked),
        Refusal("403", "", PermissionMissing),
        Refusal("429", "", RateLimited),
        Refusal("400", "", RequestRefused),
        Refusal("404", "", RequestRefused),
    )

    def sign(self, request: OutgoingRequest) -> OutgoingRequest:
        """Sign path, number and body (v2), or key, path, latest moment and body (Gateway); never the query."""
        key = parse_public_key(self.context.secrets["api_key"].reveal())
        _, path, _ = self.split_signed(request)
        own_ms = round(self.context.clock().timestamp() * 1000)
        if path.startswith(_GATEWAY):
            timeout = str(round(self.read_signing_time().timestamp() * 1000) + _GATEWAY_TIMEOUT_MS)
            signature = self._make_hmac(f"{key}{path}{timeout}", request.content)
            headers = {"X-Key": key, "X-Timeout": timeout, "X-Sign": signature}
        else:
            nonce = str(self.context.turn.next_number(own_ms))  # by one clock for ever: it must rise
            headers = {"X-API-Key": key, "X-Nonce": nonce, "X-Signature": self._make_hmac(f"{path}{nonce}", request.content)}
        return replace(request, headers={**request.headers, "Content-Type": "application/json; charset=utf-8", **headers})

    def _make_hmac(self, text: str, content: bytes) -> str:
        secret = self.context.secrets["secret_key"].reveal().encode()
        return hmac.new(secret, text.encode() + content, hashlib.sha256).hexdigest()

    def find_refusal(self, status: int, body: Json) -> tuple[str, str] | None:
        """Errors come as {"detail": text}, {"error": text} or {field: [texts]}; the status is the code."""
        if not isinstance(body, dict):
            return None
        for name in ("detail", "error"):
            if isinstance(body.get(name), str):
                return str(status), body[name]
        if status == 400 and body and all(isinstance(words, list) for words in body.values()):
            return str(status), ". ".join(f"{name}: {' '.join(map(str, words))}" for name, words in body.items())
        return None

    def is_late_number(self, error: ExchangeError) -> bool:
        """A late number is a 401 that names it, or one that says no more than an unknown key's."""
        return isinstance(error, NumberRefused | InvalidKey) and self.evidence[-1].http_status == 401

    async def check(self) -> KeyReport:
        """Probe each right the policy lets us probe; what moves coupons and transfers cannot be known."""
        parse_rows(await self._ask(BALANCE), call=BALANCE.label)
        return KeyReport(
            {
                Permission.READ: self.probed(True, BALANCE),
                Permission.TRADE: await self._probe(CANCEL_NOTHING, _NO_SUCH_ORDER),
                Permission.TRANSFER: Grant(),
                Permission.WITHDRAW: await self._probe(WITHDRAW_NOTHING, _FIELDS_MISSING),
            }
        )

    async def fetch_balances(self) -> BalanceSheet:
        return await self._collect([("main", self._fetch_main)])

    async def _probe(self, call: Call, expected: Expected) -> Grant:
        """Ask for something that cannot be done: the refusal tells whether the key, or the request, is the reason."""
        if not self.may_ask(call):
            return Grant()
        try:
            await self._ask(call, body={}, expected=expected)
        except PermissionMissing:
            return self.probed(False, call)
        except ExchangeError:
            return Grant()
        return self.probed(True if self.evidence[-1].http_status in (400, 404) else None, call)

    async def _fetch_main(self) -> list[Balance]:
        rows = parse_rows(await self._ask(BALANCE), call=BALANCE.label)
        return [
            Balance(
                "main",
                parse_asset(row.get("symbol"), call=BALANCE.label),
                parse_amount(row.get("available"), call=BALANCE.label),
                parse_amount(row.get("reserved"), call=BALANCE.label),
            )
            for row in rows
        ]
