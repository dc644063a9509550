"""Binance's public market data in its own shapes."""

from datetime import datetime, timedelta

from app.sandbox.amounts import cut, fixed, parse_whole, plain
from app.sandbox.calls import Json, Route, Visit
from app.sandbox.exchanges.binance.refusals import BinanceRefusal, invalid_symbol, missing_parameter
from app.sandbox.markets import Market, MarketPlace, open_market_place

_PERIODS = {
    "1m": timedelta(minutes=1),
    "5m": timedelta(minutes=5),
    "15m": timedelta(minutes=15),
    "30m": timedelta(minutes=30),
    "1h": timedelta(hours=1),
    "4h": timedelta(hours=4),
    "1d": timedelta(days=1),
    "1w": timedelta(days=7),
}
LEAST_VALUE = 5  # in the quote asset


def to_ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def symbol_of(market: Market) -> str:
    return f"{market.asset}{market.quote}"


def read_limit(visit: Visit, *, default: int, most: int) -> int:
    """Return the limit parameter. Raises BinanceRefusal."""
    count = parse_whole(visit.query.get("limit", str(default)))
    if count is None or not 1 <= count <= most:
        raise BinanceRefusal(-1130, "Data sent for parameter 'limit' is not valid.")
    return count


class PublicData:
    """The public calls under /api/v3, and empty lists of contracts for clients that ask for those too."""

    def __init__(self, place: MarketPlace) -> None:
        self.place = place
        self.by_symbol = {symbol_of(market): market for market in place.markets.values()}

    def find_market(self, symbol: str | None) -> Market:
        """Return a market by its symbol. Raises BinanceRefusal -1102 or -1121."""
        if not symbol:
            raise missing_parameter("symbol")
        if symbol not in self.by_symbol:
            raise invalid_symbol()
        return self.by_symbol[symbol]

    def routes(self) -> tuple[Route, ...]:
        calls = {
            "/api/v3/ping": lambda visit: {},
            "/api/v3/time": lambda visit: {"serverTime": to_ms(visit.now)},
            "/api/v3/exchangeInfo": self._show_exchange,
            "/api/v3/ticker/24hr": self._show_day,
            "/api/v3/ticker/price": self._show_prices,
            "/api/v3/ticker/bookTicker": self._show_best,
            "/api/v3/depth": self._show_book,
            "/api/v3/aggTrades": self._show_aggregated,
            "/api/v3/trades": self._show_trades,
            "/api/v3/klines": self._show_candles,
            "/sapi/v1/system/status": lambda visit: {"status": 0, "msg": "normal"},
            "/fapi/v1/exchangeInfo": _show_no_contracts,
            "/dapi/v1/exchangeInfo": _show_no_contracts,
        }
        return tuple(Route("GET", path, handler, is_public=True) for path, handler in calls.items())

    def _list_asked(self, visit: Visit) -> list[Market]:
        symbol = visit.query.get("symbol")
        return [self.find_market(symbol)] if symbol else list(self.by_symbol.values())

    def _write_one_or_all(self, visit: Visit, rows: list[Json]) -> Json:
        return rows[0] if visit.query.get("symbol") else rows

    def _show_exchange(self, visit: Visit) -> Json:
        limit = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000}
        return {
            "timezone": "UTC",
            "serverTime": to_ms(visit.now),
            "rateLimits": [limit],
            "exchangeFilters": [],
            "symbols": [_write_symbol(market) for market in self._list_asked(visit)],
        }

    def _show_day(self, visit: Visit) -> Json:
        return self._write_one_or_all(visit, [_write_day(market, visit.now) for market in self._list_asked(visit)])

    def _show_prices(self, visit: Visit) -> Json:
        rows = [{"symbol": symbol_of(market), "price": fixed(market.last, places=8)} for market in self._list_asked(visit)]
        return self._write_one_or_all(visit, rows)

    def _show_best(self, visit: Visit) -> Json:
        rows = [{"symbol": symbol_of(market), **_write_best(market)} for market in self._list_asked(visit)]
        return self._write_one_or_all(visit, rows)

    def _show_book(self, visit: Visit) -> Json:
        market = self.find_market(visit.query.get("symbol"))
        depth = min(read_limit(visit, default=100, most=5000), 500)
        sides = {
            f"{side}s": [
                [fixed(price, places=8), fixed(quantity, places=8)] for price, quantity in market.list_levels(side, depth=depth)
            ]
            for side in ("bid", "ask")
        }
        return {"lastUpdateId": to_ms(visit.now), **sides}

    def _show_aggregated(self, visit: Visit) -> Json:
        market = self.find_market(visit.query.get("symbol"))
        trades = market.list_trades(now=visit.now, limit=read_limit(visit, default=500, most=1000))
        rows = [
            {
                "a": number,
                "p": fixed(price, places=8),
                "q": fixed(quantity, places=8),
                "f": number,
                "l": number,
                "T": to_ms(made_at),
                "m": side == "sell",
                "M": True,
            }
            for number, made_at, side, price, quantity in trades
        ]
        return rows[::-1]

    def _show_trades(self, visit: Visit) -> Json:
        market = self.find_market(visit.query.get("symbol"))
        trades = market.list_trades(now=visit.now, limit=read_limit(visit, default=500, most=1000))
        rows = [
            {
                "id": number,
                "price": fixed(price, places=8),
                "qty": fixed(quantity, places=8),
                "quoteQty": fixed(price * quantity, places=8),
                "time": to_ms(made_at),
                "isBuyerMaker": side == "sell",
                "isBestMatch": True,
            }
            for number, made_at, side, price, quantity in trades
        ]
        return rows[::-1]

    def _show_candles(self, visit: Visit) -> Json:
        market = self.find_market(visit.query.get("symbol"))
        period = _PERIODS.get(visit.query.get("interval", ""))
        if period is None:
            raise BinanceRefusal(-1120, "Invalid interval.")
        candles = market.list_candles(period=period, now=visit.now, limit=read_limit(visit, default=500, most=1000))
        return [
            [
                to_ms(candle.opened_at),
                *(fixed(price, places=8) for price in (candle.open, candle.high, candle.low, candle.close)),
                fixed(candle.volume, places=8),
                to_ms(candle.opened_at + period) - 1,
                fixed(candle.volume * candle.close, places=8),
                100,
                "0",
                "0",
                "0",
            ]
            for candle in reversed(candles)
        ]


