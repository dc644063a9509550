"""HTX (Huobi), spot REST API: everything is signed in the query; HTX itself tells what a key may do."""

import base64
import hashlib
import hmac
import ipaddress
import re
import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Literal

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key

from app.exchanges.adapter import ExchangeAdapter
from app.exchanges.adapters.htx.facts import (
    ACCOUNTS,
    BALANCE,
    CALLS,
    CANCEL_NOTHING,
    CLOCK,
    HTX,
    KEY,
    NO_SUCH_ORDER,
    REFUSALS,
    UID,
)
from app.exchanges.errors import (
    BadSignature,
    ExchangeError,
    IpNotAllowed,
    KeyExpired,
    OutOfService,
    PermissionMissing,
    UnexpectedReply,
)
from app.exchanges.http import OutgoingRequest, Reply, encode_query
from app.exchanges.proving import prove_read
from app.exchanges.reading import Json, Shape, parse_amount, parse_asset, parse_public_key, parse_rows
from app.exchanges.types import (
    Answer,
    Balance,
    BalanceSheet,
    Call,
    Grant,
    KeyReport,
    Permission,
    Proof,
    add_exactly,
)

_WORDS = {"readOnly": Permission.READ, "trade": Permission.TRADE, "withdraw": Permission.WITHDRAW}
_AVAILABLE = "trade"
_HELD = frozenset({"frozen", "lock"})  # loan, interest, loan-available, transfer-out-available … are no holdings
_PEM = re.compile(r"-----BEGIN [A-Z ]+-----(.+?)-----END [A-Z ]+-----", re.DOTALL)
_SEEN_IP = re.compile(r"\]?\s*[:：]\s*([0-9a-fA-F.:]{3,45})\s*$")
_DIGITS_CAP = 30  # of a user's or account's number: it goes back to HTX in the next URL
_NO_PERMISSION = "api-signature-not-valid"  # the code under which HTX says "API key has no permission"


class _Row(msgspec.Struct, gc=False):
    """What one account holds of one asset, in one way (trade, frozen, …)."""

    currency: str
    type: str
    balance: str


class _Account(msgspec.Struct):
    """The rows of an account."""

    list: list[_Row]


class _Balances(msgspec.Struct):
    """The usual answer of the balance call."""

    status: Literal["ok"]
    data: _Account


_USUAL_BALANCES = Shape(_Balances)


