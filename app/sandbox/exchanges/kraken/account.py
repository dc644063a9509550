"""Kraken's calls about the key, balances and funding; everything that moves money is refused."""

from datetime import timedelta

from app.exchanges.types import Permission
from app.sandbox.amounts import fixed
from app.sandbox.calls import Json, Route, Visit
from app.sandbox.exchanges.kraken.public import code_of
from app.sandbox.exchanges.kraken.refusals import KrakenRefusal, unknown_method

UNTOLD = "untold"
_WORDS = {
    Permission.READ: ("query-funds", "query-open-trades", "query-closed-trades", "query-ledger"),
    Permission.TRADE: ("modify-trades", "close-trades"),
    Permission.TRANSFER: ("earn-funds",),
    Permission.WITHDRAW: ("withdraw-funds",),
}
_MONEY_MOVES = (
    ("Withdraw", Permission.WITHDRAW),
    ("WithdrawCancel", Permission.WITHDRAW),
    ("WalletTransfer", Permission.WITHDRAW),
    ("AccountTransfer", Permission.WITHDRAW),
    ("Earn/Allocate", Permission.TRANSFER),
    ("Earn/Deallocate", Permission.TRANSFER),
)


def list_account_routes() -> tuple[Route, ...]:
    """Return the private calls that are not about orders, with the right each demands."""
    read, withdraw = Permission.READ, Permission.WITHDRAW
    private = "/0/private"
    return (
        Route("POST", f"{private}/GetApiKeyInfo", _show_key),
        Route("POST", f"{private}/Balance", _show_balance, needs=read),
        Route("POST", f"{private}/BalanceEx", _show_extended_balance, needs=read),
        Route("POST", f"{private}/WithdrawMethods", lambda visit: [], needs=withdraw),
        *(Route("POST", f"{private}/{name}", _refuse_moving, needs=right, alarm="always") for name, right in _MONEY_MOVES),
    )


def _show_key(visit: Visit) -> Json:
    key = visit.key
    if key is None:
        raise LookupError("a private call has a key")
    if visit.has_switch(UNTOLD):
        raise unknown_method()
    created_at = int((visit.now - timedelta(days=30)).timestamp())
    ends = 0 if key.valid_days is None else int((visit.now + timedelta(days=key.valid_days)).timestamp())
    number = f"{visit.customer.number:016d}"
    return {
        "apiKeyName": key.note,
        "apiKey": key.access_key,
        "nonce": str(key.last_nonce),
        "nonceWindow": 0,
        "permissions": [word for right, words in _WORDS.items() if right in key.in_force for word in words],
        "iban": f"AA{number[:2]} {number[2:6]} {number[6:10]} {number[10:]}",
        "validUntil": str(ends),
        "queryFrom": "0",
        "queryTo": "0",
        "createdTime": str(created_at),
        "modifiedTime": str(created_at),
        "ipAllowlist": list(key.allowed_ips),
        "lastUsed": str(int(visit.now.timestamp())),
    }


def _show_balance(visit: Visit) -> Json:
    holdings = visit.customer.find_account("spot").holdings
    return {code_of(asset): fixed(held.available + held.held, places=10) for asset, held in holdings.items()}


def _show_extended_balance(visit: Visit) -> Json:
    holdings = visit.customer.find_account("spot").holdings
    return {
        code_of(asset): {
            "balance": fixed(holding.available + holding.held, places=10),
            "hold_trade": fixed(holding.held, places=10),
        }
        for asset, holding in holdings.items()
    }


def _refuse_moving(visit: Visit) -> Json:
    raise KrakenRefusal("EFunding:Unknown withdraw key")
