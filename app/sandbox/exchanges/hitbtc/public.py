"""HitBTC's public market data in its own shapes."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from app.sandbox.amounts import cut, parse_whole, plain
from app.sandbox.calls import Json, Route, Visit
from app.sandbox.exchanges.hitbtc.refusals import HitbtcRefusal
from app.sandbox.markets import Candle, Market, MarketPlace, open_market_place

_PERIODS = {
    "M1": timedelta(minutes=1),
    "M3": timedelta(minutes=3),
    "M5": timedelta(minutes=5),
    "M15": timedelta(minutes=15),
    "M30": timedelta(minutes=30),
    "H1": timedelta(hours=1),
    "H4": timedelta(hours=4),
    "D1": timedelta(days=1),
    "D7": timedelta(days=7),
    "1M": timedelta(days=30),
}
_ANY_SYMBOL = "Try get /public/symbol, to get list of all available symbols."


def stamp(moment: datetime) -> str:
    """Return a moment as HitBTC writes it: ISO 8601, milliseconds, Z."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def read_limit(visit: Visit, *, default: int, most: int = 1000, name: str = "limit") -> int:
    """Return a count parameter. Raises HitbtcRefusal 10001 or 20003."""
    text = visit.query.get(name, str(default))
    count = parse_whole(text)
    if count is None:
        raise HitbtcRefusal(10001, f"{name} must be a number")
    if count > most:
        raise HitbtcRefusal(20003, f"{name} must be at most {most}")
    return count


