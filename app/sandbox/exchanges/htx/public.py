"""HTX's public reference data, and the contract lists that client libraries load with the markets."""

from typing import Any

from app.sandbox.calls import Json, Route, Visit
from app.sandbox.exchanges.htx.refusals import HtxRefusal
from app.sandbox.markets import Market, MarketPlace, open_market_place

PERPETUALS = ("BTC", "ETH")


def milliseconds(visit: Visit) -> int:
    return int(visit.now.timestamp() * 1000)


def symbol_of(market: Market) -> str:
    """Return HTX's symbol: both codes in lower case, joined."""
    return f"{market.asset}{market.quote}".lower()


class ReferenceData:
    """Timestamp, market status, symbols, currencies."""

    def __init__(self, place: MarketPlace) -> None:
        self.place = place
        self.by_symbol = {symbol_of(market): market for market in place.markets.values()}

    def find_market(self, symbol: str | None) -> Market:
        """Return a market by HTX's symbol. Raises HtxRefusal invalid-parameter."""
        if symbol is None or symbol not in self.by_symbol:
            raise HtxRefusal("invalid-parameter", "invalid symbol")
        return self.by_symbol[symbol]

    def routes(self) -> tuple[Route, ...]:
        calls = {
            "/v1/common/timestamp": lambda visit: _ok(milliseconds(visit)),
            "/v2/market-status": lambda visit: {"code": 200, "message": "success", "data": {"marketStatus": 1}},
            "/v1/common/symbols": self._list_symbols,
            "/v1/settings/common/symbols": self._list_settings,
            "/v2/settings/common/symbols": self._list_settings,
            "/v1/settings/common/market-symbols": self._list_market_symbols,
            "/v1/common/currencys": lambda visit: _ok([code.lower() for code in self.place.assets]),
            "/v1/settings/common/currencys": self._list_currency_settings,
            "/v2/settings/common/currencies": self._list_currency_settings,
            "/v2/reference/currencies": self._list_chains,
            "/linear-swap-api/v1/swap_contract_info": self._list_linear_contracts,
            "/swap-api/v1/swap_contract_info": self._list_inverse_contracts,
            "/api/v1/contract_contract_info": self._list_dated_contracts,
        }
        return tuple(Route("GET", path, handler, is_public=True) for path, handler in calls.items())

    def _list_symbols(self, visit: Visit) -> Json:
        return _ok([_write_symbol(market) for market in self.place.markets.values()])

    def _list_settings(self, visit: Visit) -> Json:
        rows = [
            {
                "sc": symbol_of(market),
                "dn": market.name,
                "bc": market.asset.lower(),
                "bcdn": market.asset,
                "qc": market.quote.lower(),
                "qcdn": market.quote,
                "state": "online",
                "te": True,
                "tpp": market.tick_places,
                "tap": market.lot_places,
                "ttp": 8,
                "at": "enabled",
                "sp": "main",
            }
            for market in self.place.markets.values()
        ]
        return _ok(rows) | {"ts": str(milliseconds(visit)), "full": 1}

    def _list_market_symbols(self, visit: Visit) -> Json:
        rows = [
            {
                "symbol": symbol_of(market),
                "state": "online",
                "bc": market.asset.lower(),
                "qc": market.quote.lower(),
                "pp": market.tick_places,
                "ap": market.lot_places,
                "vp": 8,
                "minoa": float(market.lot),
                "maxoa": float(market.lot * 10_000_000),
                "minov": 5 if market.quote == "USDT" else 0.0001,
                "at": "enabled",
            }
            for market in self.place.markets.values()
        ]
        return _ok(rows) | {"ts": str(milliseconds(visit)), "full": 1}

    def _list_currency_settings(self, visit: Visit) -> Json:
        rows = [
            {"name": code.lower(), "dn": code, "state": "online", "de": True, "we": True, "wp": 8, "ct": "coin", "fc": "1"}
            for code in self.place.assets
        ]
        return _ok(rows) | {"ts": str(milliseconds(visit)), "full": 1}

    def _list_chains(self, visit: Visit) -> Json:
        wanted = visit.query.get("currency")
        rows = [_write_chains(code) for code in self.place.assets if wanted in (None, code.lower())]
        if not rows:
            raise HtxRefusal("", 'invalid field value in "currency"', 2002)
        return {"code": 200, "data": rows}

    def _list_linear_contracts(self, visit: Visit) -> Json:
        details = {"contract_size": 0.001, "business_type": "swap", "contract_type": "swap", "support_margin_mode": "all"}
        rows = [
            {"symbol": code, "contract_code": f"{code}-USDT", "pair": f"{code}-USDT", "trade_partition": "USDT", **details}
            for code in PERPETUALS
        ]
        return _list_contracts(rows, visit)

    def _list_inverse_contracts(self, visit: Visit) -> Json:
        return _list_contracts(
            [{"symbol": code, "contract_code": f"{code}-USD", "contract_size": 100} for code in PERPETUALS], visit
        )

    def _list_dated_contracts(self, visit: Visit) -> Json:
        details = {"contract_type": "quarter", "contract_size": 100, "delivery_date": "20301227"}
        rows = [
            {"symbol": code, "contract_code": f"{code}301227", "delivery_time": "1924588800000", **details} for code in PERPETUALS
        ]
        return _list_contracts(rows, visit)


def _ok(data: Json) -> dict[str, Json]:
    return {"status": "ok", "data": data}


def _list_contracts(rows: list[dict[str, Any]], visit: Visit) -> Json:
    filled = [{"price_tick": 0.1, "contract_status": 1, "create_date": "20201021", **row} for row in rows]
    return _ok(filled) | {"ts": milliseconds(visit)}


def _write_symbol(market: Market) -> dict[str, Json]:
    least, most = float(market.lot), float(market.lot * 10_000_000)
    return {
        "symbol": symbol_of(market),
        "base-currency": market.asset.lower(),
        "quote-currency": market.quote.lower(),
        "price-precision": market.tick_places,
        "amount-precision": market.lot_places,
        "value-precision": 8,
        "symbol-partition": "main",
        "state": "online",
        "api-trading": "enabled",
        "min-order-amt": least,
        "max-order-amt": most,
        "min-order-value": 5 if market.quote == "USDT" else 0.0001,
        "limit-order-min-order-amt": least,
        "limit-order-max-order-amt": most,
        "sell-market-min-order-amt": least,
        "sell-market-max-order-amt": most,
        "buy-market-max-order-value": 1_000_000,
    }


def _write_chains(code: str) -> dict[str, Json]:
    chain = {
        "chain": "trc20usdt" if code == "USDT" else code.lower(),
        "displayName": "TRC20" if code == "USDT" else code,
        "baseChain": "TRX" if code == "USDT" else code,
        "numOfConfirmations": 1,
        "numOfFastConfirmations": 1,
        "depositStatus": "allowed",
        "minDepositAmt": "0.01",
        "withdrawStatus": "allowed",
        "minWithdrawAmt": "1",
        "maxWithdrawAmt": "1000000.000000000000000000",
        "withdrawPrecision": "8",
        "withdrawFeeType": "fixed",
        "transactFeeWithdraw": "1",
    }
    return {"currency": code.lower(), "assetType": 1, "instStatus": "normal", "chains": [chain]}


def open_reference_data() -> ReferenceData:
    return ReferenceData(open_market_place(quotes=("USDT", "BTC")))