class HtxAdapter(ExchangeAdapter):
    exchange = HTX
    calls = CALLS
    clock_call = CLOCK
    refusals = REFUSALS

    def sign(self, request: OutgoingRequest) -> OutgoingRequest:
        """Put key, method, second and signature into the query, sorted by byte order; a body is not signed."""
        secret = self.context.secrets["secret_key"].reveal()
        has_own_key = "-----BEGIN" in secret
        auth = (
            ("AccessKeyId", parse_public_key(self.context.secrets["api_key"].reveal())),
            ("SignatureMethod", "Ed25519" if has_own_key else "HmacSHA256"),
            ("SignatureVersion", "2"),
            ("Timestamp", self.read_signing_time().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")),
        )
        host, path, query = self.split_signed(request)
        pairs = [*filter(None, query.split("&")), *encode_query(auth).split("&")]
        ordered = "&".join(sorted(pairs, key=lambda pair: pair.partition("=")[0]))
        text = f"{request.method}\n{host.lower()}\n{path}\n{ordered}".encode()
        mac = _load_private_key(secret).sign(text) if has_own_key else hmac.new(secret.encode(), text, hashlib.sha256).digest()
        signature = encode_query((("Signature", base64.b64encode(mac).decode()),))
        url = request.url.partition("?")[0]
        return replace(request, url=f"{url}?{ordered}&{signature}")

    def find_refusal(self, status: int, body: Json) -> tuple[str, str] | None:
        """Two envelopes on every path: `status` ok or error with err-code, else `code` 200 or another number."""
        if not isinstance(body, dict):
            return "", ""
        if "status" in body:
            if body["status"] == "ok":
                return None
            return str(body.get("err-code") or ""), str(body.get("err-msg") or "")
        code = str(body.get("code", ""))
        return None if code == "200" else (code, str(body.get("message") or body.get("err-msg") or ""))

    def explain(self, error: type[ExchangeError], *, told: str, reply: Reply, call: Call) -> ExchangeError:
        """Add the address HTX saw, which it names at the end of its words."""
        explained = super().explain(error, told=told, reply=reply, call=call)
        found = _SEEN_IP.search(told) if error is IpNotAllowed else None
        if found:
            explained.seen_ip = _read_address(found[1])
        return explained

    def parse_server_time(self, reply: Reply, body: Json) -> datetime | None:
        told = body.get("data")
        if not isinstance(told, int) or not 0 < told < 10**14:
            raise UnexpectedReply("a clock that tells no time", call=CLOCK.label)
        return datetime.fromtimestamp(told / 1000, UTC)

    async def check(self) -> KeyReport:
        """Ask HTX what the key may do; where it refuses to tell (keys of sub-users), probe what can be probed."""
        uid, rows = await self._ask_key_list()
        key = self.context.secrets["api_key"].reveal()
        row = next((row for row in rows or () if row.get("accessKey") == key), None)
        if row is None or not isinstance(row.get("permission"), str):
            return await self._check_by_probes(uid, may_probe_trade=rows is None)
        if row.get("status") == "expired":
            raise KeyExpired(call=KEY.label)
        return KeyReport(
            await self._read_grants(row["permission"]),
            account_id=uid,
            allowed_ips=_list_parts(row.get("ipAddresses")),
            expires_at=self._read_expiry(row.get("validDays")),
        )

    async def fetch_balances(self) -> BalanceSheet:
        """Read every account of the user, one call each: trade is available, frozen and lock are held."""
        rows = parse_rows((await self._ask(ACCOUNTS)).get("data"), call=ACCOUNTS.label)
        accounts = [_read_account(row) for row in rows]
        sheet = await self._collect((name, partial(self._fetch_account, name, number)) for number, name in accounts)
        return BalanceSheet(_merge(sheet.balances), tuple(dict.fromkeys(sheet.missing)))

    async def _ask_key_list(self) -> tuple[str | None, list[dict[str, Json]] | None]:
        """Return (uid, rows of the key list); None for what HTX refuses to tell, often with an empty 403."""
        uid: str | None = None
        try:
            told = (await self._ask(UID)).get("data")
            if isinstance(told, bool) or not str(told).isdigit() or len(str(told)) > _DIGITS_CAP:
                raise UnexpectedReply("a uid that is no number", call=UID.label)
            uid = str(told)
            key = self.context.secrets["api_key"].reveal()
            body = await self._ask(KEY, query=(("accessKey", key), ("uid", uid)))
            return uid, parse_rows(body.get("data"), call=KEY.label)
        except PermissionMissing:
            return uid, None
        except OutOfService:
            if self.evidence[-1].http_status != 403:
                raise
            return uid, None

    async def _read_grants(self, permission: str) -> dict[Permission, Grant]:
        """Turn HTX's comma list into grants. With a word we do not know, what is not named is unknown, never a no."""
        words = set(_list_parts(permission))
        is_complete = words <= set(_WORDS)
        grants = {}
        for word, right in _WORDS.items():
            answer = Answer.YES if word in words else Answer.NO if is_complete else Answer.UNKNOWN
            grants[right] = Grant(answer, Proof.TOLD, self.context.clock(), KEY.label) if answer != Answer.UNKNOWN else Grant()
        grants[Permission.TRANSFER] = grants[Permission.TRADE]  # Trade allows transfers between own accounts
        if "readOnly" not in words:
            reads, _ = await prove_read(self._prove_read, told=grants)
            grants[Permission.READ] = self.probed(reads, ACCOUNTS)
        return grants

    async def _check_by_probes(self, uid: str | None, *, may_probe_trade: bool) -> KeyReport:
        await self._prove_read()
        trade = await self._probe_trade() if may_probe_trade and self.may_ask(CANCEL_NOTHING) else Grant()
        return KeyReport(
            {
                Permission.READ: self.probed(True, ACCOUNTS),
                Permission.TRADE: trade,
                Permission.TRANSFER: trade,
                Permission.WITHDRAW: Grant(),
            },
            account_id=uid,
        )

    async def _prove_read(self) -> None:
        parse_rows((await self._ask(ACCOUNTS)).get("data"), call=ACCOUNTS.label)

    async def _probe_trade(self) -> Grant:
        """Cancel an order under 128 random bits that name none: a key without Trade is refused before the look-up."""
        try:
            await self._ask(CANCEL_NOTHING, body={"client-order-id": secrets.token_hex(16)}, expected=NO_SUCH_ORDER)
        except ExchangeError as error:
            is_denied = isinstance(error, PermissionMissing) and error.told_code == _NO_PERMISSION
            return self.probed(False if is_denied else None, CANCEL_NOTHING)
        return self.probed(True, CANCEL_NOTHING)

    def _read_expiry(self, days: Json) -> datetime | None:
        """Return when the key lapses; HTX tells whole days, so a key that still works has up to one more."""
        if not isinstance(days, int) or isinstance(days, bool) or not 0 <= days < 36500:
            return None
        return self.context.clock() + timedelta(days=max(days, 1))

    async def _ask_rows(self, number: str) -> list[tuple[Json, Json, Json]]:
        """Return (type, currency, balance) of the rows of an account that are not zero: of 1,500 rows most are."""
        body = await self._ask(BALANCE, path={"account_id": number}, shape=_USUAL_BALANCES)
        if isinstance(body, _Balances):
            return [(row.type, row.currency, row.balance) for row in body.data.list if row.balance != "0"]
        data = body.get("data")
        rows = parse_rows(data.get("list") if isinstance(data, dict) else None, call=BALANCE.label)
        return [(row.get("type"), row.get("currency"), row.get("balance")) for row in rows if row.get("balance") != "0"]

    async def _fetch_account(self, name: str, number: str) -> list[Balance]:
        call = BALANCE.label
        available: dict[str, Decimal] = {}
        held: dict[str, Decimal] = {}
        for kind, currency, text in await self._ask_rows(number):
            if isinstance(kind, str) and (kind == _AVAILABLE or kind in _HELD):
                asset, amount = parse_asset(currency, call=call), parse_amount(text, call=call)
                side = available if kind == _AVAILABLE else held
                side[asset] = add_exactly(side[asset], amount) if asset in side else amount
        return [
            Balance(name, asset, available.get(asset, Decimal(0)), held.get(asset, Decimal(0)))
            for asset in dict.fromkeys([*available, *held])
        ]


def _load_private_key(pem: str) -> Ed25519PrivateKey:
    """Return the private key of a PEM text, whatever became of its line breaks. Raises BadSignature for any other text."""
    try:
        found = _PEM.search(pem)
        content = base64.b64decode("".join((found[1] if found else "").replace("\\n", "").split()), validate=True)
        key = load_der_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise BadSignature
    return key


def _read_account(row: dict[str, Json]) -> tuple[str, str]:
    """Return (number, name); isolated margin has one account per pair, which `subtype` names."""
    number, kind, pair = str(row.get("id")), row.get("type"), row.get("subtype") or ""
    if not number.isascii() or not number.isdigit() or len(number) > _DIGITS_CAP:
        raise UnexpectedReply("an account without number", call=ACCOUNTS.label)
    if not isinstance(kind, str) or not kind.strip() or not isinstance(pair, str):
        raise UnexpectedReply("an account without type", call=ACCOUNTS.label)
    return number, " ".join(f"{kind} {pair}".split())[:80]


def _merge(balances: tuple[Balance, ...]) -> tuple[Balance, ...]:
    """Add up accounts of the same name: HTX may list two of one type."""
    merged: dict[tuple[str, str], Balance] = {}
    for balance in balances:
        place = (balance.account, balance.asset)
        other = merged.get(place)
        merged[place] = (
            Balance(*place, add_exactly(other.available, balance.available), add_exactly(other.held, balance.held))
            if other
            else balance
        )
    return tuple(merged.values())


def _list_parts(value: Json) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else []
    return tuple(part.strip() for part in parts if part.strip())


def _read_address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None
