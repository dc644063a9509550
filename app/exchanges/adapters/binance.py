"""Binance, spot REST API: signed query; it tells every right of a key in one answer, flag by flag.

Inferred, not documented: which of its three reasons (key, address, permission) a -2015 has, that a key without the
right to read is still told so, and that an account's `uid` stays the same. The test site has no call that tells rights.
"""

import hashlib
import hmac
import ipaddress
import re
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

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
    UnexpectedReply,
)
from app.exchanges.http import OutgoingRequest, Reply
from app.exchanges.proving import prove_read
from app.exchanges.reading import Json, parse_amount, parse_asset, parse_public_key, parse_rows
from app.exchanges.types import (
    AccessPlan,
    Answer,
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
    Proof,
    Site,
)

BOTH = frozenset(AccessPlan)
TRADING = frozenset({AccessPlan.TRADING})

CLOCK = Call("GET", "/api/v3/time", public=True)
RIGHTS = Call("GET", "/sapi/v1/account/apiRestrictions", needs=Permission.READ)
ACCOUNT = Call("GET", "/api/v3/account", needs=Permission.READ)

_WINDOW_MS = 5000
_NOT_ZERO = (("omitZeroBalances", "true"),)
_KEY_OR_IP_OR_RIGHT = "-2015"  # one code for three reasons
_SEEN_IP = re.compile(r"request ip:\s*([0-9A-Fa-f.:]+)")
_TRADE_FLAGS = (
    "enableSpotAndMarginTrading",
    "enableMargin",
    "enableFutures",
    "enableVanillaOptions",
    "enablePortfolioMarginTrading",
    "enableFixApiTrade",
)
_FLAGS = {  # any flag that is on grants the right; the first of each row is always told
    Permission.READ: ("enableReading",),
    Permission.TRADE: _TRADE_FLAGS,
    Permission.TRANSFER: ("permitsUniversalTransfer", "enableInternalTransfer"),
    Permission.WITHDRAW: ("enableWithdrawals",),
}

_GUIDE = (
    GuideStep(
        "Open API Management",
        "Sign in at Binance, open the account menu, choose Account and then API Management, and press Create API. Choose a "
        "system-generated key.",
    ),
    GuideStep("Enter a label", "With a label of its own you find this key again when you want to delete it.", kind="label"),
    GuideStep(
        "Confirm and copy",
        "Confirm with your authenticator or passkey. Copy API Key and Secret Key: the Secret Key is shown once, and a lost one "
        "means a new key.",
        kind="secret",
    ),
    GuideStep(
        "Allow this server's addresses",
        "Press Edit restrictions, choose Restrict access to trusted IPs only and enter the addresses. Binance lets a key trade "
        "only when it is bound to addresses, or for a limited time, and a key bound to addresses is of no use to a thief.",
        kind="addresses",
    ),
    GuideStep("Set the restrictions", "Set each box as shown here, then press Save.", kind="boxes"),
    GuideStep("Come back here", "Paste API Key and Secret Key below."),
)

_BOXES = (
    PermissionBox("Enable Reading", Permission.READ, BOTH, "Reads balances and orders. It is on for a new key.", always=True),
    PermissionBox("Enable Spot & Margin Trading", Permission.TRADE, TRADING, "Placing and cancelling orders."),
    PermissionBox(
        "Permits Universal Transfer",
        Permission.TRANSFER,
        frozenset(),
        "Moves funds between your own wallets. Keydeck never does that.",
    ),
    PermissionBox("Enable Withdrawals", Permission.WITHDRAW, frozenset(), "Keydeck never withdraws and refuses such a key."),
)


