"""Every adapter against a hostile server on loopback: the right name, in bounded time and memory, with nothing leaked.

Real sockets and the real transport. Waits are leapt over and slow scenarios meet a short deadline; the ten seconds of
production are the same code with another number.
"""

import asyncio
import logging
import re
import time
import zlib
from collections.abc import Mapping
from datetime import datetime

import httpx
import pytest

from app.exchanges.adapter import ExchangeAdapter
from app.exchanges.errors import ExchangeError, RateLimited
from app.exchanges.http import ExchangeHttp, OutgoingRequest
from app.exchanges.transport import DirectTransport
from app.exchanges.types import BalanceSheet
from tests.exchanges.hostile.bombs import MIB, UNPACKED_MIB, make_deflate, make_gzip
from tests.exchanges.hostile.memory import Growth, watch_memory
from tests.exchanges.hostile.scenarios import SCENARIOS, Scenario, say, stay_silent
from tests.exchanges.servers import RawServer, run_server
from tests.exchanges.stage import KINDS, SLUGS, FakeExchange, load_fixture, make_adapter
from tests.exchanges.test_contract import list_texts

SHORT_SECONDS = 0.3
GROWTH_CAP = 20 * MIB


def open_adapter(slug: str, server: RawServer, *, deadline_seconds: float = 30) -> ExchangeAdapter:
    return make_adapter(
        KINDS[slug], load_fixture(slug), DirectTransport(), base_url=server.origin, deadline_seconds=deadline_seconds
    )


async def ask(
    slug: str, server: RawServer, act: str, *, deadline_seconds: float = 30
) -> tuple[BaseException | object, ExchangeAdapter]:
    """Return what the act gave or raised, and the adapter, its connections closed."""
    adapter = open_adapter(slug, server, deadline_seconds=deadline_seconds)
    try:
        return await getattr(adapter, act)(), adapter
    except ExchangeError as error:
        return error, adapter
    finally:
        await adapter.context.http.aclose()


def expect_no_secrets(texts: list[str], secrets: Mapping[str, str]) -> None:
    text = "\n".join(texts)
    assert not [line[:500] for line in texts for value in secrets.values() if value in line]
    assert "signature=" not in text.lower()


