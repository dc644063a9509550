"""HTX's market data under /market: tickers, depth, trades and candles, as JSON numbers."""

from datetime import timedelta

from app.sandbox.amounts import parse_whole
from app.sandbox.calls import Json, Route, Visit
from app.sandbox.exchanges.htx.public import ReferenceData, milliseconds, symbol_of
from app.sandbox.exchanges.htx.refusals import HtxRefusal
from app.sandbox.markets import Market

_PERIODS = {
    "1min": timedelta(minutes=1),
    "5min": timedelta(minutes=5),
    "15min": timedelta(minutes=15),
    "30min": timedelta(minutes=30),
    "60min": timedelta(hours=1),
    "4hour": timedelta(hours=4),
    "1day": timedelta(days=1),
    "1week": timedelta(weeks=1),
    "1mon": timedelta(days=30),
    "1year": timedelta(days=365),
}


class Quotes:
    """The calls under /market."""

    def __init__(self, data: ReferenceData) -> None:
        self._data = data

    def routes(self) -> tuple[Route, ...]:
        calls = {
            "/market/tickers": self._list_tickers,
            "/market/detail/merged": self._show_merged,
            "/market/detail": self._show_detail,
            "/market/depth": self._show_depth,
            "/market/trade": self._show_trade,
            "/market/history/trade": self._list_trades,
            "/market/history/kline": self._list_candles,
            "/market/history/candles": self._list_candles,
        }
        return tuple(Route("GET", path, handler, is_public=True) for path, handler in calls.items())

    def _market(self, visit: Visit) -> Market:
        return self._data.find_market(visit.query.get("symbol"))

    def _list_tickers(self, visit: Visit) -> Json:
        rows = []
        for market in self._data.by_symbol.values():
            size = float(market.lot * 37)
            sides = {"bid": float(market.bid), "bidSize": size, "ask": float(market.ask), "askSize": size}
            rows.append({"symbol": symbol_of(market), **_write_day(market), **sides})
        return {"status": "ok", "ts": milliseconds(visit), "data": rows}

    def _show_merged(self, visit: Visit) -> Json:
        market = self._market(visit)
        size = float(market.lot * 37)
        sides = {"bid": [float(market.bid), size], "ask": [float(market.ask), size]}
        tick = {"id": 271_000_000_000, "version": 271_000_000_000, **_write_day(market), **sides}
        return _write_tick(visit, "detail.merged", tick)

    def _show_detail(self, visit: Visit) -> Json:
        return _write_tick(
            visit, "detail", {"id": 271_000_000_000, "version": 271_000_000_000, **_write_day(self._market(visit))}
        )

    def _show_depth(self, visit: Visit) -> Json:
        market = self._market(visit)
        kind, depth = visit.query.get("type", ""), visit.query.get("depth", "20")
        if kind not in {f"step{number}" for number in range(6)} or depth not in ("5", "10", "20"):
            raise HtxRefusal("invalid-parameter", "invalid type" if not kind else "invalid depth")
        rows = 150 if kind == "step0" and "depth" not in visit.query else int(depth)
        sides = {
            f"{side}s": [[float(price), float(size)] for price, size in market.list_levels(side, depth=rows)]
            for side in ("bid", "ask")
        }
        return _write_tick(visit, f"depth.{kind}", {"ts": milliseconds(visit), "version": 271_000_000_000, **sides})

    def _show_trade(self, visit: Visit) -> Json:
        rows = _write_trades(self._market(visit), visit, limit=1)
        return _write_tick(visit, "trade.detail", {"id": rows[0]["id"], "ts": rows[0]["ts"], "data": rows})

    def _list_trades(self, visit: Visit) -> Json:
        rows = _write_trades(self._market(visit), visit, limit=_read_size(visit, default=1))
        wrapped = [{"id": row["id"], "ts": row["ts"], "data": [row]} for row in rows]
        channel = f"market.{visit.query['symbol']}.trade.detail"
        return {"status": "ok", "ch": channel, "ts": milliseconds(visit), "data": wrapped}

    def _list_candles(self, visit: Visit) -> Json:
        market = self._market(visit)
        period = _PERIODS.get(visit.query.get("period", ""))
        if period is None:
            raise HtxRefusal("invalid-parameter", "invalid period")
        rows = [
            {
                "id": int(candle.opened_at.timestamp()),
                "open": float(candle.open),
                "close": float(candle.close),
                "low": float(candle.low),
                "high": float(candle.high),
                "amount": float(candle.volume),
                "vol": float(candle.volume * candle.close),
                "count": 412,
            }
            for candle in market.list_candles(period=period, now=visit.now, limit=_read_size(visit, default=150))
        ]
        channel = f"market.{symbol_of(market)}.kline.{visit.query['period']}"
        return {"status": "ok", "ch": channel, "ts": milliseconds(visit), "data": rows}


def _read_size(visit: Visit, *, default: int) -> int:
    size = parse_whole(visit.query.get("size", str(default)))
    if size is None or not 1 <= size <= 2000:
        raise HtxRefusal("invalid-parameter", "invalid size, valid range: [1,2000]")
    return size


def _write_tick(visit: Visit, channel: str, tick: Json) -> Json:
    return {"status": "ok", "ch": f"market.{visit.query['symbol']}.{channel}", "ts": milliseconds(visit), "tick": tick}


def _write_day(market: Market) -> dict[str, Json]:
    prices = {"open": market.open, "close": market.last, "low": market.low, "high": market.high}
    turnover = {"amount": market.volume, "vol": market.volume * market.last}
    return {name: float(value) for name, value in (prices | turnover).items()} | {"count": 48_211}


def _write_trades(market: Market, visit: Visit, *, limit: int) -> list[dict[str, Json]]:
    return [
        {
            "id": number * 10**12 + 7,
            "trade-id": number,
            "ts": int(made_at.timestamp() * 1000),
            "amount": float(quantity),
            "price": float(price),
            "direction": side,
        }
        for number, made_at, side, price, quantity in market.list_trades(now=visit.now, limit=limit)
    ]
