"""Kraken's spot orders: place (or only validate), list, query, cancel, and own trades."""

from decimal import Decimal

from app.exchanges.types import Permission
from app.sandbox.accounts import InsufficientFunds
from app.sandbox.amounts import ZERO, cut, fixed, parse_positive, plain
from app.sandbox.calls import Json, Route, Visit
from app.sandbox.exchanges.kraken.public import PublicData, alternative_of, pair_of
from app.sandbox.exchanges.kraken.refusals import KrakenRefusal, invalid_argument
from app.sandbox.lettering import draw_text
from app.sandbox.orders import Draft, Order, OrderState

_FEE_RATE = Decimal("0.0025")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_STATUSES = {
    OrderState.OPEN: "open",
    OrderState.FILLED: "closed",
    OrderState.CANCELED: "canceled",
    OrderState.EXPIRED: "expired",
}


class SpotTrading:
    """The private calls about orders and trades."""

    def __init__(self, data: PublicData) -> None:
        self._data = data

    def routes(self) -> tuple[Route, ...]:
        trade, read = Permission.TRADE, Permission.READ
        calls = {
            "AddOrder": (self._add, trade, ""),
            "CancelOrder": (_cancel, trade, ""),
            "CancelAll": (_cancel_all, trade, "always"),
            "OpenOrders": (_list_open, read, ""),
            "ClosedOrders": (_list_closed, read, ""),
            "QueryOrders": (_query, read, ""),
            "TradesHistory": (_list_trades, read, ""),
        }
        return tuple(
            Route("POST", f"/0/private/{name}", handler, needs=right, alarm=alarm)
            for name, (handler, right, alarm) in calls.items()
        )

    def _add(self, visit: Visit) -> Json:
        draft = self._read_draft(visit)
        described = {"descr": {"order": _describe(draft)}}
        if str(visit.entered.get("validate", "")).lower() in ("true", "1"):
            return described
        try:
            order = visit.customer.desk.place(draft, now=visit.now)
        except InsufficientFunds:
            raise KrakenRefusal("EOrder:Insufficient funds") from None
        if order.state is OrderState.EXPIRED and draft.must_rest:
            raise KrakenRefusal("EOrder:Post only order")
        return described | {"txid": [draft.written["txid"]]}

    def _read_draft(self, visit: Visit) -> Draft:
        entered = visit.entered
        market = self._data.find_market(entered.get("pair"))
        side, kind = str(entered.get("type", "")), str(entered.get("ordertype", ""))
        if side not in ("buy", "sell"):
            raise invalid_argument("type")
        if kind not in ("limit", "market"):
            raise invalid_argument("ordertype")
        quantity = parse_positive(entered.get("volume", ""))
        if quantity is None:
            raise invalid_argument("volume")
        if quantity < market.lot:
            raise invalid_argument("volume minimum not met")
        price = _read_price(entered.get("price", ""), market.tick) if kind == "limit" else None
        placed = len(visit.customer.desk.list_orders())
        drawn = draw_text(f"kraken/{visit.customer.number}/{placed}", length=16, alphabet=_LETTERS)
        return Draft(
            market,
            side,
            cut(quantity, step=market.lot),
            price,
            str(entered.get("cl_ord_id") or "")[:36],
            visit.customer.find_account("spot"),
            _FEE_RATE,
            is_fee_on_top=True,
            must_fill_now=str(entered.get("timeinforce", "")).upper() in ("IOC", "FOK"),
            must_rest="post" in str(entered.get("oflags", "")).split(","),
            written={"type": kind, "txid": f"O{drawn[:5]}-{drawn[5:10]}-{drawn[10:]}"},
        )


def _read_price(value: Json, tick: Decimal) -> Decimal:
    price = parse_positive(value)
    if price is None:
        raise invalid_argument("price")
    if cut(price, step=tick) != price:
        raise KrakenRefusal("EOrder:Invalid price:Invalid price argument")
    return price


