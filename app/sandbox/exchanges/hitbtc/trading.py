"""HitBTC's spot trading: place, list, replace, cancel, history and fees."""

from decimal import Decimal

from app.exchanges.types import Permission
from app.sandbox.accounts import InsufficientFunds
from app.sandbox.amounts import ZERO, cut, parse_positive, plain
from app.sandbox.calls import Json, Route, Visit
from app.sandbox.exchanges.hitbtc.public import PublicData, read_limit, stamp
from app.sandbox.exchanges.hitbtc.refusals import HitbtcRefusal
from app.sandbox.lettering import HEX, draw_text
from app.sandbox.markets import Market
from app.sandbox.orders import Draft, Order, OrderState, Trade

_TAKE_RATE = Decimal("0.0025")
_STATUSES = {
    OrderState.OPEN: "new",
    OrderState.FILLED: "filled",
    OrderState.CANCELED: "canceled",
    OrderState.EXPIRED: "expired",
}


class SpotTrading:
    """The calls under /api/3/spot that need the right to place and cancel orders, and the two histories."""

    def __init__(self, data: PublicData) -> None:
        self._data = data

    def routes(self) -> tuple[Route, ...]:
        trade, read = Permission.TRADE, Permission.READ
        return (
            Route("GET", "/api/3/spot/order", self._list_active, needs=trade),
            Route("GET", "/api/3/spot/order/{id}", self._show_active, needs=trade),
            Route("POST", "/api/3/spot/order", self._place, needs=trade),
            Route("PATCH", "/api/3/spot/order/{id}", self._replace, needs=trade),
            Route("DELETE", "/api/3/spot/order", self._cancel_all, needs=trade, alarm="always"),
            Route("DELETE", "/api/3/spot/order/{id}", self._cancel, needs=trade),
            Route("GET", "/api/3/spot/fee", self._list_fees, needs=trade),
            Route("GET", "/api/3/spot/fee/{symbol}", self._show_fee, needs=trade),
            Route("GET", "/api/3/spot/history/order", self._list_history, needs=read),
            Route("GET", "/api/3/spot/history/trade", self._list_trades, needs=read),
        )

    def _list_active(self, visit: Visit) -> Json:
        orders = visit.customer.desk.list_orders(state=OrderState.OPEN, symbol=self._read_symbol(visit))
        return [_write_order(order) for order in reversed(orders)]

    def _show_active(self, visit: Visit) -> Json:
        return _write_order(_find_active(visit))

    def _place(self, visit: Visit) -> Json:
        draft = self._read_draft(visit)
        return self._put(visit, draft)

    def _put(self, visit: Visit, draft: Draft) -> Json:
        known = visit.customer.desk.get_by_client_number(draft.client_number)
        if known is not None and draft.client_number != "":
            raise HitbtcRefusal(20008)
        try:
            order = visit.customer.desk.place(draft, now=visit.now)
        except InsufficientFunds:
            raise HitbtcRefusal(20001) from None
        return _write_order(order, with_trades=True)

    def _replace(self, visit: Visit) -> Json:
        order = _find_active(visit)
        old = order.draft
        quantity, price = str(visit.entered.get("quantity", "")), str(visit.entered.get("price", ""))
        if (quantity, price) == (plain(old.quantity), plain(old.price or ZERO)):
            raise HitbtcRefusal(20009)
        visit.entered = {
            "symbol": f"{old.market.asset}{old.market.quote}",
            "side": old.side,
            "quantity": quantity or plain(old.quantity),
            "price": price or plain(old.price or ZERO),
            "client_order_id": visit.entered.get("new_client_order_id"),
        }
        draft = self._read_draft(visit)
        visit.customer.desk.cancel(order, now=visit.now)
        return {**self._put(visit, draft), "original_client_order_id": old.client_number}

    def _cancel(self, visit: Visit) -> Json:
        order = _find_active(visit)
        visit.customer.desk.cancel(order, now=visit.now)
        return _write_order(order)

    def _cancel_all(self, visit: Visit) -> Json:
        orders = visit.customer.desk.list_orders(state=OrderState.OPEN, symbol=self._read_symbol(visit))
        for order in orders:
            visit.customer.desk.cancel(order, now=visit.now)
        return [_write_order(order) for order in orders]

    def _list_fees(self, visit: Visit) -> Json:
        return [{"symbol": symbol, "take_rate": "0.0025", "make_rate": "0.001"} for symbol in self._data.by_symbol]

    def _show_fee(self, visit: Visit) -> Json:
        self._data.find_market(visit.path["symbol"])
        return {"take_rate": "0.0025", "make_rate": "0.001"}

    def _list_history(self, visit: Visit) -> Json:
        orders = visit.customer.desk.list_orders(symbol=self._read_symbol(visit))
        wanted = visit.query.get("client_order_id")
        chosen = [order for order in reversed(orders) if wanted in (None, order.draft.client_number)]
        return [_write_order(order) for order in chosen[: read_limit(visit, default=100)]]

    def _list_trades(self, visit: Visit) -> Json:
        orders = visit.customer.desk.list_orders(symbol=self._read_symbol(visit))
        wanted = visit.query.get("order_id")
        rows = [
            {**_write_trade(trade), "order_id": order.number, **_name_order(order)}
            for order in reversed(orders)
            for trade in order.trades
            if wanted in (None, str(order.number))
        ]
        return rows[: read_limit(visit, default=100)]

    def _read_symbol(self, visit: Visit) -> str | None:
        symbol = visit.query.get("symbol") or visit.entered.get("symbol")
        return self._data.find_market(str(symbol)).name if symbol else None

    def _read_draft(self, visit: Visit) -> Draft:
        entered = visit.entered
        market = self._data.find_market(str(entered.get("symbol", "")))
        side, kind = entered.get("side"), entered.get("type") or "limit"
        if side not in ("buy", "sell"):
            raise HitbtcRefusal(10001, "side must be one of buy, sell")
        if kind not in ("limit", "market"):
            raise HitbtcRefusal(10001, "the sandbox takes limit and market orders")
        quantity = _read_step(entered, "quantity", market.lot, (2010, 2011, 2012))
        price = None if kind == "market" else _read_step(entered, "price", market.tick, (2020, 2020, 2022))
        _refuse_fat_finger(market, str(side), price)
        force = str(entered.get("time_in_force") or "GTC")
        return Draft(
            market,
            str(side),
            quantity,
            price,
            _read_client_number(visit),
            visit.customer.find_account("spot"),
            _TAKE_RATE,
            is_fee_on_top=True,
            must_fill_now=force in ("IOC", "FOK"),
            must_rest=str(entered.get("post_only", "")).lower() == "true",
            written={"type": str(kind), "time_in_force": force},
        )


