"""The accounts HitBTC's scenarios hold: spot, wallet and derivatives."""

from decimal import Decimal

from app.sandbox.accounts import Account, Holding
from app.sandbox.amounts import cut
from app.sandbox.assets import list_many_assets
from app.sandbox.lettering import draw_factor
from app.sandbox.scenarios import Scenario

_READ_TRADE: dict[str, dict[str, tuple[str, str, dict[str, str]]]] = {
    "spot": {
        "BTC": ("0.15230741", "0.02", {}),
        "ETH": ("2.418", "0.5", {}),
        "USDT": ("1840.557310000000", "250.25", {"reserved_margin": "75.5"}),
        "SOL": ("18.04", "0", {}),
        "TRX": ("5120", "880", {}),
    },
    "wallet": {
        "BTC": ("0.00005821", "0.00001", {}),
        "USDT": ("12.4", "0", {}),
        "LTC": ("3.75", "0", {}),
        "XRP": ("0", "240.5", {}),
    },
    "derivatives": {"USDT": ("410.118205", "36.2", {}), "BTC": ("0.0042", "0", {})},
}
_ORDINARY = {
    "spot": {"BTC": "0.08412093", "ETH": "1.206", "USDT": "936.48122", "LINK": "44.7"},
    "wallet": {"USDT": "58.21", "DOGE": "1204.3"},
    "derivatives": {"USDT": "125.08"},
}


def open_hitbtc_accounts(scenario: Scenario) -> list[Account]:
    """Return the three accounts with the scenario's balances; the same every time."""
    accounts = {kind: Account(kind, place) for place, kind in enumerate(("spot", "wallet", "derivatives"), start=1)}
    if scenario.name == "read-trade":
        for kind, holdings in _READ_TRADE.items():
            accounts[kind].holdings = {
                asset: Holding(Decimal(available), Decimal(held), {name: Decimal(text) for name, text in extra.items()})
                for asset, (available, held, extra) in holdings.items()
            }
    elif scenario.purse != "empty":
        _fill_ordinary(accounts, scenario.name)
    if scenario.purse == "large":
        for asset in list_many_assets():
            share = draw_factor(f"hitbtc/large/{asset}")
            accounts["spot"].holdings[asset] = Holding(share * 100, share if share > 2 else Decimal(0))
    return list(accounts.values())


def _fill_ordinary(accounts: dict[str, Account], scenario: str) -> None:
    for kind, amounts in _ORDINARY.items():
        for asset, text in amounts.items():
            amount = cut(Decimal(text) * draw_factor(f"hitbtc/{scenario}/{kind}/{asset}"), step=Decimal("0.00000001"))
            accounts[kind].holdings[asset] = Holding(amount)
