"""Clients that know nothing of Keydeck, changed only in their base URL, work against the sandbox on a real port."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import ccxt
import httpx
import pytest
import uvicorn

from app.sandbox.app import create_sandbox
from app.sandbox.state import Sandbox
from tests.sandbox.clients import BitexbitClient, find_secrets


class Served:
    """The sandbox on a free loopback port; `ahead` moves its clock away from the client's."""

    def __init__(self) -> None:
        self.ahead = timedelta()
        app = create_sandbox(clock=self.now)
        self.sandbox: Sandbox = app.state.sandbox
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._socket.getsockname()[1]}"
        options: dict[str, Any] = {
            "log_level": "critical",
            "date_header": False,
            "server_header": False,
            "ws": "none",
            "lifespan": "off",
        }
        self._server = uvicorn.Server(uvicorn.Config(app, **options))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def start(self) -> None:
        self._thread.start()
        deadline = time.monotonic() + 10
        while not self._server.started and time.monotonic() < deadline:
            time.sleep(0.01)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        self._socket.close()


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    server = Served()
    server.start()
    yield server
    server.stop()


def open_hitbtc(served: Served, scenario: str) -> ccxt.hitbtc:
    key, secret = find_secrets("hitbtc", scenario)
    client = ccxt.hitbtc({"apiKey": key, "secret": secret, "enableRateLimit": False})
    base = f"http://{served.host}/hitbtc/api/3"
    client.urls["api"] = {"public": base, "private": base}
    return client


def open_htx(served: Served, scenario: str) -> ccxt.htx:
    key, secret = find_secrets("htx", scenario)
    client = ccxt.htx({"apiKey": key, "secret": secret, "enableRateLimit": False})
    client.urls["hostnames"] = {"contract": served.host, "spot": served.host}
    client.urls["api"] = dict.fromkeys(client.urls["api"], "http://{hostname}/htx")
    return client


def open_binance(served: Served, scenario: str) -> ccxt.binance:
    key, secret = find_secrets("binance", scenario)
    client = ccxt.binance({"apiKey": key, "secret": secret, "enableRateLimit": False})
    for name, url in client.urls["api"].items():
        client.urls["api"][name] = f"http://{served.host}/binance/{url.split('/', 3)[3]}" if url.count("/") > 2 else url
    return client


def open_kraken(served: Served, scenario: str) -> ccxt.kraken:
    key, secret = find_secrets("kraken", scenario)
    client = ccxt.kraken({"apiKey": key, "secret": secret, "enableRateLimit": False})
    client.urls["api"] = dict.fromkeys(("public", "private"), f"http://{served.host}/kraken")
    return client


@contextmanager
def closing_client(client: Any) -> Iterator[Any]:
    """Hand the client over and close its connections when the block ends."""
    try:
        yield client
    finally:
        client.session.close()


OPENERS = {"binance": open_binance, "hitbtc": open_hitbtc, "htx": open_htx, "kraken": open_kraken}


