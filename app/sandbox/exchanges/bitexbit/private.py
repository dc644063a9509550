"""bitexbit's private calls, v2 and Gateway: balance, orders, trades, fees, and the refused ones that move money."""

from decimal import Decimal

from app.exchanges.types import Permission
from app.sandbox.accounts import Account, InsufficientFunds
from app.sandbox.amounts import ZERO, fixed, parse_positive, parse_whole, plain
from app.sandbox.calls import Json, Route, Visit
from app.sandbox.exchanges.bitexbit.public import PublicData, read_limit, symbol_of
from app.sandbox.exchanges.bitexbit.refusals import BitexbitRefusal, bad_field, missing_fields, not_found
from app.sandbox.orders import Draft, Order, OrderState

_FEE_RATE = Decimal("0.002")
_STATES = {
    OrderState.OPEN: "submitted",
    OrderState.FILLED: "filled",
    OrderState.CANCELED: "canceled",
    OrderState.EXPIRED: "canceled",
}
_FILTERS = {"active": OrderState.OPEN, "canceled": OrderState.CANCELED, "done": OrderState.FILLED}
_MONEY_MOVES = ("coupon/create", "coupon/redeem", "transfers/create", "transfer/create")


class PrivateCalls:
    """The calls under /api/v2/private and /api/gateway."""

    def __init__(self, data: PublicData) -> None:
        self._data = data

    def routes(self) -> tuple[Route, ...]:
        private, read, trade = "/api/v2/private", Permission.READ, Permission.TRADE
        withdraw = Permission.WITHDRAW
        return (
            Route("GET", f"{private}/balance", _show_balance, needs=read),
            Route("GET", f"{private}/orders", self._list_orders, needs=read),
            Route("GET", f"{private}/orders/{{id}}/trades", _list_order_trades, needs=read),
            Route("GET", f"{private}/trades", self._list_trades, needs=read),
            Route("GET", f"{private}/trading-fees", self._list_fees, needs=read),
            Route("POST", f"{private}/order/create", self._create, needs=trade),
            Route("POST", f"{private}/order/{{id}}/cancel", _cancel, needs=trade),
            *(Route("POST", f"{private}/{path}", _refuse_moving, needs=withdraw, alarm="always") for path in _MONEY_MOVES),
            Route("GET", "/api/gateway/payment-methods", self._list_payment_methods, needs=read),
            Route("POST", "/api/gateway/withdraw/create", _refuse_withdrawing, needs=withdraw, alarm="content"),
        )

    def _list_orders(self, visit: Visit) -> Json:
        symbol, status, kind = (visit.query.get(name) for name in ("symbol", "status", "type"))
        if status is not None and status not in _FILTERS:
            raise bad_field("status", f'"{status}" is not a valid choice.')
        name = self._data.find_market(symbol).name if symbol else None
        orders = visit.customer.desk.list_orders(state=_FILTERS[status] if status else None, symbol=name)
        rows = [_write_order(order) for order in reversed(orders) if kind in (None, order.draft.written["type"])]
        return rows[: read_limit(visit, default=100, most=1000)]

    def _list_trades(self, visit: Visit) -> Json:
        symbol = visit.query.get("symbol")
        name = self._data.find_market(symbol).name if symbol else None
        orders = reversed(visit.customer.desk.list_orders(symbol=name))
        return [row for order in orders for row in _write_trades(order)][: read_limit(visit, default=100, most=1000)]

    def _list_fees(self, visit: Visit) -> Json:
        rates = {"sell_fee_rate": "0.002", "buy_fee_rate": "0.002"}
        return {**rates, "pair_fee_rates": [{"symbol": symbol, **rates} for symbol in self._data.by_symbol]}

    def _create(self, visit: Visit) -> Json:
        entered = visit.entered
        absent = [name for name in ("symbol", "type", "price", "amount") if entered.get(name) in (None, "")]
        if absent:
            raise missing_fields(*absent)
        market = self._data.find_market(entered["symbol"])
        side, _, kind = str(entered["type"]).partition("-")
        if side not in ("buy", "sell") or kind != "limit":
            raise bad_field("type", f'"{entered["type"]}" is not a valid choice.')
        price, amount = _read_amount(entered, "price"), _read_amount(entered, "amount")
        if amount < market.lot:
            raise bad_field("amount", f"Ensure this value is greater than or equal to {plain(market.lot)}.")
        written = {"type": str(entered["type"])}
        draft = Draft(market, side, amount, price, "", visit.customer.find_account("main"), _FEE_RATE, written=written)
        try:
            order = visit.customer.desk.place(draft, now=visit.now)
        except InsufficientFunds as error:
            asset = market.asset if side == "sell" else market.quote
            raise bad_field("amount", f"Out of balance. Available: {fixed(error.left, places=8)} {asset}") from None
        return {"order": _write_order(order), "trades": _write_fills(order), "funds": _write_funds(visit, order)}

    def _list_payment_methods(self, visit: Visit) -> Json:
        return [
            {"ticker": code, "name": name, "network": code, "deposit_enabled": True, "withdraw_enabled": True}
            for code, name in self._data.place.assets.items()
        ]