def _find(visit: Visit, txid: str) -> Order | None:
    orders = visit.customer.desk.list_orders()
    return next((order for order in orders if txid and txid in (order.draft.written["txid"], order.draft.client_number)), None)


def _cancel(visit: Visit) -> Json:
    asked = visit.entered.get("txid") or visit.entered.get("cl_ord_id")
    order = _find(visit, str(asked or ""))
    if order is None or order.state is not OrderState.OPEN:
        raise KrakenRefusal("EOrder:Unknown order")
    visit.customer.desk.cancel(order, now=visit.now)
    return {"count": 1}


def _cancel_all(visit: Visit) -> Json:
    orders = visit.customer.desk.list_orders(state=OrderState.OPEN)
    for order in orders:
        visit.customer.desk.cancel(order, now=visit.now)
    return {"count": len(orders)}


def _list_open(visit: Visit) -> Json:
    return {"open": _write_many(visit.customer.desk.list_orders(state=OrderState.OPEN))}


def _list_closed(visit: Visit) -> Json:
    closed = [order for order in visit.customer.desk.list_orders() if order.state is not OrderState.OPEN]
    return {"closed": _write_many(closed), "count": len(closed)}


def _query(visit: Visit) -> Json:
    found = [_find(visit, txid) for txid in str(visit.entered.get("txid", "")).split(",")]
    if not found or None in found:
        raise KrakenRefusal("EOrder:Unknown order")
    return _write_many([order for order in found if order is not None])


def _list_trades(visit: Visit) -> Json:
    filled = [order for order in reversed(visit.customer.desk.list_orders()) if order.trades]
    return {"trades": {_trade_name(order): _write_trade(order) for order in filled}, "count": len(filled)}


def _trade_name(order: Order) -> str:
    return "T" + order.draft.written["txid"][1:]


def _write_many(orders: list[Order]) -> dict[str, Json]:
    return {order.draft.written["txid"]: _write_order(order) for order in reversed(orders)}


def _describe(draft: Draft) -> str:
    at = "market" if draft.price is None else f"limit {plain(draft.price)}"
    return f"{draft.side} {fixed(draft.quantity, places=8)} {alternative_of(draft.market)} @ {at}"


def _write_order(order: Order) -> dict[str, Json]:
    draft = order.draft
    body: dict[str, Json] = {
        "refid": None,
        "userref": None,
        "status": _STATUSES[order.state],
        "opentm": order.placed_at.timestamp(),
        "starttm": 0,
        "expiretm": 0,
        "descr": {
            "pair": alternative_of(draft.market),
            "type": draft.side,
            "ordertype": draft.written["type"],
            "price": plain(draft.price or ZERO),
            "price2": "0",
            "leverage": "none",
            "order": _describe(draft),
            "close": "",
        },
        "vol": fixed(draft.quantity, places=8),
        "vol_exec": fixed(order.filled, places=8),
        "cost": fixed(order.value_filled, places=8),
        "fee": fixed(order.fees, places=8),
        "price": fixed(order.value_filled / order.filled if order.filled else ZERO, places=8),
        "stopprice": "0.00000",
        "limitprice": "0.00000",
        "misc": "",
        "oflags": "fciq",
    }
    if draft.client_number:
        body["cl_ord_id"] = draft.client_number
    if order.state is not OrderState.OPEN:
        body["closetm"] = order.changed_at.timestamp()
    return body


def _write_trade(order: Order) -> Json:
    trade = order.trades[0]
    return {
        "ordertxid": order.draft.written["txid"],
        "postxid": "",
        "pair": pair_of(order.draft.market),
        "time": trade.made_at.timestamp(),
        "type": order.draft.side,
        "ordertype": order.draft.written["type"],
        "price": plain(trade.price),
        "cost": fixed(trade.price * trade.quantity, places=8),
        "fee": fixed(trade.fee, places=8),
        "vol": fixed(trade.quantity, places=8),
        "margin": "0.00000",
        "leverage": "0",
        "misc": "",
        "trade_id": trade.number % 2**31,
        "maker": False,
    }
