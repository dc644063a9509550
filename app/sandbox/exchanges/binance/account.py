"""Binance's account calls: what the key may do, balances, coins; everything that moves money is refused."""

from datetime import timedelta

from app.exchanges.types import Permission
from app.sandbox.accounts import Holding
from app.sandbox.amounts import fixed
from app.sandbox.calls import Json, Route, Visit
from app.sandbox.exchanges.binance.public import PublicData, to_ms
from app.sandbox.exchanges.binance.refusals import BinanceRefusal

_NEVER = "The sandbox never moves money."
_MONEY_MOVES = (
    ("/sapi/v1/capital/withdraw/apply", Permission.WITHDRAW),
    ("/sapi/v1/localentity/withdraw/apply", Permission.WITHDRAW),
    ("/sapi/v1/asset/transfer", Permission.TRANSFER),
    ("/sapi/v1/sub-account/universalTransfer", Permission.TRANSFER),
    ("/sapi/v1/asset/dust", Permission.TRADE),
)


class AccountCalls:
    """The signed calls that are not about orders."""

    def __init__(self, data: PublicData) -> None:
        self._data = data

    def routes(self) -> tuple[Route, ...]:
        read = Permission.READ
        return (
            Route("GET", "/sapi/v1/account/apiRestrictions", _show_rights),
            Route("GET", "/sapi/v1/account/status", lambda visit: {"data": "Normal"}, needs=read),
            Route("GET", "/api/v3/account", self._show_account, needs=read),
            Route("GET", "/sapi/v1/capital/config/getall", self._list_coins, needs=read),
            Route("GET", "/sapi/v1/margin/allPairs", lambda visit: [], needs=read),
            Route("GET", "/sapi/v1/margin/isolated/allPairs", lambda visit: [], needs=read),
            Route("GET", "/sapi/v1/margin/allAssets", lambda visit: [], needs=read),
            Route("POST", "/sapi/v1/asset/get-funding-asset", lambda visit: [], needs=read),
            *(Route("POST", path, _refuse_moving, needs=right, alarm="always") for path, right in _MONEY_MOVES),
        )

    def _show_account(self, visit: Visit) -> Json:
        holdings = dict(visit.customer.find_account("spot").holdings)
        if visit.query.get("omitZeroBalances", "").lower() != "true":
            holdings = {asset: holdings.pop(asset, Holding()) for asset in self._data.place.assets} | holdings
        else:
            holdings = {asset: held for asset, held in holdings.items() if held.available or held.held}
        return {
            "makerCommission": 10,
            "takerCommission": 10,
            "canTrade": True,
            "canWithdraw": True,
            "canDeposit": True,
            "brokered": False,
            "updateTime": to_ms(visit.now),
            "accountType": "SPOT",
            "balances": [_write_holding(asset, holding) for asset, holding in holdings.items()],
            "permissions": ["SPOT"],
            "uid": visit.customer.number,
        }

    def _list_coins(self, visit: Visit) -> Json:
        holdings = visit.customer.find_account("spot").holdings
        return [_write_coin(code, name, holdings.get(code, Holding())) for code, name in self._data.place.assets.items()]


def _show_rights(visit: Visit) -> Json:
    key = visit.key
    if key is None:
        raise LookupError("a signed call has a key")
    held = key.in_force
    rights: dict[str, Json] = {
        "ipRestrict": bool(key.allowed_ips),
        "createTime": to_ms(visit.now - timedelta(days=30)),
        "enableReading": Permission.READ in held,
        "enableWithdrawals": Permission.WITHDRAW in held,
        "enableInternalTransfer": False,
        "enableMargin": False,
        "enableFutures": False,
        "permitsUniversalTransfer": Permission.TRANSFER in held,
        "enableVanillaOptions": False,
        "enableFixApiTrade": False,
        "enableFixReadOnly": False,
        "enableSpotAndMarginTrading": Permission.TRADE in held,
        "enablePortfolioMarginTrading": False,
    }
    if key.valid_days is not None:
        rights["tradingAuthorityExpirationTime"] = to_ms(visit.now + timedelta(days=key.valid_days))
    return rights


def _refuse_moving(visit: Visit) -> Json:
    raise BinanceRefusal(-1020, _NEVER)


def _write_holding(asset: str, holding: Holding) -> Json:
    return {"asset": asset, "free": fixed(holding.available, places=8), "locked": fixed(holding.held, places=8)}


def _write_coin(code: str, name: str, holding: Holding) -> Json:
    network = {
        "network": "TRX" if code in ("USDT", "TRX") else code,
        "coin": code,
        "name": name,
        "isDefault": True,
        "depositEnable": True,
        "withdrawEnable": True,
        "withdrawFee": "0.0005",
        "withdrawMin": "0.001",
        "withdrawMax": "9999999",
        "withdrawIntegerMultiple": "0.00000001",
    }
    return {
        "coin": code,
        "name": name,
        "free": fixed(holding.available, places=8),
        "locked": fixed(holding.held, places=8),
        "depositAllEnable": True,
        "withdrawAllEnable": True,
        "trading": True,
        "isLegalMoney": False,
        "networkList": [network],
    }
