"""HitBTC's balances, sub-accounts and wallet calls; everything that moves money is refused."""

from datetime import timedelta

from app.exchanges.types import Permission
from app.sandbox.accounts import Account, Holding
from app.sandbox.amounts import plain
from app.sandbox.calls import Json, Route, Visit
from app.sandbox.exchanges.hitbtc.public import stamp
from app.sandbox.exchanges.hitbtc.refusals import HitbtcRefusal

ZERO_ROWS = "zero-rows"
NO_RESERVED_MARGIN = "no-reserved-margin"
_MONEY_MOVES = (
    ("POST", "/api/3/wallet/crypto/withdraw", Permission.WITHDRAW),
    ("PUT", "/api/3/wallet/crypto/withdraw/{id}", Permission.WITHDRAW),
    ("POST", "/api/3/wallet/internal/withdraw", Permission.WITHDRAW),
    ("POST", "/api/3/wallet/transfer", Permission.TRANSFER),
    ("POST", "/api/3/wallet/convert", Permission.TRANSFER),
    ("POST", "/api/3/sub-account/transfer", Permission.WITHDRAW),
    ("POST", "/api/3/sub-account/transfer/sub-to-super", Permission.WITHDRAW),
    ("POST", "/api/3/sub-account/transfer/sub-to-sub", Permission.WITHDRAW),
    ("POST", "/api/3/sub-account/acl", Permission.TRANSFER),
    ("POST", "/api/3/sub-account/freeze", None),
    ("POST", "/api/3/sub-account/activate", None),
)


def list_fund_routes() -> tuple[Route, ...]:
    """Return the wallet's and balances' calls with the right each demands."""
    read, wallet = Permission.READ, Permission.TRANSFER
    balances = [("spot", read), ("wallet", wallet), ("futures", read)]
    routes = [Route("GET", "/api/3/sub-account", lambda visit: {"result": []})]
    for name, right in balances:
        routes.append(Route("GET", f"/api/3/{name}/balance", _show_balances, needs=right))
        routes.append(Route("GET", f"/api/3/{name}/balance/{{currency}}", _show_balance, needs=right))
    routes += [
        Route("GET", "/api/3/wallet/transactions", _show_transactions, needs=wallet),
        Route("GET", "/api/3/wallet/amount-locks", lambda visit: [], needs=wallet),
        Route("GET", "/api/3/margin/account", lambda visit: [], needs=Permission.TRADE),
        Route("GET", "/api/3/futures/account", lambda visit: [], needs=Permission.TRADE),
        Route("GET", "/api/3/margin/order", lambda visit: [], needs=Permission.TRADE),
        Route("GET", "/api/3/futures/order", lambda visit: [], needs=Permission.TRADE),
        Route("DELETE", "/api/3/wallet/crypto/withdraw/{id}", _roll_back, needs=Permission.WITHDRAW),
    ]
    routes += [Route(method, path, _refuse_moving, needs=right, alarm="always") for method, path, right in _MONEY_MOVES]
    return tuple(routes)


def _find_account(visit: Visit) -> Account:
    name = visit.call.path.split("/")[3]
    return visit.customer.find_account("derivatives" if name == "futures" else name)


def _show_balances(visit: Visit) -> Json:
    account = _find_account(visit)
    rows = [
        {"currency": asset, **_write_holding(account, holding, visit)}
        for asset, holding in account.holdings.items()
        if holding.available or holding.held or any(holding.extra.values())
    ]
    if visit.has_switch(ZERO_ROWS):
        rows += [{"currency": asset, **_write_holding(account, Holding(), visit)} for asset in ("ALGO", "DASH", "ZEC")]
    return rows


def _show_balance(visit: Visit) -> Json:
    account = _find_account(visit)
    currency = visit.path["currency"]
    if not currency.isalnum() or not currency.isupper():
        raise HitbtcRefusal(2002)
    return _write_holding(account, account.holdings.get(currency, Holding()), visit)


def _write_holding(account: Account, holding: Holding, visit: Visit) -> dict[str, Json]:
    row = {"available": plain(holding.available), "reserved": plain(holding.held)}
    if account.kind != "wallet" and not visit.has_switch(NO_RESERVED_MARGIN):
        for name in ("reserved_margin", "cross_margin_reserved"):
            row[name] = plain(holding.extra[name]) if name in holding.extra else "0"
    return row


def _show_transactions(visit: Visit) -> Json:
    deposited_at = stamp(visit.now - timedelta(days=3))
    return [
        {
            "id": 101_609_000 + place,
            "created_at": deposited_at,
            "updated_at": deposited_at,
            "last_activity_at": deposited_at,
            "status": "SUCCESS",
            "type": "DEPOSIT",
            "subtype": "BLOCKCHAIN",
            "native": {
                "tx_id": f"8f1c4b7e-0000-4000-8000-{place:012d}",
                "index": 881_652_766 + place,
                "currency": asset,
                "amount": plain(holding.available),
                "confirmations": 20,
            },
        }
        for place, (asset, holding) in enumerate(visit.customer.find_account("wallet").holdings.items())
        if holding.available
    ]


def _roll_back(visit: Visit) -> Json:
    raise HitbtcRefusal(20004)


def _refuse_moving(visit: Visit) -> Json:
    raise HitbtcRefusal(10001, "the sandbox never moves money")
