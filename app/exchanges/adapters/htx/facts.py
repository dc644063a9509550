"""HTX as data: sites, guide, declared calls, and the words of its refusals in English and Chinese."""

from app.exchanges.adapter import Refusal
from app.exchanges.errors import (
    AccountBlocked,
    BadSignature,
    ClockSkew,
    InvalidKey,
    IpNotAllowed,
    KeyExpired,
    Maintenance,
    OutOfService,
    PermissionMissing,
    RateLimited,
    RequestRefused,
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
    ProbePolicy,
    Site,
)

BOTH = frozenset(AccessPlan)
TRADING = frozenset({AccessPlan.TRADING})

CLOCK = Call("GET", "/v1/common/timestamp", public=True)
# HTX counts each call by itself, per user, and publishes no figure for these two: once a second is sure to be few
UID = Call("GET", "/v2/user/uid", needs=Permission.READ, calls_per_second=1)
KEY = Call("GET", "/v2/user/api-key", needs=Permission.READ, calls_per_second=1)
ACCOUNTS = Call("GET", "/v1/account/accounts", needs=Permission.READ)
BALANCE = Call("GET", "/v1/account/accounts/{account_id}/balance", needs=Permission.READ)
CANCEL_NOTHING = Call("POST", "/v1/order/orders/submitCancelClientOrder", needs=Permission.TRADE, probe=ProbePolicy.HARMLESS)
CALLS = (CLOCK, UID, KEY, ACCOUNTS, BALANCE, CANCEL_NOTHING)
NO_SUCH_ORDER = (("base-record-invalid", ""), ("base-not-found", ""), ("not-found", ""), ("order-orderstate-error", ""))

_GUIDE = (
    GuideStep(
        "Open API Management", "Sign in at HTX, open the account menu in the upper right and choose API Management, then Create."
    ),
    GuideStep("Enter a name", "HTX calls it Notes. With a name of its own you find this key again.", kind="label"),
    GuideStep(
        "Set the permissions",
        "Set each box as shown here. Choose a system-generated key; a key pair of your own (Ed25519) works too.",
        kind="boxes",
    ),
    GuideStep(
        "Allow this server's addresses",
        "HTX accepts up to 20 addresses, separated by commas. The field may stay empty, but HTX switches off a key with "
        "Trade and no address after 90 days without use, and a key bound to addresses is of no use to a thief.",
        kind="addresses",
    ),
    GuideStep("Confirm", "Press Create, enter the code HTX sends by e-mail and the code of your authenticator, then Confirm."),
    GuideStep(
        "Copy the key",
        "Copy Access Key and Secret Key. The Secret Key is shown once: if it is lost, create a new key.",
        kind="secret",
    ),
    GuideStep("Come back here", "Paste Access Key and Secret Key into the form."),
)

_BOXES = (
    PermissionBox("Read-only", Permission.READ, BOTH, "Reads balances and orders. HTX always has it on.", always=True),
    PermissionBox(
        "Trade", Permission.TRADE, TRADING, "Placing and cancelling orders. It also allows transfers between your own accounts."
    ),
    PermissionBox("Withdraw", Permission.WITHDRAW, frozenset(), "Keydeck never withdraws and refuses such a key."),
)

HTX = Exchange(
    slug="htx",
    name="HTX",
    monogram="Hx",
    aliases=("huobi",),
    sites=(Site(Environment.LIVE, "https://api.huobi.pro", "https://www.htx.com/apikey", "HTX (Huobi)"),),
    fields=(
        CredentialField("api_key", "Access Key", secret=False, help="Four groups joined by dashes, as HTX shows them."),
        CredentialField(
            "secret_key",
            "Secret Key",
            secret=True,
            help="HTX shows it once. For a key pair of your own: the whole private key, from BEGIN to END.",
            multiline=True,
        ),
    ),
    guide=_GUIDE,
    boxes=_BOXES,
    needs={
        AccessPlan.BALANCES: frozenset({Permission.READ}),
        AccessPlan.TRADING: frozenset({Permission.READ, Permission.TRADE}),
    },
    verified_on="2026-11",
    limits="Up to 20 keys per user and 20 addresses per key. A key not bound to an address is switched off after 90 days.",
    expiry_rule="HTX switches off keys that are not bound to an address after 90 days.",
    host_limits=(CallLimit(10),),  # the figure for calls without one; HTX counts signed calls per user and more kindly
)

