"""HitBTC, REST API v3: signed with HS256; it tells no rights, so each is probed by the call that needs it."""

import base64
import hashlib
import hmac
import re
import uuid
from dataclasses import replace

import msgspec

from app.exchanges.adapter import ExchangeAdapter, Refusal
from app.exchanges.errors import (
    AccountBlocked,
    BadSignature,
    ClockSkew,
    ExchangeError,
    InvalidKey,
    IpNotAllowed,
    Maintenance,
    OutOfService,
    PermissionMissing,
    RateLimited,
    RequestRefused,
    UndeclaredCall,
    UnexpectedReply,
)
from app.exchanges.http import OutgoingRequest
from app.exchanges.reading import Json, Shape, parse_amount, parse_asset, parse_public_key, parse_rows
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
    add_exactly,
)

BOTH = frozenset(AccessPlan)
TRADING = frozenset({AccessPlan.TRADING})

CLOCK = Call("GET", "/api/3/public/currency/BTC", public=True)
SUB_ACCOUNTS = Call("GET", "/api/3/sub-account")  # needs no right: proves key, signature and address alone
SPOT = Call("GET", "/api/3/spot/balance", needs=Permission.READ)
ORDERS = Call("GET", "/api/3/spot/order", needs=Permission.TRADE)
WALLET = Call("GET", "/api/3/wallet/balance", needs=Permission.TRANSFER)
DERIVATIVES = Call("GET", "/api/3/futures/balance", needs=Permission.READ)
ROLLBACK = Call(
    "DELETE", "/api/3/wallet/crypto/withdraw/{id}", needs=Permission.WITHDRAW, probe=ProbePolicy.HARMLESS
)  # the same path with PUT would commit a withdrawal

_UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_NO_SUCH_WITHDRAWAL = (("20004", ""), ("20005", ""), ("20006", ""), ("20007", ""))
_FORBIDDEN = "1003"  # missing right or address not listed; one call alone cannot tell which
_PASSING = ("20010", "20018", "20044", "20080", "22008")  # closed or overdue for the moment, as HitBTC says itself
_OUR_REQUEST = (
    *("400", "602", "604", "800", "1001", "1004", "2001", "2002", "2003", "2010", "2011", "2012", "2020", "2021", "2022", "2024"),
    *("10001", "10022", "20001", "20002", "20003", *(code for code, _ in _NO_SUCH_WITHDRAWAL), "20008", "20009"),
    *("20011", "20012", "20014", "20016", "20031", "20032", "20033", "20034", "20040", "20041", "20042", "20043"),
    *("20045", "20047", "20048", "20049", "21001", "21003", "22000", "22001", "22002", "22003", "22004", "22005"),
    *("22006", "22007"),
)
_HELD = ("reserved", "reserved_margin", "cross_margin_reserved")

_GUIDE = (
    GuideStep(
        "Open the API keys page", "Sign in at HitBTC, press the gear (Settings) in the upper right and open the tab API keys."
    ),
    GuideStep(
        "Create the key",
        "Press New API key. The API key and the Secret key are shown now and never again: copy both, then confirm that "
        "you did. The new key is active but may do nothing yet.",
        kind="secret",
    ),
    GuideStep(
        "Give it a label", "With a label of its own you find this key again when you want to change or delete it.", kind="label"
    ),
    GuideStep("Set the access rights", "Set each box as shown here. Do not tick Allow all.", kind="boxes"),
    GuideStep(
        "Allow this server's addresses",
        "Under IP whitelist press Edit, add the addresses separated by commas, then press Add and Save. A key bound to "
        "addresses is of no use to a thief. An address that is missing makes HitBTC refuse every call.",
        kind="addresses",
    ),
    GuideStep(
        "Save and confirm",
        "Press Save, enter the code of your authenticator and press Confirm. Then follow the link in HitBTC's e-mail: "
        "until you do, Place/cancel orders is not active.",
    ),
    GuideStep(
        "Come back here",
        "Paste API key and Secret key into the form. If the secret is lost, create a new key. The switch ON/OFF stops a key, the "
        "bin deletes it for good.",
    ),
)

