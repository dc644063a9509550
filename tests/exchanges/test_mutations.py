"""Thousands of spoilt replies per exchange: only errors we have names for, never the key's fault, never absurd money.

`KEYDECK_MUTATIONS` sets how many per exchange; a failure names the run's number, which makes it again.
"""

import copy
import os
import random
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from app.exchanges.adapter import AdapterContext, ExchangeAdapter
from app.exchanges.errors import ExchangeError, KeyRefused
from app.exchanges.http import ExchangeHttp, find_origin
from app.exchanges.turns import KeyTurn
from app.exchanges.types import BalanceSheet, Call, Environment, Grant, Permission, ProbePolicy, Secrets
from app.masking import Secret
from tests.exchanges.mutations import VALUES, spoil
from tests.exchanges.stage import JSON, KINDS, SLUGS, load_fixture, make_response, no_wait

COUNT = int(os.environ.get("KEYDECK_MUTATIONS", "20000"))


class SpoiltExchange(httpx.AsyncBaseTransport):
    """Answers like the fixture; about half of the replies of a run are spoilt, by the run's own luck."""

    def __init__(self, kind: type[ExchangeAdapter], replies: Mapping[str, Any]) -> None:
        self.calls = [
            (call, re.compile(re.sub(r"\{\w+\}", "[^/]+", re.escape(call.path).replace(r"\{", "{").replace(r"\}", "}"))))
            for call in kind.calls
        ]
        self.replies = replies
        self.spoilt = 0
        self.draw = random.Random()
        self.served: dict[str, tuple[int, bytes]] = {}

    def begin(self, run: int) -> None:
        self.draw = random.Random(run)
        self.served = {}

    def find_call(self, request: httpx.Request) -> Call:
        path = request.url.raw_path.decode().partition("?")[0]
        return next(call for call, pattern in self.calls if call.method == request.method and pattern.fullmatch(path))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        label = self.find_call(request).label
        reply = self.replies[label]
        if self.draw.random() < 0.5:
            return make_response(reply)
        self.spoilt += 1
        self.served[label] = spoil(reply, self.draw)
        status, content = self.served[label]
        return httpx.Response(status, headers=JSON, content=content)


def make_adapter(kind: type[ExchangeAdapter], fixture: Mapping[str, Any], http: ExchangeHttp) -> ExchangeAdapter:
    now = datetime.fromisoformat(fixture["now"])
    return kind(
        AdapterContext(
            secrets=Secrets({name: Secret(value) for name, value in fixture["secrets"].items()}),
            environment=Environment.LIVE,
            base_url=kind.exchange.sites[0].api_url,
            http=http,
            clock=lambda: now,
            probes=ProbePolicy.ALL,
            turn=KeyTurn(sleep=no_wait),
        )
    )


def expect_sane_balances(sheet: BalanceSheet) -> None:
    for balance in sheet.balances:
        for amount in (balance.available, balance.held, balance.total):
            assert amount.is_finite()
            assert amount >= 0
        assert 0 < len(balance.asset) <= 40
        assert balance.asset.isprintable()
        assert 0 < len(balance.account) <= 80


def expect_sane_report(grants: Mapping[Permission, Grant], expires_at: datetime | None, now: datetime) -> None:
    assert all(isinstance(right, Permission) and isinstance(grant, Grant) for right, grant in grants.items())
    assert expires_at is None or now - timedelta(days=1) <= expires_at


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("slug", SLUGS)
async def test_spoilt_replies_are_weather(slug: str) -> None:
    kind, fixture = KINDS[slug], load_fixture(slug)
    now = datetime.fromisoformat(fixture["now"])
    origin = find_origin(kind.exchange.sites[0].api_url)
    exchange = SpoiltExchange(kind, fixture["replies"])
    refusing = {label for label, reply in fixture["replies"].items() if reply.get("status", 200) >= 400}
    http = ExchangeHttp(origins=frozenset({origin}), routes={origin: exchange})
    run = 0
    while exchange.spoilt < COUNT:
        run += 1
        exchange.begin(run)
        adapter = make_adapter(kind, fixture, http)
        try:
            for act in (adapter.read_clock, adapter.check, adapter.fetch_balances):
                try:
                    told = await act()
                except ExchangeError as error:
                    blamed = isinstance(error, KeyRefused) and error.call not in refusing
                    assert not blamed, f"{error.code} by {error.call}"  # noqa: PT017  # one of many runs
                    assert fixture["secrets"]["secret_key"] not in repr(vars(error))  # noqa: PT017  # the same
                else:
                    if isinstance(told, BalanceSheet):
                        expect_sane_balances(told)
                    elif hasattr(told, "grants"):
                        expect_sane_report(told.grants, told.expires_at, now)
        except Exception as error:
            raise AssertionError(f"{slug}, run {run}: {error!r}; served {exchange.served!r}"[:3000]) from error
    assert exchange.spoilt >= COUNT


def test_one_run_changes_no_other() -> None:
    """A run's number makes it again only where no run leaves anything behind."""
    before = copy.deepcopy(VALUES)
    for run in range(3000):
        spoil({"body": [{"a": "1", "b": [2]}]}, random.Random(run))
    assert before == VALUES
