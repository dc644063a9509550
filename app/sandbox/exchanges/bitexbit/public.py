"""bitexbit's public market data, v2."""

from datetime import timedelta
from decimal import Decimal

from app.sandbox.amounts import cut, fixed, parse_whole, plain
from app.sandbox.calls import Json, Route, Visit
from app.sandbox.exchanges.bitexbit.refusals import bad_field
from app.sandbox.markets import Market, MarketPlace, open_market_place

_TIMEFRAMES = {"5": 5, "15": 15, "30": 30, "60": 60, "240": 240, "D": 1440}
_HUNDRED = Decimal(100)


def symbol_of(market: Market) -> str:
    """Return bitexbit's symbol: both codes joined by an underscore."""
    return f"{market.asset}_{market.quote}"


class PublicData:
    """The calls under /api/v2/public."""

    def __init__(self, place: MarketPlace) -> None:
        self.place = place
        self.by_symbol = {symbol_of(market): market for market in place.markets.values()}

    def find_market(self, symbol: Json) -> Market:
        """Return a market by bitexbit's symbol. Raises BitexbitRefusal 400."""
        if not isinstance(symbol, str) or symbol not in self.by_symbol:
            raise bad_field("symbol", f'"{symbol}" is not a valid choice.')
        return self.by_symbol[symbol]

    def routes(self) -> tuple[Route, ...]:
        calls = {
            "currencies": self._list_currencies,
            "pairs": self._list_pairs,
            "tickers": self._list_tickers,
            "depth": self._show_depth,
            "trades": self._list_trades,
            "orders": self._list_orders,
            "ohlcv": self._list_candles,
        }
        return tuple(Route("GET", f"/api/v2/public/{name}", handler, is_public=True) for name, handler in calls.items())

    def _list_currencies(self, visit: Visit) -> Json:
        return [
            {"code": code, "name": name, "image_url": "", "precision": 2 if code == "USD" else 8, "is_enabled": True}
            for code, name in self.place.assets.items()
        ]

    def _list_pairs(self, visit: Visit) -> Json:
        return [
            {
                "symbol": symbol,
                "label": market.name,
                "base": market.asset,
                "quote": market.quote,
                "price_precision": market.tick_places,
                "amount_precision": 8,
                "min_amount": plain(market.lot),
                "max_amount": plain(market.lot * 10_000_000),
                "min_value": "1.00",
                "can_create_order": True,
                "can_cancel_order": True,
                "is_enabled": True,
            }
            for symbol, market in self.by_symbol.items()
        ]

    def _list_tickers(self, visit: Visit) -> Json:
        wanted = visit.query.get("symbols")
        symbols = wanted.split(",") if wanted else list(self.by_symbol)
        if wanted and len(symbols) > 5:
            raise bad_field("symbols", "Ensure this field has no more than 5 elements.")
        return [_write_ticker(self.find_market(symbol), visit) for symbol in symbols]

    def _show_depth(self, visit: Visit) -> Json:
        market = self.find_market(visit.query.get("symbol"))
        sides = {
            f"{side}s": [
                [float(price), float(size)]
                for price, size in market.list_levels(side, depth=read_limit(visit, default=50, most=50))
            ]
            for side in ("ask", "bid")
        }
        sums = {f"sum_{name}": sum(size for _, size in rows) for name, rows in sides.items()}
        return {"date": visit.now.timestamp(), **sides, **sums}

    def _list_trades(self, visit: Visit) -> Json:
        market = self.find_market(visit.query.get("symbol", next(iter(self.by_symbol))))
        return [
            {
                "id": number,
                "date": int(made_at.timestamp() * 1000),
                "symbol": symbol_of(market),
                "type": side,
                "price": plain(price),
                "amount": fixed(quantity, places=8),
            }
            for number, made_at, side, price, quantity in market.list_trades(
                now=visit.now, limit=read_limit(visit, default=100, most=1000)
            )
        ]

    def _list_orders(self, visit: Visit) -> Json:
        market = self.find_market(visit.query.get("symbol", next(iter(self.by_symbol))))
        return [
            {
                "id": 800_000_000 + place,
                "date": int(visit.now.timestamp() * 1000),
                "symbol": symbol_of(market),
                "type": f"{kind}-limit",
                "price": plain(price),
                "amount": fixed(size, places=8),
                "state": "submitted",
            }
            for kind, side in (("buy", "bid"), ("sell", "ask"))
            for place, (price, size) in enumerate(
                market.list_levels(side, depth=min(read_limit(visit, default=100, most=1000), 50))
            )
        ]

    def _list_candles(self, visit: Visit) -> Json:
        market = self.find_market(visit.query.get("symbol"))
        minutes = _TIMEFRAMES.get(visit.query.get("timeframe", ""))
        if minutes is None:
            raise bad_field("timeframe", "This field is required.")
        candles = market.list_candles(
            period=timedelta(minutes=minutes), now=visit.now, limit=read_limit(visit, default=100, most=1000)
        )
        return [
            [
                int(candle.opened_at.timestamp()),
                *(plain(price) for price in (candle.open, candle.high, candle.low, candle.close)),
                plain(candle.volume),
            ]
            for candle in candles
        ]


def read_limit(visit: Visit, *, default: int, most: int) -> int:
    """Return the limit parameter. Raises BitexbitRefusal 400."""
    limit = parse_whole(visit.query.get("limit", str(default)))
    if limit is None or not 1 <= limit <= most:
        raise bad_field("limit", f"Ensure this value is between 1 and {most}.")
    return limit


def _write_ticker(market: Market, visit: Visit) -> dict[str, Json]:
    change = cut((market.last - market.open) / market.open * _HUNDRED, step=Decimal("0.01"))
    prices = {"last": market.last, "buy": market.bid, "sell": market.ask, "high": market.high, "low": market.low}
    volumes = {"vol1": market.volume, "vol2": cut(market.volume * market.last, step=Decimal("0.00000001"))}
    written = {name: plain(amount) for name, amount in (prices | volumes).items()}
    return {"date": int(visit.now.timestamp() * 1000), "symbol": symbol_of(market), **written, "change": plain(change)}


def open_public_data() -> PublicData:
    return PublicData(open_market_place(quotes=("USD", "USDT", "BTC")))
