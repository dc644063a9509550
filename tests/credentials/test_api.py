"""The JSON API as a program meets it: verbs, problem documents, paging, and input of every bad kind, nothing echoed."""

import json
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from app.accounts.service import Accounts
from app.sandbox.keys import SandboxKey
from tests.people import SignedIn

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
CANARY = "canary-7f3a-secret-value-0123456789"


class Program:
    """A client with a token, and nothing a browser sends by itself."""

    def __init__(self, app: Any, client: httpx.AsyncClient) -> None:
        self.app = app
        self.client = client

    def key(self, exchange: str, scenario: str) -> SandboxKey:
        return next(key for key in self.app.state.sandbox_keys if (key.exchange, key.scenario) == (exchange, scenario))

    def body(self, exchange: str = "hitbtc", scenario: str = "read-only", **changes: Any) -> dict[str, Any]:
        key = self.key(exchange, scenario)
        secrets = {name: secret.reveal() for name, secret in key.secrets.items()}
        return {"exchange": exchange, "environment": "sandbox", "label": "Main", "plan": key.plan, "secrets": secrets, **changes}

    async def connect(self, *given: str, **changes: Any) -> dict[str, Any]:
        answer = await self.client.post("/api/v1/credentials", json=self.body(*given, **changes))
        assert answer.status_code == 201, answer.text
        return dict(answer.json())


@pytest.fixture
async def program(app: Any, signed_in: SignedIn, make_client: Callable[[], httpx.AsyncClient]) -> AsyncIterator[Program]:
    state = app.state
    async with state.database.write() as session:
        accounts = Accounts(session, clock=state.clock, passwords=state.passwords, settings=state.settings)
        issued = await accounts.create_token(signed_in.user_id, name="test")
    async with make_client() as client:
        client.headers.pop("origin", None)
        client.headers.pop("sec-fetch-site", None)
        client.headers["authorization"] = f"Bearer {issued.token.reveal()}"
        yield Program(app, client)


async def test_exchanges_tell_what_a_form_needs(program: Program) -> None:
    answer = (await program.client.get("/api/v1/exchanges")).json()
    first = answer["items"][0]
    assert {one["slug"] for one in answer["items"]} >= {"hitbtc", "htx", "bitexbit"}
    assert [field["name"] for field in first["fields"]] == ["api_key", "secret_key"]
    assert first["permissions"] == {"balances": ["read"], "trading": ["read", "trade"]}
    assert "sandbox" in [environment["name"] for environment in first["environments"]]
    assert first["guide"]
    assert answer["egress"] == ["203.0.113.10", "2001:db8::10"]


async def test_connect_and_read_back(program: Program) -> None:
    answer = await program.client.post("/api/v1/credentials", json=program.body("htx", "expiring", label="<b>Main</b>"))
    assert answer.status_code == 201
    made = answer.json()
    assert answer.headers["location"] == f"/api/v1/credentials/{made['id']}"
    assert (made["status"], made["code"], made["label"]) == ("expiring", "key_expiring", "<b>Main</b>")
    assert made["problem"]["who_acts"] == "trader"
    assert made["problem"]["copy"] == "203.0.113.10, 2001:db8::10"
    assert made["grants"]["withdraw"] == {**made["grants"]["withdraw"], "answer": "no", "proof": "told"}
    assert made["balances"]["assets"] > 0
    assert made["balances"]["age_seconds"] == 0
    for name in ("checked_at", "next_check_at", "expires_at", "created_at"):
        assert MOMENT.fullmatch(made[name])
    assert MOMENT.fullmatch(made["grants"]["read"]["known_at"])
    assert (await program.client.get(answer.headers["location"])).json() == made
    assert "secret" not in json.dumps(made).lower().replace("secret key", "")


