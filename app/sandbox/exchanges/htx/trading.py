"""HTX's spot trading: place, cancel in its several forms, list, details and fees."""

from app.exchanges.types import Permission
from app.sandbox.accounts import Account, InsufficientFunds
from app.sandbox.amounts import ZERO, fixed, parse_whole, plain
from app.sandbox.calls import Json, Route, Visit
from app.sandbox.exchanges.htx.drafting import read_draft
from app.sandbox.exchanges.htx.public import ReferenceData, symbol_of
from app.sandbox.exchanges.htx.refusals import HtxRefusal, missing_field
from app.sandbox.orders import Order, OrderState

_STATES = {
    OrderState.OPEN: "submitted",
    OrderState.FILLED: "filled",
    OrderState.CANCELED: "canceled",
    OrderState.EXPIRED: "canceled",
}
LIST_BODY = ""  # the name under which a body that is a list is kept
_CLOSED = {OrderState.FILLED: 6, OrderState.CANCELED: 7, OrderState.EXPIRED: 7}


class SpotTrading:
    """The calls under /v1/order, and the fee rates."""

    def __init__(self, data: ReferenceData) -> None:
        self._data = data

    def routes(self) -> tuple[Route, ...]:
        trade, read, order = Permission.TRADE, Permission.READ, "/v1/order"
        return (
            Route("POST", f"{order}/orders/place", self._place, needs=trade),
            Route("POST", f"{order}/batch-orders", self._place_many, needs=trade),
            Route("POST", f"{order}/orders/submitCancelClientOrder", _cancel_by_client_number, needs=trade),
            Route("POST", f"{order}/orders/batchcancel", _cancel_many, needs=trade),
            Route("POST", f"{order}/orders/batchCancelOpenOrders", self._cancel_open, needs=trade),
            Route("POST", f"{order}/orders/{{id}}/submitcancel", _cancel, needs=trade),
            Route("GET", f"{order}/cancelAllOrders", self._cancel_open, needs=trade, alarm="always"),
            Route("GET", f"{order}/openOrders", self._list_open, needs=read),
            Route("GET", f"{order}/orders/getClientOrder", _show_by_client_number, needs=read),
            Route("GET", f"{order}/orders/{{id}}/matchresults", self._list_order_trades, needs=read),
            Route("GET", f"{order}/orders/{{id}}", _show, needs=read),
            Route("GET", f"{order}/orders", self._list_by_state, needs=read),
            Route("GET", f"{order}/history", self._list_history, needs=read),
            Route("GET", f"{order}/matchresults", self._list_trades, needs=read),
            Route("GET", "/v2/reference/transact-fee-rate", self._list_fees, needs=read),
        )

    def _place(self, visit: Visit) -> Json:
        return {"status": "ok", "data": str(self._put(visit, visit.entered).number)}

    def _put(self, visit: Visit, entered: dict[str, Json]) -> Order:
        try:
            return visit.customer.desk.place(read_draft(self._data, visit, entered), now=visit.now)
        except InsufficientFunds as error:
            told = f"trade account balance is not enough, left: `{plain(error.left)}`"
            raise HtxRefusal("account-frozen-balance-insufficient-error", told) from None

    def _place_many(self, visit: Visit) -> Json:
        rows: list[dict[str, Json]] = []
        for entered in _read_list(visit, LIST_BODY)[:10]:
            named = {"client-order-id": entered.get("client-order-id")}
            try:
                rows.append({"order-id": self._put(visit, entered).number, **named})
            except HtxRefusal as refusal:
                rows.append({**named, "err-code": refusal.code, "err-msg": refusal.words})
        return {"status": "ok", "data": rows}

    def _cancel_open(self, visit: Visit) -> Json:
        asked = {**visit.query, **visit.entered}
        symbols = str(asked.get("symbol") or "").split(",") if asked.get("symbol") else [None]
        orders = [order for symbol in symbols for order in self._find_open(visit, symbol)]
        for order in orders:
            visit.customer.desk.cancel(order, now=visit.now)
        return {"status": "ok", "data": {"success-count": len(orders), "failed-count": 0, "next-id": -1}}

    def _find_open(self, visit: Visit, symbol: str | None) -> list[Order]:
        name = self._data.find_market(symbol).name if symbol else None
        return visit.customer.desk.list_orders(state=OrderState.OPEN, symbol=name)

    def _list_open(self, visit: Visit) -> Json:
        account, symbol = visit.query.get("account-id"), visit.query.get("symbol")
        if symbol is not None and account is None:
            raise missing_field("account-id")
        side = visit.query.get("side")
        rows = [
            _write_open(order)
            for order in reversed(self._find_open(visit, symbol))
            if account in (None, _account_number(order)) and side in (None, order.draft.side)
        ]
        return {"status": "ok", "data": rows[: _read_size(visit)]}

    def _list_by_state(self, visit: Visit) -> Json:
        for name in ("symbol", "states"):
            if not visit.query.get(name):
                raise missing_field(name)
        states = visit.query["states"].split(",")
        market = self._data.find_market(visit.query["symbol"])
        orders = reversed(visit.customer.desk.list_orders(symbol=market.name))
        rows = [_write_detail(order) for order in orders if _STATES[order.state] in states]
        return {"status": "ok", "data": rows[: _read_size(visit)]}

    def _list_history(self, visit: Visit) -> Json:
        symbol = visit.query.get("symbol")
        name = self._data.find_market(symbol).name if symbol else None
        rows = [_write_detail(order) for order in reversed(visit.customer.desk.list_orders(symbol=name))]
        return {"status": "ok", "data": rows[: _read_size(visit)]}

    def _list_trades(self, visit: Visit) -> Json:
        market = self._data.find_market(visit.query.get("symbol"))
        orders = reversed(visit.customer.desk.list_orders(symbol=market.name))
        return {"status": "ok", "data": [row for order in orders for row in _write_trades(order)][: _read_size(visit)]}

    def _list_order_trades(self, visit: Visit) -> Json:
        return {"status": "ok", "data": _write_trades(_find(visit))}

    def _list_fees(self, visit: Visit) -> Json:
        symbols = visit.query.get("symbols", "").split(",")
        if len(symbols) > 10:
            raise HtxRefusal("", "exceed the limit of symbols", 2014)
        names = ("makerFeeRate", "takerFeeRate", "actualMakerRate", "actualTakerRate")
        rows = [{"symbol": symbol_of(self._data.find_market(symbol)), **dict.fromkeys(names, "0.002")} for symbol in symbols]
        return {"code": 200, "data": rows, "success": True}


