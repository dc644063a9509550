"""Every switch of the sandbox through its JSON API: what can be turned, what is refused, who may turn it."""

from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from app.sandbox.exchange import find_exchanges
from app.sandbox.keys import list_keys
from app.sandbox.scenarios import Fault
from app.sandbox.state import OUTAGE_SECONDS, SLOW_SECONDS, Sandbox
from app.sandbox.switches import EXCHANGE_FAULTS, KEY_FAULTS
from tests.sandbox.clients import BitexbitClient, HitbtcClient, HtxClient, MovableClock

LOCAL = "http://127.0.0.1:8100"
SLUGS = [kind.slug for kind in find_exchanges()]
PUBLIC = {
    "binance": "/api/v3/time",
    "bitexbit": "/api/v2/public/pairs",
    "hitbtc": "/api/3/public/symbol",
    "htx": "/v1/common/timestamp",
    "kraken": "/0/public/Time",
}


@pytest.fixture
def local(sandbox_app: Starlette) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(sandbox_app), base_url=f"{LOCAL}/_sandbox")


WEATHER_WORDS = ("rate", "frequency", "throttled", "many", "maintenance", "unavailable", "no longer", "weight")


def test_every_exchange_has_a_public_call_to_try() -> None:
    assert sorted(PUBLIC) == SLUGS


async def test_every_switch_is_shown_and_no_secret(local: httpx.AsyncClient) -> None:
    shown = await local.get("/")
    assert [one["slug"] for one in shown.json()["exchanges"]] == SLUGS
    keys = {(one["slug"], key["scenario"]): key for one in shown.json()["exchanges"] for key in one["keys"]}
    assert keys.keys() == {(key.exchange, key.scenario) for key in list_keys()}
    assert keys["hitbtc", "waiting"]["permissions"] == ["read", "trade", "transfer"]
    assert keys["hitbtc", "waiting"]["in_force"] == ["read", "transfer"]
    for key in list_keys():
        for part in key.secrets.values():
            assert part.reveal() not in shown.text


@pytest.mark.parametrize("slug", SLUGS)
@pytest.mark.parametrize("fault", EXCHANGE_FAULTS)
async def test_a_whole_exchange_breaks_and_is_mended(
    local: httpx.AsyncClient, http: httpx.AsyncClient, sandbox: Sandbox, slept: list[float], slug: str, fault: Fault
) -> None:
    assert (await http.get(f"/{slug}{PUBLIC[slug]}")).status_code == 200
    answer = await local.patch(f"/exchanges/{slug}", json={"fault": fault.value})
    assert (answer.status_code, answer.json()["fault"]) == (200, fault.value)
    met = await http.get(f"/{slug}{PUBLIC[slug]}")
    expected = {Fault.SLOW: [SLOW_SECONDS], Fault.OUTAGE: [OUTAGE_SECONDS]}.get(fault, [])
    assert slept == expected
    if fault in (Fault.HTML_ERROR, Fault.OUTAGE):
        assert met.text.startswith("<html>")
    elif fault is not Fault.SLOW:
        assert met.headers["content-type"].startswith("application/json")
        assert any(word in met.text.lower() for word in WEATHER_WORDS)
    assert (sandbox.history[-1].exchange, sandbox.history[-1].status) == (slug, met.status_code)
    other = SLUGS[(SLUGS.index(slug) + 1) % len(SLUGS)]
    assert (await http.get(f"/{other}{PUBLIC[other]}")).status_code == 200
    await local.patch(f"/exchanges/{slug}", json={"fault": None})
    assert (await http.get(f"/{slug}{PUBLIC[slug]}")).status_code == 200


