"""HTX's accounts, balances and what it tells of a key; everything that moves money is refused."""

from decimal import Decimal

from app.exchanges.types import Permission
from app.sandbox.accounts import Account, Holding, SimulatedKey, sum_held
from app.sandbox.amounts import ZERO, fixed, parse_whole, plain
from app.sandbox.assets import list_leveraged_assets
from app.sandbox.calls import Json, Route, Visit
from app.sandbox.exchanges.htx.public import ReferenceData, milliseconds
from app.sandbox.exchanges.htx.refusals import CODE_AS_TEXT, NO_MESSAGE, HtxRefusal, missing_field
from app.sandbox.lettering import LOWER, draw_text

SEVERAL_KEYS = "several-keys"
MANY_ZERO_ROWS = "many-zero-rows"
SUB_USER_403 = "sub-user-403"
SUB_USER_EMPTY = "sub-user-empty"
_ZERO_ASSETS = 750  # each gives two rows
_WORDS = {Permission.READ: "readOnly", Permission.TRADE: "trade", Permission.WITHDRAW: "withdraw"}
_MONEY_MOVES = (
    ("/v1/dw/withdraw/api/create", Permission.WITHDRAW),
    ("/v1/dw/withdraw-virtual/{id}/cancel", Permission.WITHDRAW),
    ("/v1/account/transfer", Permission.TRADE),
    ("/v2/account/transfer", Permission.TRADE),
    ("/v1/futures/transfer", Permission.TRADE),
    ("/v2/account/repayment", Permission.TRADE),
    ("/v1/dw/transfer-in/margin", Permission.TRADE),
    ("/v1/dw/transfer-out/margin", Permission.TRADE),
    ("/v1/cross-margin/transfer-in", Permission.TRADE),
    ("/v1/cross-margin/transfer-out", Permission.TRADE),
    ("/v1/margin/orders", Permission.TRADE),
    ("/v1/cross-margin/orders", Permission.TRADE),
    ("/v1/subuser/transfer", Permission.TRADE),
    ("/v2/sub-user/creation", Permission.TRADE),
    ("/v1/account/fee/switch", Permission.READ),
    ("/v2/algo-orders/cancel-all-after", Permission.TRADE),
)


class Funds:
    """The private calls that read, and those that are refused and reported."""

    def __init__(self, data: ReferenceData) -> None:
        self._data = data

    def routes(self) -> tuple[Route, ...]:
        reads = {
            "/v1/account/accounts": _list_accounts,
            "/v1/account/accounts/{id}/balance": self._show_balance,
            "/v2/user/uid": lambda visit: _write_v2(visit.customer.number, visit),
            "/v2/user/api-key": _list_keys,
            "/v2/account/asset-valuation": self._show_valuation,
            "/v2/account/withdraw/quota": lambda visit: _write_v2({"currency": visit.query.get("currency"), "chains": []}, visit),
            "/v2/account/withdraw/address": lambda visit: _write_v2([], visit),
            "/v2/account/deposit/address": lambda visit: _write_v2([], visit),
            "/v1/query/deposit-withdraw": lambda visit: {"status": "ok", "data": []},
        }
        routes = [Route("GET", path, handler, needs=Permission.READ) for path, handler in reads.items()]
        routes += [Route("POST", path, _refuse_moving, needs=right, alarm="always") for path, right in _MONEY_MOVES]
        return tuple(routes)

    def _show_balance(self, visit: Visit) -> Json:
        account = _find_account(visit)
        rows = [row for asset, holding in account.holdings.items() for row in _write_holding(account, asset, holding)]
        if account.kind == "spot":
            listed = [asset for asset in self._data.place.assets if asset not in account.holdings]
            many = list_leveraged_assets(length=_ZERO_ASSETS) if visit.has_switch(MANY_ZERO_ROWS) else ()
            rows += [row for asset in (*listed, *many) for row in _write_holding(account, asset, Holding())]
        data = {"id": account.number, "type": account.kind, "state": account.state, "list": rows}
        if account.subtype:
            data |= {"symbol": account.subtype, "fl-price": "0", "fl-type": "safe", "risk-rate": "10"}
        return {"status": "ok", "data": data}

    def _show_valuation(self, visit: Visit) -> Json:
        kind, into = visit.query.get("accountType"), visit.query.get("valuationCurrency", "BTC")
        if kind is None:
            raise HtxRefusal("", 'missing mandatory field "accountType"', 2003)
        accounts = [account for account in visit.customer.accounts if account.kind == kind]
        total = ZERO
        for asset in {asset for account in accounts for asset in account.holdings}:
            rate = self._data.place.get_rate(asset, into="USDT" if into == "USD" else into)
            total += sum_held(accounts, asset) * (rate or ZERO)
        return _write_v2({"balance": fixed(total, places=8), "timestamp": milliseconds(visit)}, visit)


