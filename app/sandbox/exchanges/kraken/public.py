"""Kraken's public market data in its own shapes, under its old and new names."""

from datetime import timedelta
from email.utils import format_datetime

from app.sandbox.amounts import cut, fixed, parse_whole, plain
from app.sandbox.calls import Json, Route, Visit
from app.sandbox.exchanges.kraken.refusals import KrakenRefusal, invalid_argument
from app.sandbox.markets import Market, MarketPlace, open_market_place

_OLD = {"BTC": "XXBT", "ETH": "XETH", "LTC": "XLTC", "XRP": "XXRP", "DOGE": "XXDG", "USD": "ZUSD"}
_SHORT = {"BTC": "XBT", "DOGE": "XDG"}
_MINUTES = (1, 5, 15, 30, 60, 240, 1440, 10080, 21600)
_FEES = [[0, 0.25], [10000, 0.2]]


def code_of(asset: str) -> str:
    """Return Kraken's own code of an asset (XXBT, ZUSD); newer assets have their ticker."""
    return _OLD.get(asset, asset)


def short_of(asset: str) -> str:
    return _SHORT.get(asset, asset)


def pair_of(market: Market) -> str:
    """Return a pair's key: both old codes where both sides have one, else the short names."""
    if market.asset in _OLD and market.quote in _OLD:
        return code_of(market.asset) + code_of(market.quote)
    return alternative_of(market)


def alternative_of(market: Market) -> str:
    return short_of(market.asset) + short_of(market.quote)


class PublicData:
    """The calls under /0/public."""

    def __init__(self, place: MarketPlace) -> None:
        self.place = place
        self.pairs = {pair_of(market): market for market in place.markets.values()}
        self._by_name = self.pairs | {alternative_of(market): market for market in place.markets.values()}
        self._by_name |= {f"{short_of(market.asset)}/{short_of(market.quote)}": market for market in place.markets.values()}

    def find_market(self, name: Json) -> Market:
        """Return a market by any of its names. Raises KrakenRefusal."""
        if not name:
            raise invalid_argument("pair")
        if str(name) not in self._by_name:
            raise KrakenRefusal("EQuery:Unknown asset pair")
        return self._by_name[str(name)]

    def routes(self) -> tuple[Route, ...]:
        calls = {
            "Time": _show_time,
            "SystemStatus": _show_status,
            "Assets": self._list_assets,
            "AssetPairs": self._list_pairs,
            "Ticker": self._show_tickers,
            "Depth": self._show_book,
            "Trades": self._show_trades,
            "OHLC": self._show_candles,
        }
        return tuple(Route("GET", f"/0/public/{name}", handler, is_public=True) for name, handler in calls.items())

    def _list_assets(self, visit: Visit) -> Json:
        return {
            code_of(asset): {
                "aclass": "currency",
                "altname": short_of(asset),
                "decimals": 10,
                "display_decimals": 5,
                "status": "enabled",
            }
            for asset in self.place.assets
        }

    def _list_asked(self, visit: Visit) -> dict[str, Market]:
        asked = visit.query.get("pair")
        if not asked:
            return self.pairs
        found = [self.find_market(name) for name in asked.split(",")]
        return {pair_of(market): market for market in found}

    def _list_pairs(self, visit: Visit) -> Json:
        return {name: _write_pair(market) for name, market in self._list_asked(visit).items()}

    def _show_tickers(self, visit: Visit) -> Json:
        return {name: _write_ticker(market) for name, market in self._list_asked(visit).items()}

    def _show_book(self, visit: Visit) -> Json:
        market = self.find_market(visit.query.get("pair"))
        depth = min(parse_whole(visit.query.get("count", "100")) or 100, 500)
        second = int(visit.now.timestamp())
        sides = {
            f"{side}s": [[plain(price), plain(quantity), second] for price, quantity in market.list_levels(side, depth=depth)]
            for side in ("ask", "bid")
        }
        return {pair_of(market): sides}

    def _show_trades(self, visit: Visit) -> Json:
        market = self.find_market(visit.query.get("pair"))
        count = min(parse_whole(visit.query.get("count", "1000")) or 1000, 1000)
        rows = [
            [plain(price), plain(quantity), made_at.timestamp(), side[0], "l", "", number]
            for number, made_at, side, price, quantity in market.list_trades(now=visit.now, limit=count)
        ]
        return {pair_of(market): rows[::-1], "last": str(int(visit.now.timestamp()) * 10**9)}

    def _show_candles(self, visit: Visit) -> Json:
        market = self.find_market(visit.query.get("pair"))
        minutes = parse_whole(visit.query.get("interval", "1"))
        if minutes not in _MINUTES:
            raise invalid_argument("interval")
        candles = market.list_candles(period=timedelta(minutes=minutes), now=visit.now, limit=720)
        rows = [
            [
                int(candle.opened_at.timestamp()),
                *(plain(price) for price in (candle.open, candle.high, candle.low, candle.close)),
                plain(cut((candle.high + candle.low) / 2, step=market.tick)),
                plain(candle.volume),
                100,
            ]
            for candle in reversed(candles)
        ]
        return {pair_of(market): rows, "last": rows[-1][0]}


def _show_time(visit: Visit) -> Json:
    return {"unixtime": int(visit.now.timestamp()), "rfc1123": format_datetime(visit.now)}


def _show_status(visit: Visit) -> Json:
    return {"status": "online", "timestamp": visit.now.strftime("%Y-%m-%dT%H:%M:%SZ")}


def _write_pair(market: Market) -> Json:
    return {
        "altname": alternative_of(market),
        "wsname": f"{short_of(market.asset)}/{short_of(market.quote)}",
        "aclass_base": "currency",
        "base": code_of(market.asset),
        "aclass_quote": "currency",
        "quote": code_of(market.quote),
        "lot": "unit",
        "cost_decimals": 8,
        "pair_decimals": market.tick_places,
        "lot_decimals": market.lot_places,
        "lot_multiplier": 1,
        "leverage_buy": [],
        "leverage_sell": [],
        "fees": _FEES,
        "fees_maker": _FEES,
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": plain(market.lot),
        "costmin": "0.5" if market.quote != "BTC" else "0.00002",
        "tick_size": plain(market.tick),
        "status": "online",
    }


def _write_ticker(market: Market) -> Json:
    average = plain(cut((market.high + market.low) / 2, step=market.tick))
    volume = fixed(market.volume, places=8)
    return {
        "a": [plain(market.ask), "1", "1.000"],
        "b": [plain(market.bid), "1", "1.000"],
        "c": [plain(market.last), plain(market.lot)],
        "v": [volume, volume],
        "p": [average, average],
        "t": [1000, 1000],
        "l": [plain(market.low), plain(market.low)],
        "h": [plain(market.high), plain(market.high)],
        "o": plain(market.open),
    }


def open_public_data() -> PublicData:
    return PublicData(open_market_place(quotes=("USDT", "BTC", "USD")))