@pytest.mark.parametrize("slug", SLUGS)
async def test_an_exchanges_clock_runs_ahead(local: httpx.AsyncClient, http: httpx.AsyncClient, slug: str) -> None:
    await local.patch(f"/exchanges/{slug}", json={"clock_ahead_seconds": 360})
    assert (await http.get(f"/{slug}{PUBLIC[slug]}")).headers["date"] == "Sat, 21 Nov 2026 12:06:00 GMT"
    await local.post("/reset", json={})
    assert (await http.get(f"/{slug}{PUBLIC[slug]}")).headers["date"] == "Sat, 21 Nov 2026 12:00:00 GMT"


async def test_an_exchange_is_delayed_by_itself(local: httpx.AsyncClient, http: httpx.AsyncClient, slept: list[float]) -> None:
    await local.patch("/exchanges/htx", json={"latency_ms": 80})
    await http.get("/htx/v1/common/timestamp")
    await http.get("/hitbtc/api/3/public/symbol")
    assert slept == [0.08]


async def test_a_keys_switches_turn_while_it_is_used(
    local: httpx.AsyncClient, http: httpx.AsyncClient, moment: MovableClock
) -> None:
    client = HitbtcClient(http, "read-only", moment)
    key = "/exchanges/hitbtc/keys/read-only"

    async def read(path: str = "/spot/balance") -> int:
        return (await client.ask("GET", path)).status_code

    turned = [
        ({"active": False}, 401),
        ({"active": True, "allowed_ips": ["203.0.113.7"]}, 403),
        ({"allowed_ips": ["127.0.0.0/8"]}, 200),
        ({"permissions": []}, 403),
        ({"permissions": ["read", "trade"], "awaits_email": True}, 200),
        ({"fault": "maintenance"}, 503),
        ({"fault": "rate-limited"}, 429),
        ({"fault": None}, 200),
    ]
    for values, status in turned:
        assert (await local.patch(key, json=values)).status_code == 200
        assert await read() == status, values
    assert await read("/spot/order") == 403  # ticked, but not confirmed by e-mail
    await local.patch(key, json={"awaits_email": False})
    assert await read("/spot/order") == 200
    await local.patch(key, json={"drifts_after": 0})
    await read()
    shown = (await local.get("/")).json()["exchanges"]
    (drifted,) = (
        one for exchange in shown if exchange["slug"] == "hitbtc" for one in exchange["keys"] if one["scenario"] == "read-only"
    )
    assert "withdraw" in drifted["in_force"]


async def test_days_left_and_balances_are_set_exactly(
    local: httpx.AsyncClient, http: httpx.AsyncClient, moment: MovableClock
) -> None:
    htx, bitexbit = HtxClient(http, "read-only", moment), BitexbitClient(http, "empty", moment)
    await local.patch("/exchanges/htx/keys/read-only", json={"valid_days": 3})
    uid = (await htx.ask("GET", "/v2/user/uid")).json()["data"]
    told = (await htx.ask("GET", "/v2/user/api-key", uid=str(uid))).json()["data"][0]
    assert told["validDays"] == 3
    await local.patch("/exchanges/htx/keys/read-only", json={"valid_days": 0})
    assert "expired" in (await htx.ask("GET", "/v2/user/uid")).text
    answer = await local.put("/exchanges/bitexbit/keys/empty/balances/main/btc", json={"available": "0.10000001", "held": "2"})
    assert answer.status_code == 200
    rows = (await bitexbit.ask("GET", "/api/v2/private/balance")).text
    assert "0.10000001" in rows


async def test_calls_are_shown_newest_first_and_without_queries(
    local: httpx.AsyncClient, http: httpx.AsyncClient, moment: MovableClock
) -> None:
    htx = HtxClient(http, "read-only", moment)
    await htx.ask("GET", "/v2/user/uid")
    await http.get("/htx/v1/common/timestamp?x=1")
    await http.get("/hitbtc/api/3/public/symbol")
    shown = (await local.get("/calls", params={"exchange": "htx"})).json()
    assert [(call["scenario"], call["path"], call["status"]) for call in shown] == [
        ("", "/v1/common/timestamp", 200),
        ("read-only", "/v2/user/uid", 200),
    ]
    assert "Signature" not in str(shown)
    assert (await local.delete("/calls")).json() == {"calls": 0}
    assert (await local.get("/calls")).json() == []


