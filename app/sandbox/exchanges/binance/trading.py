"""Binance's spot orders: place, test, list, cancel, and own trades."""

from decimal import Decimal

from app.exchanges.types import Permission
from app.sandbox.accounts import InsufficientFunds
from app.sandbox.amounts import ZERO, cut, fixed, parse_positive, parse_whole
from app.sandbox.calls import Json, Route, Visit
from app.sandbox.exchanges.binance.public import LEAST_VALUE, PublicData, read_limit, symbol_of, to_ms
from app.sandbox.exchanges.binance.refusals import BinanceRefusal, failed_filter, missing_parameter
from app.sandbox.lettering import ALPHANUMERIC, draw_text
from app.sandbox.markets import Market
from app.sandbox.orders import Draft, Order, OrderState

_FEE_RATE = Decimal("0.001")
_STATUSES = {
    OrderState.OPEN: "NEW",
    OrderState.FILLED: "FILLED",
    OrderState.CANCELED: "CANCELED",
    OrderState.EXPIRED: "EXPIRED",
}
_TYPES = ("LIMIT", "LIMIT_MAKER", "MARKET")


class SpotTrading:
    """The signed calls under /api/v3 about orders."""

    def __init__(self, data: PublicData) -> None:
        self._data = data

    def routes(self) -> tuple[Route, ...]:
        trade, read = Permission.TRADE, Permission.READ
        return (
            Route("POST", "/api/v3/order", self._place, needs=trade),
            Route("POST", "/api/v3/order/test", self._test, needs=trade),
            Route("DELETE", "/api/v3/order", self._cancel, needs=trade),
            Route("DELETE", "/api/v3/openOrders", self._cancel_all, needs=trade, alarm="always"),
            Route("GET", "/api/v3/order", self._show, needs=read),
            Route("GET", "/api/v3/openOrders", self._list_open, needs=read),
            Route("GET", "/api/v3/allOrders", self._list_all, needs=read),
            Route("GET", "/api/v3/myTrades", self._list_trades, needs=read),
        )

    def _place(self, visit: Visit) -> Json:
        draft = self._read_draft(visit)
        if draft.client_number and visit.customer.desk.get_by_client_number(draft.client_number):
            raise BinanceRefusal(-2010, "Duplicate order sent.")
        try:
            order = visit.customer.desk.place(draft, now=visit.now)
        except InsufficientFunds:
            raise BinanceRefusal(-2010, "Account has insufficient balance for requested action.") from None
        return _write_order(order) | {"transactTime": to_ms(visit.now), "fills": [_write_fill(order)] if order.trades else []}

    def _test(self, visit: Visit) -> Json:
        self._read_draft(visit)
        return {}

    def _cancel(self, visit: Visit) -> Json:
        order = self._find(visit)
        if order is None or order.state is not OrderState.OPEN:
            raise BinanceRefusal(-2011, "Unknown order sent.")
        visit.customer.desk.cancel(order, now=visit.now)
        return _write_order(order) | {"transactTime": to_ms(visit.now)}

    def _cancel_all(self, visit: Visit) -> Json:
        market = self._data.find_market(visit.entered.get("symbol"))
        orders = visit.customer.desk.list_orders(state=OrderState.OPEN, symbol=market.name)
        for order in orders:
            visit.customer.desk.cancel(order, now=visit.now)
        return [_write_order(order) for order in orders]

    def _show(self, visit: Visit) -> Json:
        order = self._find(visit)
        if order is None:
            raise BinanceRefusal(-2013, "Order does not exist.")
        return _write_order(order)

    def _list_open(self, visit: Visit) -> Json:
        symbol = visit.query.get("symbol")
        name = self._data.find_market(symbol).name if symbol else None
        return [_write_order(order) for order in visit.customer.desk.list_orders(state=OrderState.OPEN, symbol=name)]

    def _list_all(self, visit: Visit) -> Json:
        orders = self._list_of_market(visit)
        return [_write_order(order) for order in orders][-read_limit(visit, default=500, most=1000) :]

    def _list_trades(self, visit: Visit) -> Json:
        orders = self._list_of_market(visit)
        rows = [_write_trade(order) for order in orders if order.trades]
        return rows[-read_limit(visit, default=500, most=1000) :]

    def _list_of_market(self, visit: Visit) -> list[Order]:
        market = self._data.find_market(visit.query.get("symbol"))
        return visit.customer.desk.list_orders(symbol=market.name)

    def _find(self, visit: Visit) -> Order | None:
        market = self._data.find_market(visit.entered.get("symbol"))
        number, name = visit.entered.get("orderId"), visit.entered.get("origClientOrderId")
        if not number and not name:
            raise BinanceRefusal(-1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!")
        desk = visit.customer.desk
        order = desk.get(parse_whole(number) or 0) if number else desk.get_by_client_number(str(name))
        return order if order is not None and order.draft.market.name == market.name else None

    def _read_draft(self, visit: Visit) -> Draft:
        entered = visit.entered
        market = self._data.find_market(entered.get("symbol"))
        side, kind = entered.get("side", "").lower(), entered.get("type", "").upper()
        if side not in ("buy", "sell"):
            raise BinanceRefusal(-1117, "Invalid side.")
        if kind not in _TYPES:
            raise BinanceRefusal(-1116, "Invalid orderType.")
        force = entered.get("timeInForce", "")
        if kind == "LIMIT" and force not in ("GTC", "IOC", "FOK"):
            raise missing_parameter("timeInForce") if not force else BinanceRefusal(-1115, "Invalid timeInForce.")
        price = None if kind == "MARKET" else _read_step(entered, "price", market.tick, "PRICE_FILTER")
        quantity = self._read_quantity(entered, market, side)
        _refuse_small(market, side, quantity, price)
        placed = len(visit.customer.desk.list_orders())
        drawn = draw_text(f"binance/{visit.customer.number}/{placed}", length=22, alphabet=ALPHANUMERIC)
        return Draft(
            market,
            side,
            quantity,
            price,
            entered.get("newClientOrderId", "")[:36] or drawn,
            visit.customer.find_account("spot"),
            _FEE_RATE,
            must_fill_now=force in ("IOC", "FOK"),
            must_rest=kind == "LIMIT_MAKER",
            written={"type": kind, "force": force or "GTC"},
        )

    def _read_quantity(self, entered: dict[str, str], market: Market, side: str) -> Decimal:
        value = parse_positive(entered.get("quoteOrderQty", "")) if entered.get("type", "").upper() == "MARKET" else None
        if value is not None:
            return cut(value / market.price_for(side), step=market.lot)
        return _read_step(entered, "quantity", market.lot, "LOT_SIZE")


def _read_step(entered: dict[str, str], name: str, step: Decimal, rule: str) -> Decimal:
    if not entered.get(name):
        raise missing_parameter(name)
    amount = parse_positive(entered[name])
    if amount is None:
        raise BinanceRefusal(-1100, f"Illegal characters found in parameter '{name}'.")
    if cut(amount, step=step) != amount:
        raise failed_filter(rule)
    return amount


def _refuse_small(market: Market, side: str, quantity: Decimal, price: Decimal | None) -> None:
    value = quantity * (market.price_for(side) if price is None else price)
    if quantity <= 0 or (market.quote == "USDT" and value < LEAST_VALUE):
        raise failed_filter("NOTIONAL")


def _write_order(order: Order) -> dict[str, Json]:
    draft = order.draft
    return {
        "symbol": symbol_of(draft.market),
        "orderId": order.number,
        "orderListId": -1,
        "clientOrderId": draft.client_number,
        "price": fixed(draft.price or ZERO, places=8),
        "origQty": fixed(draft.quantity, places=8),
        "executedQty": fixed(order.filled, places=8),
        "cummulativeQuoteQty": fixed(order.value_filled, places=8),
        "status": _STATUSES[order.state],
        "timeInForce": draft.written["force"],
        "type": draft.written["type"],
        "side": draft.side.upper(),
        "stopPrice": "0.00000000",
        "icebergQty": "0.00000000",
        "time": to_ms(order.placed_at),
        "updateTime": to_ms(order.changed_at),
        "isWorking": True,
        "workingTime": to_ms(order.placed_at),
        "origQuoteOrderQty": "0.00000000",
        "selfTradePreventionMode": "NONE",
    }


def _write_fill(order: Order) -> Json:
    trade = order.trades[0]
    return {
        "price": fixed(trade.price, places=8),
        "qty": fixed(trade.quantity, places=8),
        "commission": fixed(trade.fee, places=8),
        "commissionAsset": trade.fee_asset,
        "tradeId": trade.number,
    }


def _write_trade(order: Order) -> Json:
    trade = order.trades[0]
    return {
        "symbol": symbol_of(order.draft.market),
        "id": trade.number,
        "orderId": order.number,
        "orderListId": -1,
        "price": fixed(trade.price, places=8),
        "qty": fixed(trade.quantity, places=8),
        "quoteQty": fixed(trade.price * trade.quantity, places=8),
        "commission": fixed(trade.fee, places=8),
        "commissionAsset": trade.fee_asset,
        "time": to_ms(trade.made_at),
        "isBuyer": order.draft.side == "buy",
        "isMaker": False,
        "isBestMatch": True,
    }
