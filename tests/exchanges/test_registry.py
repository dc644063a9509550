"""The registry finds adapters by their files, refuses what breaks the rules, and opens the right door."""

import importlib
import json
import sys
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import ModuleType

import httpx
import pytest

from app.exchanges.breaker import FAILURES_TO_OPEN, PROBE_EVERY_SECONDS, BreakerState
from app.exchanges.http import ExchangeHttp, OutgoingRequest
from app.exchanges.registry import Exchanges, RegistryError, find_adapters, list_origins
from app.exchanges.types import Balance, Environment, ProbePolicy, Secrets
from app.masking import Secret

FOURTH = '''
"""A made-up exchange: everything a fourth one needs is this file."""

from dataclasses import replace

from app.exchanges.adapter import ExchangeAdapter, Refusal
from app.exchanges.errors import InvalidKey
from app.exchanges.reading import parse_amount, parse_asset, parse_rows
from app.exchanges.types import *
from app.exchanges.types import Balance, BalanceSheet, Call, Environment, Exchange, KeyReport, Permission, Site

CLOCK = Call("GET", "/time", public=True)
FUNDS = Call("GET", "/funds", needs=Permission.READ)


class FourthAdapter(ExchangeAdapter):
    exchange = Exchange(
        slug="fourth", name="Fourth", monogram="4t", aliases=("vierte",),
        sites=(Site(Environment.LIVE, "https://api.fourth.example", "https://fourth.example/keys", "Fourth"),),
        fields=(), guide=(), boxes=(), needs={}, verified_on="2026-11",
    )
    calls = (CLOCK, FUNDS)
    clock_call = CLOCK
    refusals = (Refusal("no-key", "", InvalidKey),)

    def sign(self, request):
        return replace(request, headers={"X-Key": self.context.secrets["api_key"].reveal()})

    def find_refusal(self, status, body):
        return (body["problem"], "") if isinstance(body, dict) and "problem" in body else None

    async def check(self):
        await self._ask(FUNDS)
        return KeyReport({Permission.READ: self.probed(True, FUNDS)})

    async def fetch_balances(self):
        rows = parse_rows(await self._ask(FUNDS), call=FUNDS.label)
        nothing = parse_amount("0", call="")
        return BalanceSheet(
            tuple(Balance("main", parse_asset(row["coin"], call=""), parse_amount(row["sum"], call=""), nothing) for row in rows)
        )
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "made_up_adapters"
    folder.mkdir()
    (folder / "__init__.py").write_text('"""Made up."""\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [name for name in sys.modules if name.startswith("made_up_adapters")]:
        del sys.modules[name]


def load(package: Path) -> ModuleType:
    importlib.invalidate_caches()
    return importlib.import_module(package.name)


def make_exchanges(transport: httpx.AsyncBaseTransport, kinds: dict, **options: object) -> Exchanges:  # type: ignore[type-arg]  # kinds of made-up classes
    urls = options.get("urls")
    http = ExchangeHttp(origins=list_origins(kinds, urls=urls, sandbox_url=options.get("sandbox_url")), transport=transport)  # type: ignore[arg-type]  # passed through
    return Exchanges(
        http=http, clock=lambda: datetime(2026, 11, 21, tzinfo=UTC), probes=ProbePolicy.READS, kinds=kinds, **options
    )  # type: ignore[arg-type]  # passed through


async def test_a_fourth_exchange_is_one_file(package: Path) -> None:
    (package / "fourth.py").write_text(textwrap.dedent(FOURTH))
    kinds = find_adapters(load(package))
    assert list(kinds) == ["fourth"]

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["x-key"] == "k"
        return httpx.Response(200, content=json.dumps([{"coin": "btc", "sum": "1.5"}]))

    exchanges = make_exchanges(httpx.MockTransport(answer), kinds)
    adapter = exchanges.open("vierte", Environment.LIVE, Secrets({"api_key": Secret("k")}), key_id="f")
    assert (await adapter.check()).grants
    assert (await adapter.fetch_balances()).balances == (Balance("main", "BTC", Decimal("1.5"), Decimal(0)),)


async def test_a_folder_serves_as_well_as_a_file(package: Path) -> None:
    (package / "fourth").mkdir()
    (package / "fourth" / "__init__.py").write_text('"""Folder."""\nfrom made_up_adapters.fourth.adapter import FourthAdapter\n')
    (package / "fourth" / "adapter.py").write_text(textwrap.dedent(FOURTH))
    assert list(find_adapters(load(package))) == ["fourth"]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"fifth.py": FOURTH}, "fifth: the adapter's slug is fourth"),
        ({"fourth.py": FOURTH + "\n\nclass Second(FourthAdapter):\n    pass\n"}, "fourth: expected one adapter class, found 2"),
        ({"empty.py": '"""Nothing."""\n'}, "empty: expected one adapter class, found 0"),
        ({"broken.py": "1/0\n"}, "broken: cannot be imported (ZeroDivisionError"),
        (
            {"fourth.py": FOURTH, "vierte.py": FOURTH.replace('"fourth"', '"vierte"').replace('("vierte",)', "()")},
            "the alias vierte",
        ),
    ],
)
def test_what_breaks_the_rules_stops_the_start(package: Path, files: dict[str, str], words: str) -> None:
    for name, text in files.items():
        (package / name).write_text(textwrap.dedent(text))
    with pytest.raises(RegistryError) as caught:
        find_adapters(load(package))
    assert words in str(caught.value)


def test_the_real_ones_in_all_environments() -> None:
    kinds = find_adapters()
    exchanges = make_exchanges(httpx.MockTransport(lambda _: httpx.Response(200)), kinds, sandbox_url="http://sandbox.internal")
    assert [exchange.slug for exchange in exchanges.list_all()] == sorted(kinds)
    for slug, kind in kinds.items():
        environments = exchanges.list_environments(slug)
        assert environments[0] is Environment.LIVE
        assert environments[-1] is Environment.SANDBOX
        for environment in environments:
            site = exchanges.site(slug, environment)
            assert site is not None
            assert environment is not Environment.SANDBOX or site.api_url == f"http://sandbox.internal/{slug}"
        for alias in kind.exchange.aliases:
            assert exchanges.get(alias) is kind.exchange
    assert exchanges.get("unknown") is None
    assert exchanges.list_environments("unknown") == []
    with pytest.raises(KeyError):
        exchanges.open("unknown", Environment.LIVE, Secrets({}), key_id="f")


def test_overrides_and_allow_list() -> None:
    kinds = find_adapters()
    first = min(kinds)
    url = "http://127.0.0.1:8100/prefix/"
    exchanges = make_exchanges(
        httpx.MockTransport(lambda _: httpx.Response(200)), kinds, urls={first: url}, allowed=frozenset({first})
    )
    assert [exchange.slug for exchange in exchanges.list_all()] == [first]
    site = exchanges.site(first, Environment.LIVE)
    assert site is not None
    assert site.api_url == "http://127.0.0.1:8100/prefix"
    assert exchanges.site(first, Environment.SANDBOX) is None
    assert "http://127.0.0.1:8100" in list_origins(kinds, urls={first: url})
    with_aliases = [kind for kind in kinds.values() if kind.exchange.aliases]
    for kind in with_aliases:
        allowed = make_exchanges(
            httpx.MockTransport(lambda _: httpx.Response(200)), kinds, allowed=frozenset(kind.exchange.aliases)
        )
        assert [exchange.slug for exchange in allowed.list_all()] == [kind.exchange.slug]


def test_one_key_has_one_turn() -> None:
    kinds = find_adapters()
    exchanges = make_exchanges(httpx.MockTransport(lambda _: httpx.Response(200)), kinds)
    for slug, kind in kinds.items():
        turns = [exchanges.open(slug, Environment.LIVE, Secrets({}), key_id="f").context.turn for _ in range(2)]
        is_kept = kind.exchange.one_call_at_a_time or any(call.calls_per_second for call in kind.calls)
        assert (turns[0] is turns[1]) == is_kept


async def test_health_tells_state_since_when_and_next_try() -> None:
    kinds = find_adapters()
    slug = min(kinds)
    exchanges = make_exchanges(
        httpx.MockTransport(lambda _: httpx.Response(500)), kinds, sandbox_url="http://sandbox.internal", urls={}
    )
    assert {site.state for site in exchanges.describe_health()} == {BreakerState.CLOSED}
    adapter = exchanges.open(slug, Environment.LIVE, Secrets({}), key_id="f")
    http = adapter.context.http
    for _ in range(FAILURES_TO_OPEN):
        await http.send(OutgoingRequest("GET", f"{adapter.context.base_url}/x"), call="GET /x")
    adapter.context.offset.learn(90.0)
    down = next(site for site in exchanges.describe_health() if (site.slug, site.environment) == (slug, Environment.LIVE))
    now = datetime(2026, 11, 21, tzinfo=UTC)
    assert down.state is BreakerState.OPEN
    assert down.failing_since is not None
    assert down.failing_since <= now
    assert down.next_try_at is not None
    assert now < down.next_try_at <= now + timedelta(seconds=PROBE_EVERY_SECONDS)
    assert down.clock_ahead_seconds == 90.0
    assert [site.slug for site in exchanges.describe_health() if site.state is BreakerState.OPEN] == [slug]
