"""The short way of reading long answers tells what the long way tells: the same sheet, or the same refusal."""

import json
from typing import Any

import pytest

from app.exchanges.errors import ExchangeError
from app.exchanges.http import ExchangeHttp, find_origin
from app.exchanges.reading import Shape
from app.exchanges.types import BalanceSheet
from tests.exchanges.stage import KINDS, load_fixture
from tests.exchanges.test_mutations import SpoiltExchange, make_adapter

RUNS = 1500
SHAPED = ("hitbtc", "htx")


async def fetch(slug: str, exchange: SpoiltExchange, http: ExchangeHttp, *, run: int) -> BalanceSheet | str:
    exchange.begin(run)
    try:
        return await make_adapter(KINDS[slug], load_fixture(slug), http).fetch_balances()
    except ExchangeError as error:
        return error.code


@pytest.mark.timeout(600)
@pytest.mark.parametrize("slug", SHAPED)
async def test_both_ways_of_reading_agree(slug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kind, fixture = KINDS[slug], load_fixture(slug)
    origin = find_origin(kind.exchange.sites[0].api_url)
    exchange = SpoiltExchange(kind, fixture["replies"])
    http = ExchangeHttp(origins=frozenset({origin}), routes={origin: exchange})
    taken: list[bool] = []
    read = Shape.read

    def note(self: Shape, content: bytes) -> Any:
        found = read(self, content)
        taken.append(found is not None)
        return found

    monkeypatch.setattr(Shape, "read", note)
    short = [await fetch(slug, exchange, http, run=run) for run in range(RUNS)]
    monkeypatch.setattr(Shape, "read", lambda _self, _content: None)
    long = [await fetch(slug, exchange, http, run=run) for run in range(RUNS)]
    assert set(taken) == {True, False}, "both ways were gone"
    assert sum(isinstance(told, BalanceSheet) and not told.missing for told in long) > RUNS / 20
    for run, (told, expected) in enumerate(zip(short, long, strict=True)):
        if isinstance(expected, BalanceSheet) and not expected.missing:
            assert told == expected, f"run {run}; served {exchange.served!r}"
        elif isinstance(told, str):
            assert told == expected, f"run {run}"


async def test_a_long_answer_goes_the_careful_way() -> None:
    shape = Shape(list[dict[str, str]])
    assert shape.read(b'[{"a": "b"}]') == [{"a": "b"}]
    assert shape.read(json.dumps([{"a": "b" * 2**20}]).encode()) is None
    for odd in (b"", b"[", b'{"error": {}}', b'[{"a": 1}]', b'[{"a": "\xff"}]', b"[" * 100_000):
        assert shape.read(odd) is None
