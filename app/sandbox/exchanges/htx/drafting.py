"""Reads an HTX order request and checks it in the exchange's words."""

import re
from decimal import Decimal

from app.sandbox.accounts import Account
from app.sandbox.amounts import cut, parse_positive, plain
from app.sandbox.calls import Json, Visit
from app.sandbox.exchanges.htx.public import ReferenceData
from app.sandbox.exchanges.htx.refusals import HtxRefusal, missing_field
from app.sandbox.markets import Market
from app.sandbox.orders import Draft

FEE_RATE = Decimal("0.002")
_KINDS = frozenset({"market", "limit", "ioc", "limit-maker", "limit-fok"})
_CLIENT_NUMBER = re.compile(r"[A-Za-z0-9_-]{1,64}")


def read_draft(data: ReferenceData, visit: Visit, entered: dict[str, Json]) -> Draft:
    """Return the order a body asks for. Raises HtxRefusal."""
    for name in ("account-id", "symbol", "type", "amount"):
        if entered.get(name) in (None, ""):
            raise missing_field(name)
    market = data.find_market(str(entered["symbol"]))
    side, _, kind = str(entered["type"]).partition("-")
    if side not in ("buy", "sell") or kind not in _KINDS:
        raise HtxRefusal("invalid-type", "invalid order type")
    amount = read_amount(entered["amount"], "amount")
    price = None if kind == "market" else _read_price(entered, market)
    quantity = cut(amount / market.ask, step=market.lot) if kind == "market" and side == "buy" else amount
    _refuse_odd_sizes(market, quantity, price)
    return Draft(
        market,
        side,
        quantity,
        price,
        _read_client_number(entered),
        _read_account(visit, str(entered["account-id"])),
        FEE_RATE,
        must_fill_now=kind in ("ioc", "limit-fok"),
        must_rest=kind == "limit-maker",
        written={"type": str(entered["type"]), "amount": plain(amount), "source": str(entered.get("source", "spot-api"))},
    )


def read_amount(value: Json, name: str) -> Decimal:
    """Return a positive amount. Raises HtxRefusal validation-format-error."""
    amount = parse_positive(value)
    if amount is None:
        raise HtxRefusal("validation-format-error", f"Field format is wrong: {name}")
    return amount


def _read_price(entered: dict[str, Json], market: Market) -> Decimal:
    if entered.get("price") in (None, ""):
        raise missing_field("price")
    price = read_amount(entered["price"], "price")
    if cut(price, step=market.tick) != price:
        raise HtxRefusal("order-orderprice-precision-error", f"order price precision error, scale: `{market.tick_places}`")
    return price


def _refuse_odd_sizes(market: Market, quantity: Decimal, price: Decimal | None) -> None:
    if quantity < market.lot:
        raise HtxRefusal("order-limitorder-amount-min-error", f"limit order amount error, min: `{plain(market.lot)}`")
    if cut(quantity, step=market.lot) != quantity:
        raise HtxRefusal("order-orderamount-precision-error", f"order amount precision error, scale: `{market.lot_places}`")
    least = Decimal(5) if market.quote == "USDT" else Decimal("0.0001")
    if quantity * (price or market.last) < least:
        raise HtxRefusal("order-value-min-error", f"Order total cannot be lower than: `{plain(least)}`")


def _read_client_number(entered: dict[str, Json]) -> str:
    number = str(entered.get("client-order-id") or "")
    if number and not _CLIENT_NUMBER.fullmatch(number):
        raise HtxRefusal("invalid-client-order-id", "invalid client order id")
    return number


def _read_account(visit: Visit, number: str) -> Account:
    for account in visit.customer.accounts:
        if str(account.number) == number:
            if account.state != "working":
                raise HtxRefusal("operation-forbidden-for-lock-account-state", "the account is locked")
            return account
    raise HtxRefusal("account-get-accounts-inexistent-error", f"account for id `{number}` does not exist")
