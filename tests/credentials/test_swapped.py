"""Key and secret in each other's field: nothing is stored, the words say what to look for, the right way round works."""

import pytest

from app.credentials.connect import ConnectInput, ConnectRefused
from app.credentials.views import Status
from tests.credentials.bench import Bench


@pytest.mark.parametrize("exchange", ["bitexbit", "hitbtc", "htx"])
async def test_swapped_parts_are_told_and_then_repaired(bench: Bench, exchange: str) -> None:
    key = bench.key(exchange, "read-only")
    swapped = {"api_key": key.secrets["secret_key"], "secret_key": key.secrets["api_key"]}
    before = await bench.dump()
    async with bench.work() as credentials:
        with pytest.raises(ConnectRefused) as refused:
            await credentials.connect(bench.principal, ConnectInput(exchange, "sandbox", "Main", key.plan, swapped))
    advice = refused.value.advice
    assert "swapped" in f"{advice.cause} {advice.remedy}"
    assert await bench.dump() == before
    assert (await bench.connect(exchange, "read-only")).status is Status.CONNECTED
