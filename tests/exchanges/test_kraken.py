"""What the contract cannot say of Kraken: its secrets are base64, its names are many, and its POSTs only read."""

import pytest

from app.exchanges.adapters.kraken.assets import place_asset
from app.exchanges.errors import BadSignature, UndeclaredCall
from app.exchanges.types import Call
from tests.exchanges.stage import load_fixture, stage


@pytest.mark.parametrize("secret", ["", "not base64", "abc", "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSU=XNsu3eow76sz84"])
async def test_a_text_that_is_no_private_key_is_refused_unsent(secret: str) -> None:
    adapter, fake = stage("kraken", secrets={**load_fixture("kraken")["secrets"], "secret_key": secret})
    with pytest.raises(BadSignature):
        await adapter.check()
    assert fake.seen == []


@pytest.mark.parametrize(
    ("told", "account", "asset"),
    [
        ("XXBT", "spot", "BTC"),
        ("XBT", "spot", "BTC"),
        ("XXDG", "spot", "DOGE"),
        ("ZUSD", "spot", "USD"),
        ("ZEUR", "spot", "EUR"),
        ("XTZ", "spot", "XTZ"),
        ("ZRX", "spot", "ZRX"),
        ("ZEC", "spot", "ZEC"),
        ("XRP", "spot", "XRP"),
        ("XDC", "spot", "XDC"),
        ("USDT", "spot", "USDT"),
        ("XBT.M", "opt-in rewards", "BTC"),
        ("ETH.F", "rewards", "ETH"),
        ("USDT.B", "yield-bearing", "USDT"),
        ("SOL.S", "staked", "SOL"),
        ("DOT28.S", "spot", "DOT28.S"),
        ("ETH2.S", "spot", "ETH2.S"),
        ("AAPLX.T", "spot", "AAPLX.T"),
        ("EUR.HOLD", "spot", "EUR.HOLD"),
        ("SOL.S.F", "spot", "SOL.S.F"),
        (".S", "spot", ".S"),
    ],
)
def test_names_are_read_and_what_is_unsure_stays_raw(told: str, account: str, asset: str) -> None:
    assert place_asset(told) == (account, asset)


async def test_a_read_is_a_post_and_nothing_else() -> None:
    adapter, fake = stage("kraken", probes="reads")
    for call in (Call("DELETE", "/0/private/BalanceEx", reads=True), Call("POST", "/0/private/AddOrder", reads=True)):
        adapter.calls = (*adapter.calls, call)  # type: ignore[misc]  # a class attribute, widened for this instance alone
    assert [adapter.may_ask(call) for call in adapter.calls[-2:]] == [False, True]
    with pytest.raises(UndeclaredCall):
        await adapter._ask(adapter.calls[-2])
    assert fake.seen == []
    assert {call.label for call in type(adapter).calls if call.reads} == {
        "POST /0/private/BalanceEx",
        "POST /0/private/GetApiKeyInfo",
        "POST /0/private/WithdrawMethods",
    }