@pytest.mark.parametrize(
    ("exchange", "scenario", "code", "who"),
    [
        ("htx", "withdraw-enabled", "withdraw_enabled", "trader"),
        ("hitbtc", "wrong-secret", "bad_signature", "trader"),
        ("hitbtc", "ip-restricted", "ip_not_allowed", "trader"),
        ("bitexbit", "no-permissions", "permission_missing", "trader"),
        ("htx", "expired", "key_expired", "trader"),
        ("hitbtc", "maintenance", "maintenance", "exchange"),
        ("bitexbit", "slow", "unreachable", "nobody"),
        ("hitbtc", "clock-skew", "clock_skew", "operator"),
    ],
)
async def test_a_refused_key_is_explained_and_not_stored(
    program: Program, exchange: str, scenario: str, code: str, who: str
) -> None:
    body = program.body(exchange, scenario)
    answer = await program.client.post("/api/v1/credentials", json=body)
    problem = answer.json()
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert (problem["code"], problem["who_acts"], problem["status"]) == (code, who, 422)
    assert all(problem[name] for name in ("title", "detail", "next_step", "steps", "request_id"))
    assert "grants" in problem
    assert not [value for value in body["secrets"].values() if value in answer.text]
    assert (await program.client.get("/api/v1/credentials")).json()["items"] == []
    assert (await program.connect(exchange, "read-only"))["status"] == "connected"


async def test_the_same_key_twice_names_the_one_that_exists(program: Program) -> None:
    made = await program.connect()
    answer = await program.client.post("/api/v1/credentials", json=program.body())
    assert (answer.status_code, answer.json()["code"], answer.json()["existing_id"]) == (422, "duplicate_key", made["id"])


@pytest.mark.parametrize(
    "changes",
    [
        {"exchange": CANARY},
        {"environment": "moon"},
        {"plan": "all"},
        {"label": "x" * 41},
        {"label": "x" * 5000},
        {"secrets": {}},
        {"secrets": {"api_key": CANARY}},
        {"secrets": {"api_key": CANARY, "secret_key": ""}},
        {"secrets": {"api_key": "x" * 9000, "secret_key": CANARY}},
        {"secrets": {"api_key": 5, "secret_key": CANARY}},
        {"secrets": {"api_key": None, "secret_key": CANARY}},
        {"secrets": CANARY},
        {"secrets": {CANARY: "x", "api_key": CANARY, "secret_key": CANARY}},
        {"secrets": {"api_key": CANARY, "secret_key": CANARY}, "label": CANARY},
        {CANARY: CANARY},
        {"attested": CANARY},
    ],
)
async def test_bad_input_is_named_and_never_echoed(program: Program, changes: dict[str, Any]) -> None:
    answer = await program.client.post("/api/v1/credentials", json={**program.body(), **changes})
    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] == "invalid_input"
    assert answer.json()["next_step"]
    assert CANARY not in answer.text
    assert "x" * 30 not in answer.text
    assert (await program.connect())["status"] == "connected"


@pytest.mark.parametrize(
    ("content", "kind", "statuses"),
    [
        (b'{"secrets": "' + CANARY.encode(), "application/json", {400, 422}),
        (f'["{CANARY}"]'.encode(), "application/json", {422}),
        (b"", "application/json", {422}),
        (b"\xff\xfe" + CANARY.encode(), "application/json", {400, 422}),
        (b"[" * 60000, "application/json", {400, 422}),
        (json.dumps({"secrets": {"api_key": CANARY}}).encode(), "text/plain", {415, 422}),
        (f"secrets={CANARY}".encode(), "application/x-www-form-urlencoded", {415, 422}),
        (json.dumps({"label": CANARY * 3000}).encode(), "application/json", {413}),
    ],
)
async def test_a_body_that_is_no_request_gets_a_problem(program: Program, content: bytes, kind: str, statuses: set[int]) -> None:
    answer = await program.client.post("/api/v1/credentials", content=content, headers={"content-type": kind})
    assert answer.status_code in statuses, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"]
    assert CANARY not in answer.text


