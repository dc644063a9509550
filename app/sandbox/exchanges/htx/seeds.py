"""The accounts HTX's scenarios hold: spot, otc, point, isolated margin and cross margin with what is owed."""

from decimal import Decimal

from app.sandbox.accounts import Account, Holding
from app.sandbox.amounts import cut
from app.sandbox.assets import list_many_assets
from app.sandbox.lettering import draw_factor
from app.sandbox.scenarios import Scenario

_KINDS = (("spot", ""), ("margin", "btcusdt"), ("otc", ""), ("point", ""), ("super-margin", ""))
_READ_TRADE: dict[str, dict[str, tuple[str, str, dict[str, str]]]] = {
    "spot": {
        "USDT": ("2291.850043797676510303", "305.160000000000000015", {}),
        "BTC": ("0.048215", "0.005", {}),
        "ETH": ("1.84", "0", {"lock": "0.25"}),
        "HTX": ("18450000", "0", {}),
        "TRX": ("3120.55", "400", {}),
    },
    "margin": {
        "BTC": ("0.012", "0", {"loan": "0", "interest": "0", "transfer-out-available": "0.012", "loan-available": "0.03"}),
        "USDT": ("150.5", "0", {"loan": "0", "interest": "0", "transfer-out-available": "150.5", "loan-available": "451.5"}),
    },
    "otc": {"USDT": ("75.25", "0", {})},
    "point": {"HTX": ("120", "0", {})},
    "super-margin": {
        "USDT": (
            "420.75",
            "0",
            {"loan": "-100", "interest": "-0.0533", "transfer-out-available": "210.5", "loan-available": "840.1"},
        ),
        "ETH": ("0.31", "0.04", {"loan": "0", "interest": "0", "transfer-out-available": "0.31", "loan-available": "1.2"}),
    },
}
_ORDINARY = {"spot": {"USDT": "1204.77", "BTC": "0.0317", "XRP": "812.4"}, "otc": {"USDT": "40"}, "point": {}}


def open_htx_accounts(scenario: Scenario, *, number: int) -> list[Account]:
    """Return the accounts with the scenario's balances; an account's id is not the customer's uid."""
    if scenario.name == "read-trade":
        return [
            Account(kind, _number_account(number, place), subtype, holdings=_write_holdings(kind))
            for place, (kind, subtype) in enumerate(_KINDS)
        ]
    accounts = [Account(kind, _number_account(number, place)) for place, kind in enumerate(_ORDINARY)]
    if scenario.purse != "empty":
        _fill_ordinary(accounts, scenario.name)
    if scenario.purse == "large":
        for asset in list_many_assets():
            share = draw_factor(f"htx/large/{asset}")
            accounts[0].holdings[asset] = Holding(share * 250, share if share > 2 else Decimal(0))
    return accounts


def _number_account(number: int, place: int) -> int:
    return 10_000_000 + number % 1_000_000 * 10 + place


def _write_holdings(kind: str) -> dict[str, Holding]:
    return {
        asset: Holding(Decimal(available), Decimal(held), {name: Decimal(text) for name, text in extra.items()})
        for asset, (available, held, extra) in _READ_TRADE[kind].items()
    }


def _fill_ordinary(accounts: list[Account], scenario: str) -> None:
    for account in accounts:
        for asset, text in _ORDINARY[account.kind].items():
            amount = cut(Decimal(text) * draw_factor(f"htx/{scenario}/{account.kind}/{asset}"), step=Decimal("0.00000001"))
            account.holdings[asset] = Holding(amount)