REFUSALS = (
    # All of these share one err-code on v1 paths; only the words tell them apart. On v2 paths the number may be the code.
    Refusal("", "Incorrect Access key", InvalidKey),
    Refusal("", "Access key错误", InvalidKey),
    Refusal("12007", "", InvalidKey),
    Refusal("", "Incorrect Private Key signature", BadSignature),
    Refusal("12010", "", BadSignature),
    Refusal("", "Incorrect Public key", BadSignature),
    Refusal("12011", "", BadSignature),
    Refusal("", "Verification failure", BadSignature),
    Refusal("", "校验失败", BadSignature),
    Refusal("12008", "", BadSignature),
    Refusal("", "Incorrect IP address", IpNotAllowed),
    Refusal("", "IP地址错误", IpNotAllowed),
    Refusal("12005", "", IpNotAllowed),
    Refusal("", "key has expired", KeyExpired),
    Refusal("", "Key已经过期", KeyExpired),
    Refusal("12004", "", KeyExpired),
    Refusal("", "key has no permission", PermissionMissing),
    Refusal("", "Key没有权限", PermissionMissing),
    Refusal("", "Invalid submission time", ClockSkew),
    Refusal("", "无效的提交时间", ClockSkew),
    Refusal("12001", "", ClockSkew),
    Refusal("", "Submission time is required", RequestRefused),
    Refusal("", "提交时间不能为空", RequestRefused),
    Refusal("12006", "", RequestRefused),
    Refusal("", "Incorrect signature version", RequestRefused),
    Refusal("", "错误的签名版本", RequestRefused),
    Refusal("12002", "", RequestRefused),
    Refusal("", "Incorrect signature method", RequestRefused),
    Refusal("", "错误的签名方法", RequestRefused),
    Refusal("12003", "", RequestRefused),
    Refusal("", "Abnormal user status", AccountBlocked),
    Refusal("", "用户状态不正常", AccountBlocked),
    Refusal("12009", "", AccountBlocked),
    Refusal("operation-forbidden-for-lock-account-state", "", AccountBlocked),
    # The gateway's own numbers on v2 paths.
    Refusal("1003", "invalid signature", BadSignature),
    Refusal("1003", "", InvalidKey),
    Refusal("1002", "", PermissionMissing),
    Refusal("403", "", PermissionMissing),
    Refusal("sub-user-auth-required", "", PermissionMissing),
    # Ours: what we sent is not what the documents want.
    Refusal("login-required", "", RequestRefused),
    Refusal("method-not-allowed", "", RequestRefused),
    Refusal("order-accountbalance-error", "", RequestRefused),
    Refusal("account-get-accounts-inexistent-error", "", RequestRefused),
    *(Refusal(number, "", RequestRefused) for number in ("1001", "1007", "2002", "2003", "2014", "2016")),
    # Weather.
    Refusal("base-request-exceed-frequency-limit", "", RateLimited),
    Refusal("rate-too-many-requests", "", RateLimited),
    Refusal("frequent-invoke", "", RateLimited),
    Refusal("510", "", RateLimited),
    Refusal("1006", "", RateLimited),
    Refusal("40403", "", RateLimited),
    Refusal("429", "", RateLimited),
    Refusal("", "request limit", RateLimited),
    Refusal("", "too many request", RateLimited),
    Refusal("system-maintenance", "", Maintenance),
    Refusal("", "System is in maintenance", Maintenance),
    Refusal("gateway-internal-error", "", OutOfService),
    Refusal("api-signature-check-failed", "", OutOfService),
    Refusal("base-system-error", "", OutOfService),
    Refusal("timeout", "", OutOfService),
    Refusal("", "request timeout", OutOfService),
    Refusal("500", "", OutOfService),
)