@pytest.fixture(params=sorted(OPENERS))
def exchange(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_client_loads_markets_trades_and_cancels(served: Served, exchange: str) -> None:
    with closing_client(OPENERS[exchange](served, "read-trade")) as client:
        markets = client.load_markets()
        assert {"BTC/USDT", "ETH/USDT", "ETH/BTC", "LTC/USDT", "SOL/USDT"} <= set(markets)
        before = client.fetch_balance()
        assert before["USDT"]["free"] > 1000
        assert before["USDT"]["used"] > 0
        order = client.create_order("BTC/USDT", "limit", "buy", 0.01, 50000)
        found = client.fetch_open_orders("BTC/USDT")
        assert [row["id"] for row in found] == [order["id"]]
        assert (found[0]["price"], found[0]["amount"], found[0]["status"]) == (50000, 0.01, "open")
        assert client.fetch_balance()["USDT"]["free"] < before["USDT"]["free"] - 499
        client.cancel_order(order["id"], "BTC/USDT")
        assert client.fetch_open_orders("BTC/USDT") == []
        assert client.fetch_balance()["USDT"] == before["USDT"]


def test_client_reads_market_data(served: Served, exchange: str) -> None:
    with closing_client(OPENERS[exchange](served, "read-only")) as client:
        ticker = client.fetch_ticker("BTC/USDT")
        book = client.fetch_order_book("BTC/USDT")
        assert book["bids"][0][0] < ticker["last"] < book["asks"][0][0]
        candles = client.fetch_ohlcv("ETH/USDT", "1d", limit=5)
        assert len(candles) >= 4
        assert all(low <= close <= high for _, _, high, low, close, _ in candles)
        assert client.fetch_trades("BTC/USDT", limit=5)
        assert "BTC/USDT" in client.fetch_tickers()


def test_client_fills_at_the_market_and_sees_its_trade(served: Served, exchange: str) -> None:
    with closing_client(OPENERS[exchange](served, "read-trade")) as client:
        order = client.create_order("TRX/USDT", "market", "sell", 100)
        trades = client.fetch_my_trades("TRX/USDT")
        assert order["id"] in {trade["order"] for trade in trades} or trades[0]["amount"] == 100


@pytest.mark.parametrize("scenario", ["wrong-secret", "revoked"])
def test_client_sees_a_wrong_key_as_an_authentication_error(served: Served, exchange: str, scenario: str) -> None:
    """Each in the exchange's own words, which the client knows, but for one: it has no name for "EAPI:Invalid signature".

    That is Kraken's true answer to a wrong secret, so the client's general error with these words is expected (decision 10).
    """
    is_unnamed = (exchange, scenario) == ("kraken", "wrong-secret")
    kind, words = (ccxt.ExchangeError, "EAPI:Invalid signature") if is_unnamed else (ccxt.AuthenticationError, None)
    with closing_client(OPENERS[exchange](served, scenario)) as client, pytest.raises(kind, match=words):
        client.fetch_balance()


@pytest.mark.parametrize(
    ("exchange", "words"),
    [("binance", "recvWindow"), ("hitbtc", "time window"), ("htx", "Invalid submission time")],
)
def test_client_with_a_wrong_clock_is_refused(served: Served, exchange: str, words: str) -> None:
    # Kraken and bitexbit have a rising number instead of a clock: see the next test
    with closing_client(OPENERS[exchange](served, "read-only")) as client:
        client.load_markets()
        served.ahead = timedelta(minutes=6)
        try:
            with pytest.raises((ccxt.AuthenticationError, ccxt.InvalidNonce), match=words):
                client.fetch_balance()
        finally:
            served.ahead = timedelta()
        assert client.fetch_balance()["USDT"]["free"] > 0


@pytest.mark.parametrize("behind", [timedelta(), timedelta(minutes=6), timedelta(days=2000)])
def test_client_with_a_number_that_does_not_rise_is_refused(served: Served, behind: timedelta) -> None:
    """Kraken's test of the clock: the number is the client's time, and one at or behind the last is told apart by name."""
    with closing_client(open_kraken(served, "read-only")) as client:
        assert client.fetch_balance()["USD"]["free"] > 0
        last = client.incrementing_nonce()
        client.fetch_balance()
        client.incrementing_nonce = lambda: last - round(behind.total_seconds() * 1000)
        with pytest.raises(ccxt.InvalidNonce, match="EAPI:Invalid nonce"):
            client.fetch_balance()
        del client.incrementing_nonce  # the real one goes on above the last number
        assert client.fetch_balance()["USD"]["free"] > 0


def test_client_without_the_right_to_trade_is_refused(served: Served, exchange: str) -> None:
    with closing_client(OPENERS[exchange](served, "read-only")) as client:
        with pytest.raises(ccxt.ExchangeError):
            client.create_order("BTC/USDT", "limit", "buy", 0.001, 50000)
        assert client.fetch_balance()["USDT"]["used"] == 0


def test_client_names_the_weather(served: Served, exchange: str) -> None:
    for scenario in ("rate-limited", "maintenance", "html-error"):
        with closing_client(OPENERS[exchange](served, scenario)) as client:
            with pytest.raises((ccxt.NetworkError, ccxt.ExchangeError)) as refused:
                client.fetch_balance()
            assert not isinstance(refused.value, ccxt.AuthenticationError), scenario


def test_withdrawing_by_the_client_is_refused_and_sounds_the_alarm(served: Served, exchange: str) -> None:
    with closing_client(OPENERS[exchange](served, "withdraw-enabled")) as client:
        client.load_markets()
        where = {"key": "my wallet"} if exchange == "kraken" else {"network": "TRC20"}  # Kraken names saved addresses
        with pytest.raises(ccxt.ExchangeError):
            client.withdraw("USDT", 10, "TQooBX9o8iSSprLWW96YShBogx7Uwisuim", where)
    assert (exchange, "withdraw-enabled") in {(alarm.exchange, alarm.scenario) for alarm in served.sandbox.alarms}


def test_bitexbit_client_places_lists_and_cancels(served: Served) -> None:
    async def trade() -> None:
        async with httpx.AsyncClient() as http:
            client = BitexbitClient(http, "read-trade", served.now, f"http://{served.host}")
            pairs = (await http.get(f"http://{served.host}/bitexbit/api/v2/public/pairs")).json()
            assert "BTC_USD" in {pair["symbol"] for pair in pairs}
            before = (await client.ask("GET", "/api/v2/private/balance")).json()
            draft = {"symbol": "BTC_USD", "type": "buy-limit", "price": "50000", "amount": "0.01"}
            number = (await client.ask("POST", "/api/v2/private/order/create", draft)).json()["order"]["id"]
            active = (await client.ask("GET", "/api/v2/private/orders", query="?status=active&symbol=BTC_USD")).json()
            assert [row["id"] for row in active] == [number]
            await client.ask("POST", f"/api/v2/private/order/{number}/cancel")
            assert (await client.ask("GET", "/api/v2/private/balance")).json() == before

    asyncio.run(trade())
