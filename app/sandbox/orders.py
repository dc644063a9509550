"""The order desk of one person: placing reserves funds, cancelling gives them back, a crossing order fills at once."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from itertools import count
from typing import Protocol

from app.sandbox.amounts import ZERO, cut
from app.sandbox.markets import Market

_KEPT = 5000


class Funds(Protocol):
    """The part of an account an order touches."""

    def reserve(self, asset: str, amount: Decimal) -> None: ...
    def release(self, asset: str, amount: Decimal) -> None: ...
    def spend(self, asset: str, amount: Decimal) -> None: ...
    def receive(self, asset: str, amount: Decimal) -> None: ...


class OrderState(StrEnum):
    OPEN = "open"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Draft:
    """An order as it came in. `price` None means at the market; fees are fractions of the value traded."""

    market: Market
    side: str
    quantity: Decimal
    price: Decimal | None
    client_number: str
    funds: Funds
    fee_rate: Decimal
    is_fee_on_top: bool = False
    must_fill_now: bool = False
    must_rest: bool = False
    written: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trade:
    number: int
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_asset: str
    made_at: datetime


@dataclass(slots=True)
class Order:
    number: int
    draft: Draft
    placed_at: datetime
    changed_at: datetime
    state: OrderState = OrderState.OPEN
    reserved: Decimal = ZERO
    reserved_asset: str = ""
    trades: list[Trade] = field(default_factory=list)

    @property
    def filled(self) -> Decimal:
        return sum((trade.quantity for trade in self.trades), ZERO)

    @property
    def value_filled(self) -> Decimal:
        return sum((trade.quantity * trade.price for trade in self.trades), ZERO)

    @property
    def fees(self) -> Decimal:
        return sum((trade.fee for trade in self.trades), ZERO)


class Desk:
    """All orders of one person, newest last; keeps the last 5,000."""

    def __init__(self, *, first_number: int) -> None:
        self._numbers: Iterator[int] = count(first_number)
        self._orders: dict[int, Order] = {}

    def place(self, draft: Draft, *, now: datetime) -> Order:
        """Reserve the funds and fill what crosses the market. Raises InsufficientFunds (nothing is changed then)."""
        order = Order(next(self._numbers), draft, now, now)
        crosses = draft.price is None or draft.market.is_crossed_by(draft.side, draft.price)
        if (draft.must_rest and crosses) or (draft.must_fill_now and not crosses):
            order.state = OrderState.EXPIRED
        else:
            self._reserve(order)
            if crosses:
                self._fill(order, now=now)
        self._orders[order.number] = order
        while len(self._orders) > _KEPT:
            self._orders.pop(next(iter(self._orders)))
        return order

    def cancel(self, order: Order, *, now: datetime) -> None:
        """Close an open order and give back what it had reserved."""
        order.draft.funds.release(order.reserved_asset, order.reserved)
        order.reserved = ZERO
        order.state = OrderState.CANCELED
        order.changed_at = now

    def list_orders(self, *, state: OrderState | None = None, symbol: str | None = None) -> list[Order]:
        """Return the orders, oldest first; `symbol` is the market's neutral name (BTC/USDT)."""
        return [
            order
            for order in self._orders.values()
            if (state is None or order.state is state) and (symbol is None or order.draft.market.name == symbol)
        ]

    def get(self, number: int) -> Order | None:
        return self._orders.get(number)

    def get_by_client_number(self, client_number: str) -> Order | None:
        """Return the newest order with a client's own number."""
        return next((order for order in reversed(self._orders.values()) if order.draft.client_number == client_number), None)

    def _reserve(self, order: Order) -> None:
        draft = order.draft
        price = draft.market.price_for(draft.side) if draft.price is None else draft.price
        if draft.side == "sell":
            asset, amount = draft.market.asset, draft.quantity
        else:
            asset, amount = draft.market.quote, draft.quantity * price
            amount += amount * draft.fee_rate if draft.is_fee_on_top else ZERO
        draft.funds.reserve(asset, amount)
        order.reserved_asset, order.reserved = asset, amount

    def _fill(self, order: Order, *, now: datetime) -> None:
        draft, market = order.draft, order.draft.market
        price = market.price_for(draft.side)
        value = draft.quantity * price
        buys = draft.side == "buy"
        fee_asset = market.quote if draft.is_fee_on_top or not buys else market.asset
        fee = cut((value if fee_asset == market.quote else draft.quantity) * draft.fee_rate, step=Decimal("0.000000000001"))
        cost = draft.quantity if not buys else value + (fee if draft.is_fee_on_top else ZERO)
        draft.funds.spend(order.reserved_asset, cost)
        draft.funds.release(order.reserved_asset, order.reserved - cost)
        gain = value - fee if not buys else draft.quantity - (ZERO if draft.is_fee_on_top else fee)
        draft.funds.receive(market.asset if buys else market.quote, gain)
        order.reserved = ZERO
        order.trades.append(Trade(order.number * 10 + 1, price, draft.quantity, fee, fee_asset, now))
        order.state = OrderState.FILLED