def _read_step(entered: dict[str, Json], name: str, step: Decimal, codes: tuple[int, int, int]) -> Decimal:
    """Return a positive amount on the market's step; without strict_validate HitBTC rounds it down by itself."""
    amount = parse_positive(entered.get(name, ""))
    if amount is None:
        raise HitbtcRefusal(codes[0])
    rounded = cut(amount, step=step)
    if rounded != amount and str(entered.get("strict_validate", "")).lower() == "true":
        raise HitbtcRefusal(codes[2])
    if rounded <= 0:
        raise HitbtcRefusal(codes[1])
    return rounded


def _refuse_fat_finger(market: Market, side: str, price: Decimal | None) -> None:
    """Refuse a price that is more than 10 % worse than the market for the one who places the order."""
    if price is None:
        return
    if (side == "buy" and price > market.ask * Decimal("1.1")) or (side == "sell" and price < market.bid * Decimal("0.9")):
        raise HitbtcRefusal(20045)


def _read_client_number(visit: Visit) -> str:
    given = visit.entered.get("client_order_id")
    if given is None:
        placed = len(visit.customer.desk.list_orders())
        return draw_text(f"{visit.customer.number}/{placed}/{visit.now.timestamp()}", length=32, alphabet=HEX)
    if not 8 <= len(str(given)) <= 32:
        raise HitbtcRefusal(10001, "client_order_id must be 8 to 32 characters long")
    return str(given)


def _find_active(visit: Visit) -> Order:
    order = visit.customer.desk.get_by_client_number(visit.path["id"])
    if order is None or order.state is not OrderState.OPEN:
        raise HitbtcRefusal(20002)
    return order


def _name_order(order: Order) -> dict[str, Json]:
    market = order.draft.market
    return {
        "client_order_id": order.draft.client_number,
        "symbol": f"{market.asset}{market.quote}",
        "side": order.draft.side,
    }


def _write_order(order: Order, *, with_trades: bool = False) -> dict[str, Json]:
    draft = order.draft
    body: dict[str, Json] = {
        "id": order.number,
        **_name_order(order),
        "status": _STATUSES[order.state],
        "type": draft.written["type"],
        "time_in_force": draft.written["time_in_force"],
        "quantity": plain(draft.quantity),
        "quantity_cumulative": plain(order.filled),
        "price": plain(draft.price or ZERO),
        "price_average": plain(order.value_filled / order.filled) if order.filled else "0",
        "post_only": draft.must_rest,
        "created_at": stamp(order.placed_at),
        "updated_at": stamp(order.changed_at),
    }
    if with_trades and order.trades:
        body["trades"] = [_write_trade(trade) for trade in order.trades]
    return body


def _write_trade(trade: Trade) -> dict[str, Json]:
    return {
        "id": trade.number,
        "quantity": plain(trade.quantity),
        "price": plain(trade.price),
        "fee": plain(trade.fee),
        "timestamp": stamp(trade.made_at),
        "taker": True,
    }