REFUSED: list[tuple[str, Any]] = [
    ("/exchanges/htx", {"fault": "account-blocked"}),
    ("/exchanges/htx", {"fault": ["slow"]}),
    ("/exchanges/htx", {"clock_ahead_seconds": "6"}),
    ("/exchanges/htx", {"clock_ahead_seconds": 1e9}),
    ("/exchanges/htx", {"latency_ms": -1}),
    ("/exchanges/htx", {"weather": "rain"}),
    ("/exchanges/htx", [1]),
    ("/exchanges/htx/keys/read-only", {"fault": "outage"}),
    ("/exchanges/htx/keys/read-only", {"permissions": ["all"]}),
    ("/exchanges/htx/keys/read-only", {"permissions": "read"}),
    ("/exchanges/htx/keys/read-only", {"allowed_ips": ["localhost"]}),
    ("/exchanges/htx/keys/read-only", {"active": "yes"}),
    ("/exchanges/htx/keys/read-only", {"valid_days": True}),
    ("/exchanges/htx/keys/read-only", {"forms": ["zero-rows"]}),
    ("/exchanges/htx/keys/read-only", {"active": False, "secret": "x"}),
]


@pytest.mark.parametrize(("path", "values"), REFUSED, ids=str)
async def test_a_value_that_is_refused_turns_nothing(local: httpx.AsyncClient, path: str, values: Any) -> None:
    before = (await local.get("/")).json()
    answer = await local.patch(path, json=values)
    assert answer.status_code == 422
    assert answer.json()["error"]
    assert (await local.get("/")).json() == before
    good: dict[str, Any] = {"fault": "slow"}
    assert (await local.patch(path, json=good)).status_code == 200


async def test_unknown_places_are_not_found(local: httpx.AsyncClient) -> None:
    for path in ("/exchanges/none", "/exchanges/htx/keys/none"):
        assert (await local.patch(path, json={})).status_code == 404
    for path in ("/exchanges/htx/keys/empty/balances/none/BTC", "/exchanges/htx/keys/none/balances/spot/BTC"):
        assert (await local.put(path, json={"available": "1"})).status_code == 404
    for values in ({"available": "NaN"}, {"available": "-1"}, {"available": "x"}, {"borrowed": "1"}):
        assert (await local.put("/exchanges/htx/keys/empty/balances/spot/BTC", json=values)).status_code == 422


@pytest.mark.parametrize(
    ("address", "origin", "headers"),
    [
        ("192.0.2.7", LOCAL, {}),
        ("127.0.0.1", "http://rebound.example.org:8100", {}),
        ("127.0.0.1", LOCAL, {"X-Forwarded-For": "192.0.2.7"}),
        ("127.0.0.1", LOCAL, {"Sec-Fetch-Site": "cross-site"}),
    ],
)
async def test_nobody_from_elsewhere_turns_anything(
    sandbox_app: Starlette, address: str, origin: str, headers: dict[str, str]
) -> None:
    transport = httpx.ASGITransport(sandbox_app, client=(address, 5000))
    async with httpx.AsyncClient(transport=transport, base_url=origin, headers=headers) as client:
        assert (await client.get("/_sandbox/")).status_code == 403
        assert (await client.patch("/_sandbox/exchanges/htx", json={"fault": "slow"})).status_code == 403


async def test_changes_come_as_json_only(local: httpx.AsyncClient) -> None:
    """A form of another site's page can post text and forms without asking; JSON it cannot."""
    answer = await local.patch("/exchanges/htx", content=b'{"fault":"slow"}', headers={"Content-Type": "text/plain"})
    assert answer.status_code == 422
    assert (await local.post("/reset", content=b"")).status_code == 422


def test_every_fault_is_somebodys() -> None:
    assert set(EXCHANGE_FAULTS) | set(KEY_FAULTS) == set(Fault)
