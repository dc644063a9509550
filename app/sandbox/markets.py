"""Public market data shared by all simulated exchanges: a handful of assets and markets at fixed, plausible prices."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from app.sandbox.amounts import ZERO, cut

_PRICES_IN_USDT = {
    "BTC": ("Bitcoin", "63048.36"),
    "ETH": ("Ethereum", "3127.84"),
    "LTC": ("Litecoin", "84.37"),
    "SOL": ("Solana", "151.62"),
    "XRP": ("XRP", "0.5873"),
    "ADA": ("Cardano", "0.4216"),
    "DOGE": ("Dogecoin", "0.13284"),
    "TRX": ("TRON", "0.12417"),
    "LINK": ("Chainlink", "14.208"),
    "DOT": ("Polkadot", "6.431"),
    "BCH": ("Bitcoin Cash", "402.15"),
    "PAXG": ("PAX Gold", "2664.9"),
    "USDC": ("USD Coin", "0.9998"),
    "HTX": ("HTX DAO", "0.0000018423"),
}
_IN_BTC = ("ETH", "LTC", "SOL", "XRP")
_IN_USD = ("BTC", "ETH", "LTC", "XRP", "USDT")


@dataclass(frozen=True, slots=True)
class Candle:
    """Prices over one period; `volume` in the traded asset."""

    opened_at: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


@dataclass(frozen=True, slots=True)
class Market:
    """One pair at its fixed last price. `tick` is the price step, `lot` the quantity step."""

    asset: str
    quote: str
    last: Decimal
    tick: Decimal
    lot: Decimal
    volume: Decimal

    @property
    def name(self) -> str:
        return f"{self.asset}/{self.quote}"

    @property
    def bid(self) -> Decimal:
        return self.last - self.tick

    @property
    def ask(self) -> Decimal:
        return self.last + self.tick

    @property
    def open(self) -> Decimal:
        return cut(self.last * Decimal("0.987"), step=self.tick)

    @property
    def high(self) -> Decimal:
        return cut(self.last * Decimal("1.014"), step=self.tick)

    @property
    def low(self) -> Decimal:
        return cut(self.last * Decimal("0.979"), step=self.tick)

    @property
    def tick_places(self) -> int:
        return _count_places(self.tick)

    @property
    def lot_places(self) -> int:
        return _count_places(self.lot)

    def price_for(self, side: str) -> Decimal:
        """Return the price an order of this side meets: the best ask for a buyer, the best bid for a seller."""
        return self.ask if side == "buy" else self.bid

    def is_crossed_by(self, side: str, price: Decimal) -> bool:
        """Whether a limit order would fill at once."""
        return price >= self.ask if side == "buy" else price <= self.bid

    def list_levels(self, side: str, *, depth: int) -> list[tuple[Decimal, Decimal]]:
        """Return (price, quantity) of one side of the order book, best first."""
        step = -self.tick if side == "bid" else self.tick
        best = self.bid if side == "bid" else self.ask
        rows = [(best + step * 3 * place, self.lot * (37 + 211 * place % 977)) for place in range(depth)]
        return [(price, quantity) for price, quantity in rows if price > ZERO]

    def list_candles(self, *, period: timedelta, now: datetime, limit: int) -> list[Candle]:
        """Return the newest candles, newest first; the same moment always gives the same candles."""
        seconds = int(period.total_seconds())
        newest = int(now.timestamp()) // seconds
        return [self._draw_candle(index, seconds) for index in range(newest, max(newest - limit, 0), -1)]

    def list_trades(self, *, now: datetime, limit: int) -> Iterator[tuple[int, datetime, str, Decimal, Decimal]]:
        """Yield (number, moment, side, price, quantity) of the newest public trades, newest first."""
        newest = int(now.timestamp())
        for number in range(newest, newest - limit, -1):
            side = "buy" if _noise(self.name, number) % 2 else "sell"
            quantity = self.lot * (1 + _noise(self.name, number + 1) % 500)
            yield number, datetime.fromtimestamp(number, UTC), side, self.price_for(side), quantity

    def _draw_candle(self, index: int, seconds: int) -> Candle:
        start, end = self._price_at(index), self._price_at(index + 1)
        high = cut(max(start, end) * Decimal("1.002"), step=self.tick)
        low = cut(min(start, end) * Decimal("0.998"), step=self.tick)
        volume = self.lot * (1000 + _noise(self.name, index) % 90000)
        return Candle(datetime.fromtimestamp(index * seconds, UTC), start, high, low, end, volume)

    def _price_at(self, index: int) -> Decimal:
        permille = Decimal(_noise(self.name, index) % 31 - 15) / 1000
        return cut(self.last * (1 + permille), step=self.tick)


@dataclass(frozen=True, slots=True)
class MarketPlace:
    """The assets by code (with their names) and the markets by name (BTC/USDT) one exchange offers."""

    assets: dict[str, str]
    markets: dict[str, Market]

    def get_rate(self, asset: str, *, into: str) -> Decimal | None:
        """Return the price of one asset in another, by a direct market, its inverse, or USDT; None when there is no route."""
        if asset == into:
            return Decimal(1)
        if direct := self.markets.get(f"{asset}/{into}"):
            return direct.last
        if inverse := self.markets.get(f"{into}/{asset}"):
            return cut(1 / inverse.last, step=Decimal("0.000000000001"))
        first, second = self.markets.get(f"{asset}/USDT"), self.markets.get(f"{into}/USDT")
        return cut(first.last / second.last, step=Decimal("0.000000000001")) if first and second else None


def open_market_place(*, quotes: tuple[str, ...]) -> MarketPlace:
    """Return the market place with the markets of these quote assets (USDT, BTC, USD)."""
    markets = [market for market in _list_markets() if market.quote in quotes]
    names = {"USDT": "Tether"} | {code: name for code, (name, _) in _PRICES_IN_USDT.items()}
    names |= {"USD": "US Dollar"} if "USD" in quotes else {}
    return MarketPlace(names, {market.name: market for market in markets})


def _list_markets() -> Iterator[Market]:
    bitcoin = Decimal(_PRICES_IN_USDT["BTC"][1])
    for asset, (_, price) in _PRICES_IN_USDT.items():
        yield _draw_market(asset, "USDT", Decimal(price))
    for asset in _IN_BTC:
        yield _draw_market(asset, "BTC", Decimal(_PRICES_IN_USDT[asset][1]) / bitcoin)
    for asset in _IN_USD:
        yield _draw_market(asset, "USD", Decimal(_PRICES_IN_USDT[asset][1]) if asset != "USDT" else Decimal("0.9997"))


def _draw_market(asset: str, quote: str, price: Decimal) -> Market:
    tick = Decimal(1).scaleb(-2 if price >= 1000 else min(-3, price.adjusted() - 4))
    lot = Decimal(1).scaleb(min(0, -price.adjusted() - 1)) if quote != "BTC" else Decimal("0.001")
    return Market(asset, quote, cut(price, step=tick), tick, lot, lot * (48_000 + _noise(asset + quote, 0) % 900_000))


def _count_places(step: Decimal) -> int:
    exponent = step.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _noise(text: str, number: int) -> int:
    return zlib.crc32(f"{text}:{number}".encode())