def _show_no_contracts(visit: Visit) -> Json:
    return {"timezone": "UTC", "serverTime": to_ms(visit.now), "rateLimits": [], "exchangeFilters": [], "symbols": []}


def _write_best(market: Market) -> dict[str, Json]:
    return {
        "bidPrice": fixed(market.bid, places=8),
        "bidQty": fixed(market.lot * 37, places=8),
        "askPrice": fixed(market.ask, places=8),
        "askQty": fixed(market.lot * 37, places=8),
    }


def _write_day(market: Market, now: datetime) -> Json:
    change = market.last - market.open
    prices = {
        "priceChange": change,
        "prevClosePrice": market.open,
        "lastPrice": market.last,
        "openPrice": market.open,
        "highPrice": market.high,
        "lowPrice": market.low,
        "weightedAvgPrice": cut((market.high + market.low) / 2, step=market.tick),
        "volume": market.volume,
        "quoteVolume": market.volume * market.last,
    }
    return {
        "symbol": symbol_of(market),
        **{name: fixed(price, places=8) for name, price in prices.items()},
        "priceChangePercent": fixed(change / market.open * 100, places=3),
        **_write_best(market),
        "openTime": to_ms(now - timedelta(days=1)),
        "closeTime": to_ms(now),
        "count": 1000,
    }


def _write_symbol(market: Market) -> Json:
    step, tick = plain(market.lot), plain(market.tick)
    filters = [
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.00000000", "tickSize": tick},
        {"filterType": "LOT_SIZE", "minQty": step, "maxQty": "9000000.00000000", "stepSize": step},
        {"filterType": "NOTIONAL", "minNotional": str(LEAST_VALUE) if market.quote == "USDT" else "0.0001"},
    ]
    return {
        "symbol": symbol_of(market),
        "status": "TRADING",
        "baseAsset": market.asset,
        "baseAssetPrecision": 8,
        "quoteAsset": market.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": filters,
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": ["NONE"],
    }


def open_public_data() -> PublicData:
    return PublicData(open_market_place(quotes=("USDT", "BTC")))