def _show_balance(visit: Visit) -> Json:
    account = visit.customer.find_account("main")
    wanted = visit.query.get("symbols")
    assets = wanted.split(",") if wanted else list(account.holdings)
    if wanted and len(assets) > 5:
        raise bad_field("symbols", "Ensure this field has no more than 5 elements.")
    return [_write_holding(account, asset) for asset in assets]


def _cancel(visit: Visit) -> Json:
    order = _find(visit)
    if order.state is not OrderState.OPEN:
        raise BitexbitRefusal(400, "Order is already closed.")
    visit.customer.desk.cancel(order, now=visit.now)
    moment = int(visit.now.timestamp() * 1000)
    return {"cancel": {"id": order.number, "date": moment}, "order": _write_order(order), "funds": _write_funds(visit, order)}


def _list_order_trades(visit: Visit) -> Json:
    return _write_trades(_find(visit))


def _find(visit: Visit) -> Order:
    order = visit.customer.desk.get(parse_whole(visit.path["id"]) or 0)
    if order is None:
        raise not_found()
    return order


def _refuse_withdrawing(visit: Visit) -> Json:
    absent = [name for name in ("ticker", "network", "address", "amount") if name not in visit.entered]
    if absent:
        raise missing_fields(*absent)
    raise BitexbitRefusal(400, "The sandbox never moves money.")


def _refuse_moving(visit: Visit) -> Json:
    raise BitexbitRefusal(400, "The sandbox never moves money.")


def _read_amount(entered: dict[str, Json], name: str) -> Decimal:
    amount = parse_positive(entered[name])
    if amount is None:
        raise bad_field(name, "A valid number is required.")
    return amount


def _write_holding(account: Account, asset: str) -> dict[str, Json]:
    holding = account.holdings.get(asset)
    available, held = (holding.available, holding.held) if holding else (ZERO, ZERO)
    return {"symbol": asset, "available": fixed(available, places=8), "reserved": fixed(held, places=8)}


def _write_funds(visit: Visit, order: Order) -> Json:
    account = visit.customer.find_account("main")
    return [_write_holding(account, asset) for asset in (order.draft.market.asset, order.draft.market.quote)]


def _write_order(order: Order) -> dict[str, Json]:
    draft = order.draft
    is_closed = order.state is not OrderState.OPEN
    is_canceled = order.state is OrderState.CANCELED
    left = draft.quantity - order.filled
    amounts = {
        "amount": draft.quantity,
        "amount_unfilled": ZERO if is_canceled else left,
        "amount_filled": order.filled,
        "amount_cancelled": left if is_canceled else ZERO,
        "value_filled": order.value_filled,
        "fee_filled": order.fees,
        "price_avg": order.value_filled / order.filled if order.filled else ZERO,
    }
    return {
        "id": order.number,
        "date": int(order.placed_at.timestamp() * 1000),
        "symbol": symbol_of(draft.market),
        "type": draft.written["type"],
        "price": plain(draft.price or ZERO),
        **{name: fixed(amount, places=8) for name, amount in amounts.items()},
        "done_at": int(order.changed_at.timestamp() * 1000) if is_closed else None,
        "state": _STATES[order.state],
    }


def _write_fills(order: Order) -> Json:
    return [
        {
            "id": trade.number,
            "price": plain(trade.price),
            "amount": fixed(trade.quantity, places=8),
            "side_order": order.number - 1,
        }
        for trade in order.trades
    ]


def _write_trades(order: Order) -> list[dict[str, Json]]:
    return [
        {
            "id": trade.number,
            "date": int(trade.made_at.timestamp() * 1000),
            "type": order.draft.side,
            "symbol": symbol_of(order.draft.market),
            "price": plain(trade.price),
            "amount": fixed(trade.quantity, places=8),
            "fee_amount": fixed(trade.fee, places=8),
            "fee_rate": "0.002",
            "fee_symbol": trade.fee_asset,
        }
        for trade in order.trades
    ]