def _list_accounts(visit: Visit) -> Json:
    rows = [
        {"id": account.number, "type": account.kind, "subtype": account.subtype, "state": account.state}
        for account in visit.customer.accounts
    ]
    return {"status": "ok", "data": rows}


def _find_account(visit: Visit) -> Account:
    for account in visit.customer.accounts:
        if str(account.number) == visit.path["id"]:
            return account
    number = parse_whole(visit.path["id"])
    shown = visit.path["id"] if number is None else f"{number:,}"
    told = f"account for id `{shown}` and user id `{visit.customer.number // 10:,}` does not exist"
    raise HtxRefusal("account-get-balance-account-inexistent-error", told)


def _write_holding(account: Account, asset: str, holding: Holding) -> list[dict[str, Json]]:
    amounts: list[tuple[str, Decimal]] = [("trade", holding.available), ("frozen", holding.held), *holding.extra.items()]
    details: dict[str, Json] = {} if account.subtype else {"debt": "invalid", "available": "invalid"}
    sequence = "0" if not (holding.available or holding.held) else str(400 + len(asset) * 11)
    return [
        {"currency": asset.lower(), "type": kind, "balance": plain(amount), **details, "seq-num": sequence}
        for kind, amount in amounts
    ]


def _list_keys(visit: Visit) -> Json:
    if visit.customer.is_sub_user:
        raise _refuse_sub_user(visit)
    uid, wanted = visit.query.get("uid"), visit.query.get("accessKey")
    if uid is not None and uid != str(visit.customer.number):
        raise HtxRefusal("", "unauthorized", 1002)
    rows = [_write_key(key) for key in visit.customer.keys]
    if visit.has_switch(SEVERAL_KEYS):
        rows = [_write_old_key(visit), *rows]
    return _write_v2([row for row in rows if wanted in (None, row["accessKey"])], visit)


def _refuse_sub_user(visit: Visit) -> HtxRefusal:
    if visit.has_switch(SUB_USER_EMPTY):
        return HtxRefusal("", "", status=403)
    if visit.has_switch(SUB_USER_403):
        return HtxRefusal("", "no permission for sub user", 403)
    return HtxRefusal("", "forbidden", 1002)


def _write_key(key: SimulatedKey) -> dict[str, Json]:
    words = key.permission_words or ",".join(word for right, word in _WORDS.items() if right in key.in_force)
    created = 1_767_225_600_000
    return {
        "accessKey": key.access_key,
        "status": "expired" if key.valid_days == 0 else "normal",
        "note": key.note,
        "permission": words,
        "ipAddresses": ",".join(key.allowed_ips),
        "validDays": -1 if key.valid_days is None else key.valid_days,
        "createTime": created,
        "updateTime": created,
    }


def _write_old_key(visit: Visit) -> dict[str, Json]:
    """Return another key of the same person: expired, and allowed everything. Only a wrong reader takes it for the first."""
    old = draw_text(f"htx/{visit.customer.number}/old", length=10, alphabet=LOWER)
    return {
        "accessKey": f"0a1b2c3d-44556677-8899aabb-{old}",
        "status": "expired",
        "note": "old bot",
        "permission": "trade,readOnly,withdraw",
        "ipAddresses": "",
        "validDays": 0,
        "createTime": 1_577_836_800_000,
        "updateTime": 1_577_836_800_000,
    }


def _write_v2(data: Json, visit: Visit) -> Json:
    body: dict[str, Json] = {"code": "200" if visit.has_switch(CODE_AS_TEXT) else 200}
    return body | ({} if visit.has_switch(NO_MESSAGE) else {"message": "success"}) | {"data": data, "ok": True}


def _refuse_moving(visit: Visit) -> Json:
    if not visit.entered:
        raise missing_field("amount")
    raise HtxRefusal("base-operation-forbidden", "the sandbox never moves money", 1002)