class BinanceAdapter(ExchangeAdapter):
    exchange = Exchange(
        slug="binance",
        name="Binance",
        monogram="Bn",
        sites=(
            Site(
                Environment.LIVE,
                "https://api.binance.com",
                "https://www.binance.com/en/my/settings/api-management",
                "Binance",
            ),
            Site(Environment.DEMO, "https://testnet.binance.vision", "https://testnet.binance.vision", "Binance Spot Testnet"),
        ),
        fields=(
            CredentialField("api_key", "API Key", secret=False, help="The public part, as Binance shows it.", usual_length=64),
            CredentialField(
                "secret_key", "Secret Key", secret=True, help="Binance shows it once, when the key is created.", usual_length=64
            ),
        ),
        guide=_GUIDE,
        boxes=_BOXES,
        needs={
            AccessPlan.BALANCES: frozenset({Permission.READ}),
            AccessPlan.TRADING: frozenset({Permission.READ, Permission.TRADE}),
        },
        verified_on="2026-11",
        # 6,000 weight a minute: at the worst 250 accounts of weight 20 and some 300 other calls of weight 1 make 5,300
        host_limits=(CallLimit(10), CallLimit(250, seconds=60, path=ACCOUNT.path)),
        doubtful_codes=frozenset({InvalidKey.code}),  # -2015 is one code for key, address and right
        limits="A key that may trade and is bound to no address loses that right after a while, and is deleted when it is not "
        "used. Binance answers alike to a wrong key, a wrong address and a missing right.",
    )
    calls = (CLOCK, RIGHTS, ACCOUNT)
    clock_call = CLOCK
    skew_limit_seconds = 4.0  # Binance accepts 5 seconds behind (our window), 1 ahead, and says so itself with -1021
    refusals = (
        Refusal("-1021", "", ClockSkew),
        Refusal("-1022", "", BadSignature),
        Refusal("-2014", "", InvalidKey),
        Refusal("-2008", "", InvalidKey),
        Refusal("-2015", "", InvalidKey),
        Refusal("-2017", "", AccountBlocked),
        Refusal("-1002", "", PermissionMissing),
        Refusal("-1099", "", PermissionMissing),
        Refusal("-1005", "", IpNotAllowed),
        Refusal("-1011", "", IpNotAllowed),
        Refusal("", "disabled on this account", AccountBlocked),
        Refusal("-1003", "", RateLimited),
        Refusal("-1015", "", RateLimited),
        Refusal("-1008", "", RateLimited),
        Refusal("-1016", "", Maintenance),
        Refusal("", "maintenance", Maintenance),
        Refusal("-1000", "", OutOfService),
        Refusal("-1001", "", OutOfService),
        Refusal("-1004", "", OutOfService),
        Refusal("-1006", "", OutOfService),
        Refusal("-1007", "", OutOfService),
    )

    def sign(self, request: OutgoingRequest) -> OutgoingRequest:
        """Add the window, the moment and the signature of the whole query (and body); the path is not signed."""
        key = parse_public_key(self.context.secrets["api_key"].reveal())
        secret = self.context.secrets["secret_key"].reveal().encode()
        url, _, query = request.url.partition("?")
        timestamp = round(self.read_signing_time().timestamp() * 1000)
        asked = f"{query}&" if query else ""
        signed = f"{asked}recvWindow={_WINDOW_MS}&timestamp={timestamp}"
        signature = hmac.new(secret, signed.encode() + request.content, hashlib.sha256).hexdigest()
        return replace(request, url=f"{url}?{signed}&signature={signature}", headers={**request.headers, "X-MBX-APIKEY": key})

    def find_refusal(self, status: int, body: Json) -> tuple[str, str] | None:
        """Errors come as {"code": negative number, "msg": text}; sapi calls may send them with HTTP 200."""
        if not isinstance(body, dict) or "code" not in body:
            return None
        code = str(body["code"])
        return None if code in ("0", "200", "000000") else (code, str(body.get("msg") or ""))

    def explain(self, error: type[ExchangeError], *, told: str, reply: Reply, call: Call) -> ExchangeError:
        """Add the address Binance saw, where it names it."""
        explained = super().explain(error, told=told, reply=reply, call=call)
        found = _SEEN_IP.search(told)
        explained.seen_ip = _read_address(found[1]) if found else None
        return explained

    def parse_server_time(self, reply: Reply, body: Json) -> datetime | None:
        told = body.get("serverTime") if isinstance(body, dict) else None
        if not isinstance(told, int) or isinstance(told, bool) or not 0 < told < 10**14:
            raise UnexpectedReply("a clock that tells no time", call=CLOCK.label)
        return datetime.fromtimestamp(told / 1000, UTC)

    async def check(self) -> KeyReport:
        """Ask Binance what the key may do; its test site cannot tell, so there reading alone is proved."""
        if self.context.environment is Environment.DEMO:
            account = await self._ask_account()
            grants = dict.fromkeys(Permission, Grant()) | {Permission.READ: self.probed(True, ACCOUNT)}
            return KeyReport(grants, account_id=_read_uid(account))
        rights = await self._ask(RIGHTS)
        if not isinstance(rights, dict):
            raise UnexpectedReply("rights that are none", call=RIGHTS.label)
        grants = {right: self._read_grant(rights, right) for right in Permission}
        reads, shown = await prove_read(partial(self._ask_readable_account, rights), told=grants)
        if not reads:
            grants[Permission.READ] = self.probed(reads, ACCOUNT)
        return KeyReport(
            grants,
            account_id=_read_uid(shown or {}),
            allowed_ips=() if rights.get("ipRestrict") is False else None,  # a list there is, but it is not told
            expires_at=self._read_expiry(rights) if grants[Permission.TRADE].answer is Answer.YES else None,
        )

    async def fetch_balances(self) -> BalanceSheet:
        """Read the spot wallet. The funding wallet is only told by a POST, futures and earn by other hosts: not read."""
        return await self._collect([("spot", self._fetch_spot)])

    async def _ask_account(self) -> dict[str, Json]:
        account = await self._ask(ACCOUNT, query=_NOT_ZERO)
        if not isinstance(account, dict) or not isinstance(account.get("balances"), list):
            raise UnexpectedReply("an account without balances", call=ACCOUNT.label)
        return account

    async def _ask_readable_account(self, rights: dict[str, Json]) -> dict[str, Json]:
        """Read the account. Raises PermissionMissing where Binance tells, or shows, that the key may not read."""
        if not isinstance(rights.get("enableReading"), bool):
            raise UnexpectedReply("rights that are none", call=RIGHTS.label)
        if not rights["enableReading"]:
            raise PermissionMissing(call=RIGHTS.label)
        return await self._ask_proven_account()

    async def _ask_proven_account(self) -> dict[str, Json]:
        """Read the account with a key that Binance has just answered: -2015 can now only mean the right."""
        try:
            return await self._ask_account()
        except InvalidKey as error:
            if error.told_code != _KEY_OR_IP_OR_RIGHT:
                raise
            told = error.told
        raise PermissionMissing(told, call=ACCOUNT.label, told_code=_KEY_OR_IP_OR_RIGHT)

    def _read_grant(self, rights: dict[str, Json], right: Permission) -> Grant:
        """A right is told yes by any of its flags, told no when none is on; without its first flag it is unknown."""
        flags = [rights.get(name) for name in _FLAGS[right]]
        answer = Answer.YES if True in flags else Answer.NO if flags[0] is False else Answer.UNKNOWN
        return Grant() if answer is Answer.UNKNOWN else Grant(answer, Proof.TOLD, self.context.clock(), RIGHTS.label)

    def _read_expiry(self, rights: dict[str, Json]) -> datetime | None:
        """Return when the right to trade ends, for a key not bound to addresses; absent or -1 means never."""
        told = rights.get("tradingAuthorityExpirationTime")
        if not isinstance(told, int) or isinstance(told, bool) or not 0 < told < 10**14:
            return None
        ends = datetime.fromtimestamp(told / 1000, UTC)
        return ends if ends > self.context.clock() else None

    async def _fetch_spot(self) -> list[Balance]:
        rows = parse_rows((await self._ask_account())["balances"], call=ACCOUNT.label)
        return [
            Balance(
                "spot",
                parse_asset(row.get("asset"), call=ACCOUNT.label),
                parse_amount(row.get("free"), call=ACCOUNT.label),
                parse_amount(row.get("locked"), call=ACCOUNT.label),
            )
            for row in rows
        ]


def _read_uid(account: dict[str, Json]) -> str | None:
    uid = account.get("uid")
    return str(uid) if isinstance(uid, int) and not isinstance(uid, bool) and 0 < uid < 10**18 else None


def _read_address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text.rstrip(".,:")))
    except ValueError:
        return None