_BOXES = (
    PermissionBox("Order book, History, Trading balance", Permission.READ, BOTH, "Reads the spot balance and the history."),
    PermissionBox("Place/cancel orders", Permission.TRADE, TRADING, "Placing orders; reading open orders and fees needs it too."),
    PermissionBox(
        "Payment information",
        Permission.TRANSFER,
        BOTH,
        "Without it the wallet balance is invisible. It can also move funds between your own accounts, never out of HitBTC.",
    ),
    PermissionBox(
        "Withdraw cryptocurrencies", Permission.WITHDRAW, frozenset(), "Keydeck never withdraws and refuses such a key."
    ),
    PermissionBox("Status", None, BOTH, "A key that is OFF cannot be used.", always=True),
)


class _Row(msgspec.Struct, gc=False):
    """What one account holds of one asset; the parts held are those of `_HELD`."""

    currency: str
    available: str
    reserved: str = "0"
    reserved_margin: str = "0"
    cross_margin_reserved: str = "0"


_USUAL_BALANCES = Shape(list[_Row])


class HitbtcAdapter(ExchangeAdapter):
    exchange = Exchange(
        slug="hitbtc",
        name="HitBTC",
        monogram="Hb",
        sites=(
            Site(Environment.LIVE, "https://api.hitbtc.com", "https://hitbtc.com/settings/api-keys", "HitBTC"),
            Site(Environment.DEMO, "https://api.demo.hitbtc.com", "https://demo.hitbtc.com/settings/api-keys", "HitBTC demo"),
        ),
        fields=(
            CredentialField("api_key", "API key", secret=False, help="The public part, as HitBTC shows it.", usual_length=32),
            CredentialField(
                "secret_key", "Secret key", secret=True, help="HitBTC shows it once, when the key is created.", usual_length=32
            ),
        ),
        guide=_GUIDE,
        boxes=_BOXES,
        needs={
            AccessPlan.BALANCES: frozenset({Permission.READ}),
            AccessPlan.TRADING: frozenset({Permission.READ, Permission.TRADE}),
        },
        verified_on="2026-11",
        limits="HitBTC answers 20 calls a second from one address, 10 for the wallet. The demo site has keys of its own.",
        confirms_by_email=frozenset({Permission.TRADE, Permission.WITHDRAW}),
        doubtful_codes=frozenset({IpNotAllowed.code}),  # 1003 is also what a key that is OFF or without rights gets
        host_limits=(CallLimit(15), CallLimit(8, path="/api/3/wallet")),  # below the published 20 and 10: those were seen to fail
    )
    calls = (CLOCK, SUB_ACCOUNTS, SPOT, ORDERS, WALLET, DERIVATIVES, ROLLBACK)
    clock_call = CLOCK
    skew_limit_seconds = 8.0  # HitBTC itself accepts 10 seconds
    refusals = (
        Refusal("1002", "window", ClockSkew),
        Refusal("1002", "timestamp", ClockSkew),
        Refusal("1002", "signature", BadSignature),
        Refusal("1002", "user is not allowed", AccountBlocked),
        Refusal("1002", "", InvalidKey),
        Refusal(_FORBIDDEN, "", PermissionMissing),
        Refusal("1005", "", InvalidKey),
        Refusal("1006", "", PermissionMissing),
        Refusal("403", "", AccountBlocked),
        Refusal("600", "", AccountBlocked),
        Refusal("10021", "", AccountBlocked),
        Refusal("21004", "", AccountBlocked),
        Refusal("429", "", RateLimited),
        Refusal("500", "", OutOfService),
        Refusal("503", "", Maintenance),
        Refusal("504", "", OutOfService),
        *(Refusal(code, "", OutOfService) for code in _PASSING),
        *(Refusal(code, "", RequestRefused) for code in _OUR_REQUEST),
    )

    def sign(self, request: OutgoingRequest) -> OutgoingRequest:
        """Sign method, path, query, body and milliseconds; the secret itself never travels."""
        key = parse_public_key(self.context.secrets["api_key"].reveal())
        secret = self.context.secrets["secret_key"].reveal().encode()
        _, path, query = self.split_signed(request)
        timestamp = str(round(self.read_signing_time().timestamp() * 1000))
        message = f"{request.method}{path}" + (f"?{query}" if query else "")
        signed = message.encode() + request.content + timestamp.encode()
        signature = hmac.new(secret, signed, hashlib.sha256).hexdigest()
        token = base64.b64encode(f"{key}:{signature}:{timestamp}".encode()).decode()
        return replace(request, headers={**request.headers, "Authorization": f"HS256 {token}"})

    def find_refusal(self, status: int, body: Json) -> tuple[str, str] | None:
        """Errors come as {"error": {code, message, description}}, now and then with HTTP 200."""
        if not isinstance(body, dict) or "error" not in body:
            return None
        error = body["error"]
        if not isinstance(error, dict):
            return "", str(error)
        words = (error.get("message"), error.get("description"))
        return str(error.get("code", "")), ". ".join(str(word) for word in words if word)

    async def check(self) -> KeyReport:
        """Probe each right. Raises IpNotAllowed, of which HitBTC's words leave three reasons open, when all calls are refused
        and the one that needs no right did not pass either.
        """
        is_alive = await self._learn_alive()
        reads = await self._is_granted(SPOT)
        trades = await self._is_granted(ORDERS)
        pays = await self._is_granted(WALLET)
        if not (reads or trades or pays):
            raise (PermissionMissing if is_alive else IpNotAllowed)(call=SPOT.label)
        return KeyReport(
            {
                Permission.READ: self.probed(reads, SPOT),
                Permission.TRADE: self.probed(trades, ORDERS),
                Permission.TRANSFER: self.probed(pays, WALLET),
                Permission.WITHDRAW: await self._probe_withdraw(),
            }
        )

    async def fetch_balances(self) -> BalanceSheet:
        """Read spot, wallet and derivatives: funds that were deposited but not moved stand in the wallet alone."""
        return await self._collect(
            (
                ("spot", lambda: self._fetch_account("spot", SPOT)),
                ("wallet", lambda: self._fetch_account("wallet", WALLET)),
                ("derivatives", lambda: self._fetch_account("derivatives", DERIVATIVES)),
            )
        )

    async def _learn_alive(self) -> bool | None:
        """Ask the call that needs no right; its body holds e-mail addresses and is dropped. None: it told nothing."""
        try:
            await self._ask(SUB_ACCOUNTS)
        except PermissionMissing as refusal:
            return refusal.told_code != _FORBIDDEN  # "upgrade scopes" is said of a key that is known
        except (UnexpectedReply, RequestRefused):
            return None
        return True

    async def _is_granted(self, call: Call) -> bool:
        try:
            parse_rows(await self._ask(call), call=call.label)
        except PermissionMissing:
            return False
        return True

    async def _probe_withdraw(self) -> Grant:
        """Roll back a withdrawal that cannot exist. Only ever called once per check, after a read succeeded."""
        if not self.may_ask(ROLLBACK):
            return Grant()
        withdrawal_id = str(uuid.uuid4())
        if ROLLBACK.method != "DELETE" or not _UUID4.fullmatch(withdrawal_id):
            raise UndeclaredCall(call=ROLLBACK.label)
        try:
            answer = await self._ask(ROLLBACK, path={"id": withdrawal_id}, expected=_NO_SUCH_WITHDRAWAL)
        except ExchangeError as error:
            return self.probed(False if error.told_code == _FORBIDDEN else None, ROLLBACK)
        is_hitbtcs = isinstance(answer, dict) and ("error" in answer or "result" in answer)
        return self.probed(True if is_hitbtcs else None, ROLLBACK)

    async def _fetch_account(self, account: str, call: Call) -> list[Balance]:
        label = call.label
        return [
            Balance(
                account,
                parse_asset(currency, call=label),
                parse_amount(available, call=label),
                add_exactly(*[parse_amount(amount, call=label) for amount in held]),
            )
            for currency, available, *held in await self._ask_rows(call)
        ]

    async def _ask_rows(self, call: Call) -> list[tuple[Json, ...]]:
        """Return (currency, available, held, held, held) of every row."""
        body = await self._ask(call, shape=_USUAL_BALANCES)
        if isinstance(body, list) and body and isinstance(body[0], _Row):
            return [(row.currency, row.available, row.reserved, row.reserved_margin, row.cross_margin_reserved) for row in body]
        rows = parse_rows(body, call=call.label)
        return [(row.get("currency"), row.get("available"), *[row.get(part, "0") for part in _HELD]) for row in rows]
