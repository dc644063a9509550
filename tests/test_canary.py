"""No secret comes out anywhere: known secrets go through every form and call, and every way out is searched for them."""

import logging
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute, iter_route_contexts

from app.accounts.setup import ensure_setup_link
from app.audit import record_event
from app.logs import LineFormatter
from app.sandbox.keys import SandboxKey
from app.settings import SettingsError, load_settings
from tests.canaries import Ear, RaisedTexts, Scanner, make_canary, read_files, read_rows

ROOT = Path(__file__).resolve().parent.parent
UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
PASSWORD, NEW_PASSWORD, WRONG_PASSWORD = (
    make_canary(name, tail='"<é&') for name in ("password", "new password", "wrong password")
)
STRAY = {
    name: make_canary(f"stray {name}", tail='/+="<')
    for name in (
        "secret_key",
        "password",
        "current_password",
        "new_password",
        "token",
        "bearer",
        "cookie",
        "broken",
        "plain",
        "nested",
        "file",
    )
}
EMAIL = "trader@example.org"


@dataclass
class Outlet:
    """Everything that came out: answers by what was asked, raw records, written log lines, texts of exceptions."""

    answers: list[tuple[str, bytes]] = field(default_factory=list)
    ear: Ear = field(default_factory=Ear)
    raised: RaisedTexts = field(default_factory=lambda: RaisedTexts(ROOT / "app"))

    async def keep(self, answer: httpx.Response) -> None:
        body = await answer.aread()
        head = "\n".join(f"{name}: {value}" for name, value in answer.headers.multi_items())
        self.answers.append((f"{answer.request.method} {answer.request.url.path}", head.encode() + b"\n" + body))


@pytest.fixture
def outlet() -> Iterator[Outlet]:
    """Every logger at DEBUG, those that logging keeps quiet too: what they say is heard raw and as it would be written."""
    found = Outlet()
    root = logging.getLogger()
    levels = {name: logging.getLogger(name).level for name in ["", *logging.root.manager.loggerDict]}
    for name in levels:
        logging.getLogger(name or None).setLevel(logging.DEBUG)
    handlers, root.handlers[:] = root.handlers[:], [found.ear]
    yield found
    root.handlers[:] = handlers
    for name, level in levels.items():
        logging.getLogger(name or None).setLevel(level)


@pytest.fixture
async def browser(make_client: Callable[[], httpx.AsyncClient], outlet: Outlet) -> AsyncIterator[httpx.AsyncClient]:
    """A browser whose every answer is kept."""
    async with make_client() as client:
        client.event_hooks = {"response": [outlet.keep]}
        yield client


def plant_keys(app: Any) -> list[tuple[SandboxKey, str, str]]:
    """Give every sandbox account a key whose two parts are canaries. Returns (scenario, public part, secret to enter)."""
    sandbox = app.state.sandbox.state.sandbox
    planted = []
    for known in app.state.sandbox_keys:
        account = sandbox.find_key(known.exchange, known.scenario)
        public = make_canary(f"public {known.exchange} {known.scenario}", length=len(account.access_key))
        secret = make_canary(f"secret {known.exchange} {known.scenario}", length=len(account.secret))
        is_right = known.secrets["secret_key"].reveal() == account.secret
        key = replace(account, access_key=public, secret=secret if is_right else account.secret)
        account.customer.keys.append(key)
        sandbox.add_keys([key])
        planted.append((known, public, secret))
    return planted


def list_unsafe_routes(app: Any) -> list[tuple[str, str]]:
    """Return method and path of every route that takes something, with the path's parameters filled in."""
    found = set()
    for context in iter_route_contexts(app.routes):
        route = getattr(context, "original_route", context)
        if isinstance(route, APIRoute):
            path = re.sub(r"\{exchange[^}]*\}|\{slug\}", app.state.sandbox_keys[0].exchange, route.path)
            found |= {(method, re.sub(r"\{[^}]+\}", "crd_0000", path)) for method in route.methods & UNSAFE}
    return sorted(found)