def expect_little(growth: Growth) -> None:
    found = {name: f"{count / MIB:.1f} MiB" for name, count in vars(growth).items() if count is not None and count > GROWTH_CAP}
    assert not found


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name.replace(" ", "-"))
@pytest.mark.parametrize("slug", SLUGS)
async def test_the_weather_is_named_and_the_key_is_not_blamed(
    slug: str, scenario: Scenario, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    deadline = SHORT_SECONDS if scenario.is_slow else 30
    shown: list[str] = []
    async with run_server(scenario.answer) as server:
        with watch_memory(traces=not scenario.is_large) as growth:
            for act in ("check", "fetch_balances"):
                started = time.monotonic()
                told, adapter = await ask(slug, server, act, deadline_seconds=deadline)
                if act == "check" and scenario.is_sound and not isinstance(told, ExchangeError):
                    continue  # a check reads no amounts
                assert isinstance(told, ExchangeError), f"{act} believed it: {told!r}"
                assert told.code in scenario.codes, act
                assert told.who_acts != "trader"
                assert not scenario.is_slow or time.monotonic() - started < 10 * SHORT_SECONDS + 2
                shown += [*list_texts(told), repr(adapter.evidence)]
                if isinstance(told, RateLimited):
                    assert told.retry_after_seconds in (0, 3600)
            told, _ = await ask(slug, server, "read_clock", deadline_seconds=deadline)
            assert not isinstance(told, ExchangeError) or told.who_acts != "trader"
        assert not [line for request in server.requests for line in request.split(b"\r\n") if line.lower().startswith(b"cookie")]
    expect_little(growth)
    shown += [record.getMessage() for record in caplog.records]
    expect_no_secrets(shown, load_fixture(slug)["secrets"])


@pytest.mark.parametrize("scenario", [one for one in SCENARIOS if one.is_large], ids=lambda one: one.name.replace(" ", "-"))
@pytest.mark.parametrize("slug", SLUGS)
async def test_memory_stays_bounded(slug: str, scenario: Scenario) -> None:
    """By Python's own count, which the other test leaves out for these: every object is counted, however short its life."""
    async with run_server(scenario.answer) as server:
        for act in ("check", "fetch_balances"):
            with watch_memory(traces=True) as growth:
                await ask(slug, server, act)
            expect_little(Growth(traced=growth.traced))  # the counting itself takes resident memory


def test_the_bombs_are_bombs() -> None:
    for bomb, bits in ((make_gzip(), zlib.MAX_WBITS + 16), (make_deflate(), zlib.MAX_WBITS)):
        assert len(bomb) < MIB
        left, unpacked = bomb, 0
        while left:
            stream = zlib.decompressobj(bits)
            while not stream.eof:
                unpacked += len(stream.decompress(left, MIB))
                left = stream.unconsumed_tail
            left = stream.unused_data
        assert unpacked == UNPACKED_MIB * MIB


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 Other", "307 Temporary", "308 Permanent", "200 OK"])
@pytest.mark.parametrize("slug", SLUGS)
async def test_no_redirect_leads_to_the_trap(slug: str, status: str) -> None:
    async with run_server(say(b"[]")) as trap:
        place = f"{trap.origin}/api"
        headers = (
            f"Location: {place}",
            f"Refresh: 0; url={place}",
            f"Link: <{place}>; rel=preload",
            f'Alt-Svc: h2="{trap.origin}"',
        )
        async with run_server(say(b"", *headers, "Set-Cookie: sid=1; Path=/", status=status)) as server:
            for act in ("read_clock", "check", "fetch_balances"):
                told, _ = await ask(slug, server, act)
                assert isinstance(told, ExchangeError)
                assert told.code == "exchange_unavailable"
            assert not [request for request in server.requests if b"sid=1" in request]
    assert trap.requests == []


@pytest.mark.parametrize("slug", SLUGS)
async def test_an_echo_shows_neither_secret_nor_signature(slug: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever the exchange repeats of our request in its words, in any of the shapes that errors come in."""
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []
    for case in load_fixture(slug)["refusals"]:
        if not isinstance(case.get("body"), dict):
            continue

        async def answer(writer: asyncio.StreamWriter, case: dict = case) -> None:  # type: ignore[type-arg]  # a fixture's row
            said = echo(case["body"], server.requests[-1].decode("latin-1"))
            await say(httpx.Response(200, json=said).content, status=f"{case['status']} X")(writer)

        async with run_server(answer) as server:
            for act in ("check", "fetch_balances"):
                told, adapter = await ask(slug, server, act)
                shown += [*(list_texts(told) if isinstance(told, ExchangeError) else []), repr(adapter.evidence)]
    shown += [record.getMessage() for record in caplog.records]
    expect_no_secrets(shown, load_fixture(slug)["secrets"])


def echo(body: object, words: str) -> object:
    if isinstance(body, dict):
        return {name: echo(value, words) for name, value in body.items()}
    return f"{body} {words}" if isinstance(body, str) and body not in ("ok", "error") else body


@pytest.mark.parametrize("slug", SLUGS)
async def test_markup_stays_text(slug: str) -> None:
    fixture = load_fixture(slug)
    fake = FakeExchange(KINDS[slug], fixture["replies"])

    async def answer(writer: asyncio.StreamWriter) -> None:
        method, target, _ = server.lines[-1].split(" ")
        reply = fake.answer(httpx.Request(method, f"{server.origin}{target}"))
        text = re.sub(r'"(BTC|btc|usdt|XXBT)"', '"<script>"', reply.text)
        await say(text.encode(), status=f"{reply.status_code} X")(writer)

    async with run_server(answer) as server:
        told, _ = await ask(slug, server, "fetch_balances")
    assert isinstance(told, BalanceSheet)
    assert any("SCRIPT>" in balance.asset for balance in told.balances)


async def test_one_silent_exchange_holds_up_no_other() -> None:
    async with run_server(stay_silent) as silent, run_server(say(b"{}")) as good:
        http = ExchangeHttp(origins=frozenset({silent.origin, good.origin}), deadline_seconds=5)
        async with http:
            waiting = [asyncio.create_task(http.send(OutgoingRequest("GET", f"{silent.origin}/"), call="c")) for _ in range(50)]
            await asyncio.sleep(0)
            for _ in range(20):
                assert (await http.send(OutgoingRequest("GET", f"{good.origin}/"), call="c")).status == 200
            assert not any(task.done() for task in waiting)
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)


@pytest.mark.parametrize("slug", SLUGS)
async def test_a_year_is_no_keys_fault(slug: str) -> None:
    """The clock call answers with another year: told as the clock's problem where a time was told at all."""
    fixture = load_fixture(slug)
    label = KINDS[slug].clock_call.label
    now = datetime.fromisoformat(fixture["now"])
    then = now.replace(year=now.year + 1)
    text = httpx.Response(200, json=fixture["replies"][label]["body"]).text
    for unit in (1, 1000):
        text = text.replace(str(round(now.timestamp() * unit)), str(round(then.timestamp() * unit)))
    async with run_server(say(text.encode(), f"Date: {then:%a, %d %b %Y %H:%M:%S} GMT")) as server:
        told, _ = await ask(slug, server, "read_clock")
    assert isinstance(told, ExchangeError)
    assert told.code == "clock_skew"