class PublicData:
    """The calls under /api/3/public."""

    def __init__(self, place: MarketPlace) -> None:
        self.place = place
        self.by_symbol = {f"{market.asset}{market.quote}": market for market in place.markets.values()}

    def find_market(self, symbol: str) -> Market:
        """Return a market by HitBTC's symbol. Raises HitbtcRefusal 2001."""
        if symbol not in self.by_symbol:
            raise HitbtcRefusal(2001, _ANY_SYMBOL, f"No such symbol: {symbol}")
        return self.by_symbol[symbol]

    def routes(self) -> tuple[Route, ...]:
        listed = {
            "currency": ("currencies", self._list_currencies, self._show_currency),
            "symbol": ("symbols", self._list_symbols, self._show_symbol),
            "ticker": ("symbols", self._list_symbols, self._show_ticker),
            "price/ticker": ("symbols", self._list_symbols, self._show_price),
            "orderbook": ("symbols", self._list_symbols, self._show_book),
            "trades": ("symbols", self._list_symbols, self._show_trades),
            "candles": ("symbols", self._list_symbols, self._show_candles),
        }
        routes: list[Route] = [
            Route("GET", "/api/3/public/price/rate", self._show_rates, is_public=True),
            Route("GET", "/api/3/public/futures/info", lambda visit: {}, is_public=True),
        ]
        for path, (many, names, show) in listed.items():
            routes.append(Route("GET", f"/api/3/public/{path}", _show_many(show, names, many), is_public=True))
            routes.append(Route("GET", f"/api/3/public/{path}/{{name}}", _show_one(show), is_public=True))
        return tuple(routes)

    def _list_currencies(self) -> Iterable[str]:
        return self.place.assets

    def _list_symbols(self) -> Iterable[str]:
        return self.by_symbol

    def _show_currency(self, code: str, visit: Visit) -> Json:
        if code not in self.place.assets:
            raise HitbtcRefusal(2002)
        switches = {f"{what}_enabled": True for what in ("payin", "payout")}
        network = {
            "code": code,
            "network_name": self.place.assets[code],
            "network": code.lower(),
            "protocol": "",
            "default": True,
            **switches,
            "precision_payout": "0.00000001",
            "payout_fee": "0.0005",
            "payout_is_payment_id": False,
            "payin_payment_id": False,
            "payin_confirmations": 2,
            "is_multichain": False,
        }
        return {
            "full_name": self.place.assets[code],
            "crypto": True,
            **switches,
            "transfer_enabled": True,
            "sign": code[0],
            "precision_transfer": "0.00000001",
            "delisted": False,
            "networks": [network],
        }

    def _show_symbol(self, symbol: str, visit: Visit) -> Json:
        market = self.find_market(symbol)
        return {
            "type": "spot",
            "base_currency": market.asset,
            "quote_currency": market.quote,
            "status": "working",
            "quantity_increment": plain(market.lot),
            "tick_size": plain(market.tick),
            "take_rate": "0.0025",
            "make_rate": "0.001",
            "fee_currency": market.quote,
            "margin_trading": False,
            "max_initial_leverage": "1.00",
        }

    def _show_ticker(self, symbol: str, visit: Visit) -> Json:
        market = self.find_market(symbol)
        prices = {name: plain(getattr(market, name)) for name in ("ask", "bid", "last", "low", "high", "open")}
        quoted = cut(market.volume * market.last, step=Decimal("0.00000001"))
        return prices | {"volume": plain(market.volume), "volume_quote": plain(quoted), "timestamp": stamp(visit.now)}

    def _show_price(self, symbol: str, visit: Visit) -> Json:
        return {"price": plain(self.find_market(symbol).last), "timestamp": stamp(visit.now)}

    def _show_book(self, symbol: str, visit: Visit) -> Json:
        market = self.find_market(symbol)
        depth = read_limit(visit, default=100, name="depth") or 1000
        sides = {
            side: [[plain(price), plain(quantity)] for price, quantity in market.list_levels(side, depth=depth)]
            for side in ("ask", "bid")
        }
        return {"timestamp": stamp(visit.now), **sides}

    def _show_trades(self, symbol: str, visit: Visit) -> Json:
        trades = self.find_market(symbol).list_trades(now=visit.now, limit=read_limit(visit, default=10))
        return [
            {"id": number, "price": plain(price), "qty": plain(quantity), "side": side, "timestamp": stamp(made_at)}
            for number, made_at, side, price, quantity in trades
        ]

    def _show_candles(self, symbol: str, visit: Visit) -> Json:
        market = self.find_market(symbol)
        period = _PERIODS.get(visit.query.get("period", "M30"))
        if period is None:
            raise HitbtcRefusal(10001, "period is not supported")
        candles = market.list_candles(period=period, now=visit.now, limit=read_limit(visit, default=100))
        if visit.query.get("sort", "DESC").upper() == "ASC":
            candles.reverse()
        return [_write_candle(candle) for candle in candles]

    def _show_rates(self, visit: Visit) -> Json:
        into = visit.query.get("to")
        if not into:
            raise HitbtcRefusal(10001, "to is required")
        wanted = visit.query.get("from", "").split(",") if visit.query.get("from") else list(self.place.assets)
        rates = {code: self.place.get_rate(code, into=into) for code in wanted}
        return {
            code: {"currency": into, "price": plain(rate), "timestamp": stamp(visit.now)}
            for code, rate in rates.items()
            if rate is not None
        }


def _write_candle(candle: Candle) -> Json:
    return {
        "timestamp": stamp(candle.opened_at),
        "open": plain(candle.open),
        "close": plain(candle.close),
        "min": plain(candle.low),
        "max": plain(candle.high),
        "volume": plain(candle.volume),
        "volume_quote": plain(candle.volume * candle.close),
    }


def _show_one(show: Callable[[str, Visit], Json]) -> Callable[[Visit], Json]:
    return lambda visit: show(visit.path["name"], visit)


def _show_many(show: Callable[[str, Visit], Json], names: Callable[[], Iterable[str]], many: str) -> Callable[[Visit], Json]:
    def answer(visit: Visit) -> Json:
        wanted = visit.query.get(many)
        return {name: show(name, visit) for name in (wanted.split(",") if wanted else names())}

    return answer


def open_public_data() -> PublicData:
    return PublicData(open_market_place(quotes=("USDT", "BTC")))