def _find(visit: Visit) -> Order:
    order = visit.customer.desk.get(parse_whole(visit.path["id"]) or 0)
    if order is None:
        raise HtxRefusal("base-record-invalid", "record invalid")
    return order


def _show(visit: Visit) -> Json:
    return {"status": "ok", "data": _write_detail(_find(visit))}


def _show_by_client_number(visit: Visit) -> Json:
    order = visit.customer.desk.get_by_client_number(visit.query.get("clientOrderId", ""))
    if order is None:
        raise HtxRefusal("base-record-invalid", "record invalid")
    return {"status": "ok", "data": _write_detail(order)}


def _cancel(visit: Visit) -> Json:
    order = _find(visit)
    if order.state is not OrderState.OPEN:
        raise HtxRefusal("order-orderstate-error", "Incorrect order state", extra={"order-state": _CLOSED[order.state]})
    visit.customer.desk.cancel(order, now=visit.now)
    return {"status": "ok", "data": str(order.number)}


def _cancel_by_client_number(visit: Visit) -> Json:
    number = str(visit.entered.get("client-order-id") or "")
    if not number:
        raise missing_field("client-order-id")
    order = visit.customer.desk.get_by_client_number(number)
    if order is None:
        return {"status": "ok", "data": 0}
    if order.state is not OrderState.OPEN:
        return {"status": "ok", "data": _CLOSED[order.state]}
    visit.customer.desk.cancel(order, now=visit.now)
    return {"status": "ok", "data": 10}


def _cancel_many(visit: Visit) -> Json:
    desk = visit.customer.desk
    numbers = [str(number) for number in _read_list(visit, "order-ids")]
    asked = [(number, desk.get(parse_whole(number) or 0)) for number in numbers]
    asked += [(str(name), desk.get_by_client_number(str(name))) for name in _read_list(visit, "client-order-ids")]
    done: list[str] = []
    failed: list[dict[str, Json]] = []
    for number, order in asked[:50]:
        if order is not None and order.state is OrderState.OPEN:
            desk.cancel(order, now=visit.now)
            done.append(number)
        else:
            state = -1 if order is None else _CLOSED[order.state]
            words = {"err-code": "order-orderstate-error", "err-msg": "Incorrect order state", "order-state": state}
            failed.append({"order-id": number, "client-order-id": "", **words})
    return {"status": "ok", "data": {"success": done, "failed": failed}}


def _read_list(visit: Visit, name: str) -> list[Json]:
    rows = visit.entered.get(name)
    return rows if isinstance(rows, list) else []


def _read_size(visit: Visit) -> int:
    size = parse_whole(visit.query.get("size", "100"))
    if size is None or not 1 <= size <= 1000:
        raise HtxRefusal("validation-format-error", "Field format is wrong: size")
    return size


def _account_number(order: Order) -> str:
    return str(order.draft.funds.number) if isinstance(order.draft.funds, Account) else ""


def _write_order(order: Order) -> dict[str, Json]:
    draft = order.draft
    return {
        "id": order.number,
        "symbol": symbol_of(draft.market),
        "account-id": int(_account_number(order)),
        "client-order-id": draft.client_number,
        "amount": draft.written["amount"],
        "price": plain(draft.price or ZERO),
        "created-at": int(order.placed_at.timestamp() * 1000),
        "type": draft.written["type"],
        "source": draft.written["source"],
        "state": _STATES[order.state],
    }


def _write_open(order: Order) -> dict[str, Json]:
    filled = {"filled-amount": order.filled, "filled-cash-amount": order.value_filled, "filled-fees": order.fees}
    return _write_order(order) | {name: plain(amount) for name, amount in filled.items()}


def _write_detail(order: Order) -> dict[str, Json]:
    """Return an order as the detail calls write it: there the filled amounts are called field-…"""
    changed = int(order.changed_at.timestamp() * 1000)
    filled = {"field-amount": order.filled, "field-cash-amount": order.value_filled, "field-fees": order.fees}
    moments = {
        "finished-at": 0 if order.state is OrderState.OPEN else changed,
        "canceled-at": changed if order.state is OrderState.CANCELED else 0,
    }
    return _write_order(order) | {name: fixed(amount, places=18) for name, amount in filled.items()} | moments


def _write_trades(order: Order) -> list[dict[str, Json]]:
    return [
        {
            "id": trade.number * 10,
            "order-id": order.number,
            "match-id": trade.number * 10 + 1,
            "trade-id": trade.number,
            "symbol": symbol_of(order.draft.market),
            "type": order.draft.written["type"],
            "source": order.draft.written["source"],
            "role": "taker",
            "price": plain(trade.price),
            "filled-amount": plain(trade.quantity),
            "filled-fees": plain(trade.fee),
            "fee-currency": trade.fee_asset.lower(),
            "filled-points": "0.0",
            "fee-deduct-currency": "",
            "created-at": int(trade.made_at.timestamp() * 1000),
        }
        for trade in order.trades
    ]