async def test_the_verbs(program: Program) -> None:
    made = await program.connect()
    path = f"/api/v1/credentials/{made['id']}"
    renamed = (await program.client.patch(path, json={"label": "Spare", "paused": True})).json()
    assert (renamed["label"], renamed["status"], renamed["paused"]) == ("Spare", "paused", True)
    assert (await program.client.patch(path, json={"paused": False})).json()["status"] == "connected"
    assert (await program.client.patch(path, json={"paused": "yes"})).status_code == 422
    assert (await program.client.patch(path, json={"label": ""})).json()["field"] == "label"
    assert (await program.client.patch(path, json={"plan": "trading"})).json()["status"] == "waiting"
    checked = await program.client.post(f"{path}/check")
    assert (checked.status_code, checked.json()["id"]) == (200, made["id"])
    wrong = {"secrets": program.body("hitbtc", "wrong-secret")["secrets"]}
    refused = await program.client.put(f"{path}/secrets", json=wrong)
    assert (refused.status_code, refused.json()["code"]) == (422, "bad_signature")
    right = {"secrets": program.body("hitbtc", "read-trade")["secrets"]}
    assert (await program.client.put(f"{path}/secrets", json=right)).json()["status"] == "connected"
    gone = await program.client.delete(path)
    assert (gone.status_code, gone.content) == (204, b"")
    for method, where, body in (
        ("GET", path, None),
        ("PATCH", path, {"label": "x"}),
        ("DELETE", path, None),
        ("POST", f"{path}/check", None),
        ("PUT", f"{path}/secrets", right),
        ("GET", f"{path}/checks", None),
        ("GET", "/api/v1/credentials/" + "x" * 60, None),
    ):
        answer = await program.client.request(method, where, json=body)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), (method, where)


async def test_checks_are_paged_with_their_evidence(program: Program) -> None:
    made = await program.connect()
    path = f"/api/v1/credentials/{made['id']}"
    for _ in range(4):
        await program.client.post(f"{path}/check")
    first = (await program.client.get(f"{path}/checks", params={"limit": 2})).json()
    second = (await program.client.get(f"{path}/checks", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    third = (await program.client.get(f"{path}/checks", params={"limit": 2, "cursor": second["next_cursor"]})).json()
    ids = [item["id"] for page in (first, second, third) for item in page["items"]]
    assert (len(ids), len(set(ids)), third["next_cursor"]) == (5, 5, None)
    item = first["items"][0]
    assert [step["name"] for step in item["steps"]][:2] == ["format", "reachable"]
    assert {"call", "asked_at", "outcome", "http_status", "latency_ms"} == set(item["evidence"][0])
    assert (await program.client.get(f"{path}/checks", params={"limit": 0})).status_code == 422
    assert (await program.client.get(f"{path}/checks", params={"cursor": "chk_unknown"})).json()["items"] == []


async def test_credentials_are_paged(program: Program) -> None:
    made = [await program.connect("hitbtc", scenario, label="") for scenario in ("read-only", "read-trade", "empty")]
    first = (await program.client.get("/api/v1/credentials", params={"limit": 2})).json()
    second = (await program.client.get("/api/v1/credentials", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert {item["id"] for item in first["items"] + second["items"]} == {item["id"] for item in made}
    assert {item["label"] for item in made} == {"HitBTC", "HitBTC 2", "HitBTC 3"}
    assert second["next_cursor"] is None
    empty = next(item for item in made if item["label"] == "HitBTC 3")
    assert empty["balances"]["assets"] == 0


async def test_strangers_get_nothing(make_client: Callable[[], httpx.AsyncClient], program: Program) -> None:
    made = await program.connect()
    async with make_client() as stranger:
        for path in ("/api/v1/exchanges", "/api/v1/credentials", f"/api/v1/credentials/{made['id']}"):
            answer = await stranger.get(path)
            assert (answer.status_code, answer.json()["code"]) == (401, "sign_in_needed")
        assert (await stranger.post("/api/v1/credentials", json=program.body("htx"))).status_code == 401


async def test_openapi_describes_every_call(program: Program) -> None:
    document = (await program.client.get("/openapi.json")).json()
    connect = document["paths"]["/api/v1/credentials"]["post"]
    assert {"201", "401", "403", "422"} <= set(connect["responses"])
    assert "application/problem+json" in connect["responses"]["422"]["content"]
    assert document["components"]["schemas"]["ConnectBody"]["example"]["plan"] == "balances"
    text = json.dumps(document)
    for name in set(re.findall(r"#/components/schemas/(\w+)", text)):
        assert name in document["components"]["schemas"], name
