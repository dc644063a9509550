"""Kraken as data: site, guide, declared calls, words of its rights, and its refusals."""

from app.exchanges.adapter import Refusal
from app.exchanges.errors import (
    AccountBlocked,
    BadSignature,
    InvalidKey,
    Maintenance,
    NumberRefused,
    OutOfService,
    PermissionMissing,
    RateLimited,
    RequestRefused,
    UnexpectedReply,
)
from app.exchanges.types import (
    AccessPlan,
    Call,
    CallLimit,
    CredentialField,
    Environment,
    Exchange,
    GuideStep,
    Permission,
    PermissionBox,
    Site,
)

BOTH = frozenset(AccessPlan)
TRADING = frozenset({AccessPlan.TRADING})

CLOCK = Call("GET", "/0/public/Time", public=True)
KEY = Call("POST", "/0/private/GetApiKeyInfo", reads=True)
BALANCES = Call("POST", "/0/private/BalanceEx", needs=Permission.READ, reads=True)
WITHDRAW_METHODS = Call("POST", "/0/private/WithdrawMethods", needs=Permission.WITHDRAW, reads=True)
CALLS = (CLOCK, KEY, BALANCES, WITHDRAW_METHODS)

WORDS = {  # any word of a row grants the right
    Permission.READ: ("query-funds",),
    Permission.TRADE: ("modify-trades", "close-trades"),
    Permission.TRANSFER: ("earn-funds",),
    Permission.WITHDRAW: ("withdraw-funds", "add-withdraw-address", "update-withdraw-address"),
}
HARMLESS_WORDS = (
    "add-funds",
    "query-open-trades",
    "query-closed-trades",
    "query-ledger",
    "export-data",
    "create-ws-token",
)

_GUIDE = (
    GuideStep(
        "Open the API page", "Sign in at Kraken, open the account menu in the upper right, choose Settings and the tab API."
    ),
    GuideStep(
        "Create the key",
        "Press Create API key. Give Keydeck a key of its own: two programs that share one spoil each other's rising numbers.",
    ),
    GuideStep("Enter a name", "With a name of its own you find this key again when you want to delete it.", kind="label"),
    GuideStep(
        "Allow this server's addresses",
        "Switch IP address restriction on and enter the addresses. A key bound to addresses is of no use to a thief. Leave "
        "key expiration and the query dates off.",
        kind="addresses",
    ),
    GuideStep("Set the permissions", "Set each box as shown here, and leave all others empty.", kind="boxes"),
    GuideStep(
        "Generate and copy",
        "Press Generate key. Copy API key and Private key: the Private key is shown once, and a lost one means a new key.",
        kind="secret",
    ),
    GuideStep("Come back here", "Paste API key and Private key below."),
)

_BOXES = (
    PermissionBox("Funds: Query", Permission.READ, BOTH, "Reads balances."),
    PermissionBox("Orders and trades: Query open orders & trades", None, TRADING, "Reads open orders."),
    PermissionBox("Orders and trades: Query closed orders & trades", None, TRADING, "Reads the history of orders."),
    PermissionBox("Orders and trades: Create & modify orders", Permission.TRADE, TRADING, "Placing orders."),
    PermissionBox("Orders and trades: Cancel & close orders", Permission.TRADE, TRADING, "Cancelling orders."),
    PermissionBox(
        "Funds: Earn", Permission.TRANSFER, frozenset(), "Moves funds between your balances and Earn. Keydeck never does that."
    ),
    PermissionBox("Funds: Withdraw", Permission.WITHDRAW, frozenset(), "Keydeck never withdraws and refuses such a key."),
)

KRAKEN = Exchange(
    slug="kraken",
    name="Kraken",
    monogram="Kr",
    sites=(Site(Environment.LIVE, "https://api.kraken.com", "https://pro.kraken.com/app/settings/api", "Kraken"),),
    fields=(
        CredentialField("api_key", "API key", secret=False, help="The public part, as Kraken shows it.", usual_length=56),
        CredentialField(
            "secret_key",
            "Private key",
            secret=True,
            help="Kraken shows it once, when the key is generated. It ends with two equals signs.",
            usual_length=88,
        ),
    ),
    guide=_GUIDE,
    boxes=_BOXES,
    needs={
        AccessPlan.BALANCES: frozenset({Permission.READ}),
        AccessPlan.TRADING: frozenset({Permission.READ, Permission.TRADE}),
    },
    verified_on="2026-11",
    doubtful_codes=frozenset({InvalidKey.code}),  # an unlisted address or a past end is answered as an invalid key, too
    one_call_at_a_time=True,
    calls_per_second=1,
    key_limit=CallLimit(12, seconds=40),  # the lowest tier's counter allows 15 and falls by 13 in this time
    limits="Each key has a counter that grows with each call and falls with time; it allows about 15 calls at once. A key with "
    "a second factor of its own cannot be used by a program.",
)

REFUSALS = (
    Refusal("EAPI:Invalid key", "", InvalidKey),
    Refusal("EAPI:Invalid signature", "", BadSignature),
    Refusal("EAPI:Invalid nonce", "", NumberRefused),
    Refusal("EAPI:Feature disabled", "", PermissionMissing),
    Refusal("EGeneral:Permission denied", "", PermissionMissing),
    Refusal("EAPI:Bad request", "", RequestRefused),
    Refusal("EGeneral:Invalid arguments", "", RequestRefused),
    Refusal("EGeneral:Unknown method", "", UnexpectedReply),
    Refusal("EAuth:Account temporary disabled", "", AccountBlocked),
    Refusal("EAuth:Account unconfirmed", "", AccountBlocked),
    Refusal("EAuth:Rate limit exceeded", "", RateLimited),
    Refusal("EAuth:Too many requests", "", RateLimited),
    Refusal("EAPI:Rate limit exceeded", "", RateLimited),
    Refusal("EOrder:Rate limit exceeded", "", RateLimited),
    Refusal("EGeneral:Too many requests", "", RateLimited),
    Refusal("EGeneral:Temporary lockout", "", RateLimited),
    Refusal("EService:Throttled", "", RateLimited),
    Refusal("", "cancel_only mode", Maintenance),
    Refusal("", "post_only mode", Maintenance),
    Refusal("EService:Unavailable", "", Maintenance),
    Refusal("EService:Busy", "", OutOfService),
    Refusal("EService:Timeout", "", OutOfService),
    Refusal("EGeneral:Internal error", "", OutOfService),
    Refusal("EDatabase:Internal error", "", OutOfService),
)