def list_bodies() -> list[dict[str, Any]]:
    """Return the same secrets in every wrapping a form or program could send, right or broken."""
    form = {name: value for name, value in STRAY.items() if name not in ("bearer", "cookie", "broken", "plain", "nested", "file")}
    known = {
        "exchange": "none",
        "environment": "sandbox",
        "label": "x",
        "plan": "balances",
        "email": EMAIL,
        "name": "x",
        "q": EMAIL,
    }
    nested = {"api_key": make_canary("stray public"), "secret_key": STRAY["nested"], STRAY["nested"]: "as a name"}
    return [
        {"data": {**known, **form}},
        {"data": form},
        {"json": {**known, **form, "secrets": nested}},
        {"json": {**known, "secrets": [STRAY["nested"]]}},
        {"json": {**known, "plan": STRAY["nested"], "environment": STRAY["nested"], "secrets": nested}},
        {"json": [STRAY["nested"]]},
        {"content": '{"secrets": {"secret_key": "' + STRAY["broken"], "headers": {"Content-Type": "application/json"}},
        {"content": STRAY["plain"], "headers": {"Content-Type": "text/plain"}},
        {"content": "%" + STRAY["plain"], "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
        {"files": {"secret_key": (STRAY["file"], STRAY["file"].encode())}, "data": form},
        {"json": {"secrets": {"secret_key": STRAY["nested"] * 2000}}},
        {"headers": {"Authorization": f"Bearer kd_{STRAY['bearer']}", "X-API-Key": STRAY["bearer"]}, "data": form},
        {"headers": {"Authorization": f"Basic {STRAY['bearer']}"}, "json": {"secrets": nested}},
    ]


async def send_strays(app: Any, client: httpx.AsyncClient, headers: Mapping[str, str], *, below: str = "/") -> None:
    """Send every body to every route that takes one."""
    for method, path in list_unsafe_routes(app):
        if path == "/sign-out" or not path.startswith(below):
            continue
        for body in list_bodies():
            await client.request(method, path, **{**body, "headers": {**headers, **body.get("headers", {})}})


async def open_account(app: Any, client: httpx.AsyncClient) -> str:
    """Create the first account with a canary for a password, sign in again, fail to, and make an API token."""
    state = app.state
    link = await ensure_setup_link(state.database, clock=state.clock, public_url=state.settings.public_url)
    assert link is not None
    token = link.split("token=")[1]
    for email, password in (("no address", PASSWORD), (EMAIL, PASSWORD[:6]), (EMAIL, PASSWORD)):
        answer = await client.post("/setup", data={"email": email, "password": password, "token": token})
    assert answer.status_code == 303, answer.text
    client.cookies.clear()
    for password in (WRONG_PASSWORD, PASSWORD):
        answer = await client.post("/sign-in", data={"email": EMAIL, "password": password})
    assert answer.status_code == 303
    change = {"current_password": WRONG_PASSWORD, "new_password": NEW_PASSWORD}
    await client.post("/security/password", data=change)
    answer = await client.post("/security/password", data={**change, "current_password": PASSWORD})
    assert answer.status_code == 303
    scopes = ["status:read", "balances:read", "credentials:manage", "support:read"]
    made = await client.post("/security/tokens", data={"name": "canary", "scope": scopes, "expires_in_days": "never"})
    shown = re.search(r"kd_[A-Za-z0-9_-]{20,}", made.text)
    assert shown is not None
    return shown[0]


STREAM = {"Accept": "text/event-stream"}


async def use_key(client: httpx.AsyncClient, bearer: Mapping[str, str], known: SandboxKey, public: str, secret: str) -> None:
    """Try to connect one key wrongly, then rightly; what is stored is used in every way, by the API and by the pages."""
    body = {"exchange": known.exchange, "environment": "sandbox", "label": known.scenario, "plan": known.plan}
    secrets = {"api_key": public, "secret_key": secret}
    page = f"/credentials/connect/{known.exchange}"
    for wrong in ({**body, "label": secret}, {**body, "environment": secret}, {**body, "plan": "everything"}):
        await client.post("/api/v1/credentials", json={**wrong, "secrets": secrets}, headers=bearer)
    await client.post("/api/v1/credentials", json={**body, "secrets": {"api_key": secret, "secret_key": public}}, headers=bearer)
    for field_name, value in (("plan", "everything"), ("environment", "none"), ("label", "x" * 41), ("api_key", "")):
        await client.post(page, data={**body, **secrets, field_name: value})
    answer = await client.post("/api/v1/credentials", json={**body, "secrets": secrets}, headers=bearer)
    assert (answer.status_code == 201) == known.stored, f"{known.exchange} {known.scenario}: {answer.text}"
    if known.stored:
        await use_stored(client, bearer, f"/credentials/{answer.json()['id']}", secrets=secrets)
    again = await client.post(page, data={**body, **secrets})
    if known.scenario != "drifting":  # that one may withdraw by now
        assert again.status_code == (303 if known.stored else 422), f"{known.exchange} {known.scenario}"
    stream = await client.post(page, data={**body, **secrets}, headers=STREAM)
    assert stream.headers["content-type"].startswith("text/event-stream")


async def use_stored(client: httpx.AsyncClient, bearer: Mapping[str, str], page: str, *, secrets: Mapping[str, str]) -> None:
    """Do everything that can be done with a stored key, rightly and wrongly, look at every page, and disconnect it."""
    call, secret = f"/api/v1{page}", secrets["secret_key"]
    wrong = {**secrets, "secret_key": STRAY["nested"]}
    await client.post(f"{call}/check", headers=bearer)
    for entered in (wrong, secrets):
        await client.put(f"{call}/secrets", json={"secrets": entered}, headers=bearer)
        await client.post(f"{page}/replace", data=entered)
        await client.post(f"{page}/replace", data=entered, headers=STREAM)
    await client.patch(call, json={"label": secret}, headers=bearer)
    for verb, form in (("check", {}), ("plan", {"plan": secret}), ("pause", {}), ("resume", {}), ("disconnect", None)):
        await (client.get(f"{page}/{verb}") if form is None else client.post(f"{page}/{verb}", data=form))
    for path in (call, f"{call}/checks", "/api/v1/credentials", "/api/v1/balances", "/api/v1/exchanges"):
        await client.get(path, headers=bearer)
    for path in (
        page,
        f"{page}/checks",
        f"{page}/guide",
        f"{page}/replace",
        "/credentials",
        "/balances",
        "/activity",
        "/operations",
    ):
        await client.get(path)
    await client.post("/support", data={"q": EMAIL, "ticket": "4821"})
    await client.get("/metrics")
    gone = await client.delete(call, headers=bearer)
    assert gone.status_code == 204


def make_scanner(planted: list[tuple[SandboxKey, str, str]]) -> Scanner:
    canaries = {f"secret of {known.exchange} {known.scenario}": secret for known, _, secret in planted}
    canaries |= {"password": PASSWORD, "new password": NEW_PASSWORD, "wrong password": WRONG_PASSWORD}
    canaries |= {f"stray {name}": value for name, value in STRAY.items()}
    return Scanner(canaries)


async def search(app: Any, outlet: Outlet, scanner: Scanner, *, answers: list[tuple[str, bytes]] | None = None) -> list[str]:
    """Return every canary found, with the way out it took."""
    folder = app.state.settings.data_dir
    outs: list[tuple[str, bytes]] = [*(outlet.answers if answers is None else answers)]
    outs += [(f"logger {prefix}", outlet.ear.list_heard(prefix)) for prefix in ("app", "keydeck", "fastapi", "uvicorn")]
    outs += [
        ("log line", outlet.ear.write_lines(LineFormatter(as_json=True))),
        ("exception", "\n".join(outlet.raised.texts).encode()),
    ]
    outs += [("database row", await read_rows(app.state.database))]
    outs += [(f"file {name}", content) for name, content in read_files(folder).items()]
    return [f"{where}: {found}" for where, content in outs for found in scanner.find(content)]


def is_refilled(asked: str) -> bool:
    """Tell whether an answer may hold the public part: the form it was sent from, filled in again for its sender."""
    return asked.startswith("POST /credentials/")


@pytest.mark.timeout(900)
async def test_no_secret_comes_out_anywhere(app: Any, browser: httpx.AsyncClient, outlet: Outlet) -> None:
    planted = plant_keys(app)
    with outlet.raised:
        await send_strays(app, browser, {})
        await browser.get("/credentials", headers={"Cookie": f"keydeck_session={STRAY['cookie']}"})
        token = await open_account(app, browser)
        await send_strays(app, browser, {})
        bearer = {"Authorization": f"Bearer {token}"}
        await send_strays(app, browser, bearer, below="/api/")
        for known, public, secret in planted:
            await use_key(browser, bearer, known, public, secret)
    assert len(planted) >= 20, "the issue asks for 20 secrets"
    assert len(outlet.answers) > 500
    assert outlet.raised.texts, "the tracer saw nothing"
    assert await search(app, outlet, make_scanner(planted)) == []
    public_parts = Scanner({f"public part of {known.exchange} {known.scenario}": public for known, public, _ in planted})
    answers = [(asked, content) for asked, content in outlet.answers if not is_refilled(asked)]
    assert await search(app, outlet, public_parts, answers=answers) == []


async def test_even_an_exception_that_holds_a_secret_is_not_shown(
    app: Any, browser: httpx.AsyncClient, outlet: Outlet, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = plant_keys(app)
    bearer = {"Authorization": f"Bearer {await open_account(app, browser)}"}
    known, public, secret = next(row for row in planted if row[0].scenario == "read-only")

    async def explode(self: Any, *arguments: Any, **options: Any) -> Any:
        raise RuntimeError(f"https://example.org/?Signature={secret} {secret} {arguments!r}")

    body = {"exchange": known.exchange, "environment": "sandbox", "label": "x", "plan": known.plan}
    secrets = {"api_key": public, "secret_key": secret}
    for stage in ("read_clock", "check", "fetch_balances"):
        with monkeypatch.context() as patch:
            for kind in app.state.exchanges._kinds.values():
                patch.setattr(kind, stage, explode)
            answer = await browser.post("/api/v1/credentials", json={**body, "secrets": secrets}, headers=bearer)
            assert answer.status_code in (201, 422, 500), stage
            await browser.post(f"/credentials/connect/{known.exchange}", data={**body, **secrets})
    scanner = make_scanner(planted)
    assert [found for _, content in outlet.answers for found in scanner.find(content)] == []
    assert scanner.find(outlet.ear.write_lines(LineFormatter(as_json=True))) == []
    assert scanner.find(await read_rows(app.state.database)) == []


@pytest.mark.parametrize("spelling", ["raw", "reversed", "hex", "url", "json", "html", "base64 1", "beginning"])
def test_the_scanner_finds_every_spelling(spelling: str) -> None:
    scanner = make_scanner([])
    for name in ("bearer", "nested"):
        code = Scanner({name: STRAY[name]})._spellings[name].get(spelling, STRAY[name].encode())
        assert any(found.startswith(f"stray {name}") for found in scanner.find(b"before" + code + b"after"))
    assert scanner.find(b"nothing to see here" * 1000) == []


async def test_every_way_out_is_searched(app: Any, browser: httpx.AsyncClient, outlet: Outlet) -> None:
    """The positive control: what is planted in each way out is found there."""
    canary = make_canary("control")

    async def echo() -> str:
        return canary

    app.add_api_route("/control", echo)
    with outlet.raised:
        await browser.get("/control")
        logging.getLogger("app.control").debug("planted %s", canary)
        logging.getLogger("httpx").debug("planted %s", canary)
        with pytest.raises(SettingsError):
            load_settings({f"KEYDECK_{canary}": "x"})
    async with app.state.database.write() as session:
        record_event(session, "control.planted", at=app.state.clock(), actor_id=None, owner_id=None, detail={"canary": canary})
    found = {line.split(":")[0] for line in await search(app, outlet, Scanner({"control": canary}))}
    assert {"GET /control", "logger app", "log line", "exception", "database row"} <= found
    if app.state.database.is_sqlite:
        assert found & {"file keydeck.db", "file keydeck.db-wal"}
