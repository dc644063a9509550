"""The people, keys and open doors that the authorization table speaks of, made through the product's own pages and calls."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
from sqlalchemy import null, select, update

from app.accounts.factor_models import Passkey
from app.accounts.models import UserSession
from app.accounts.roles import Role, Scope
from app.accounts.setup import ensure_setup_link
from app.alerts.models import Alert, AlertChannel
from app.credentials.models import Credential, CredentialBalances
from app.credentials.records import write_sheet
from app.db import Base
from app.exchanges.types import BalanceSheet
from app.identifiers import create_id
from tests.accounts.doors import PASSWORD, Unit, add_person, find_copied
from tests.accounts.factors import Phone, set_up_app
from tests.balances.views import make_balance
from tests.canaries import make_canary

SITE = "https://keydeck.example.org"
ADDRESS = "198.51.100.23"
BROWSER = {"Sec-Fetch-Site": "same-origin", "Origin": SITE, "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"}
EXCHANGE, SCENARIO = "hitbtc", "read-only"
HOLDER = "alice@example.org"
MARKS = {"label": "gr1d-b0t-mark", "key hint": "zq7w", "amount": "613.90817263"}

PRINCIPALS = {
    "anon": "Nobody is signed in.",
    "owner": "Trader A, whose key, sessions and tokens are asked for; proved who they are a moment ago.",
    "stale": "Trader A in another browser, whose last proof is older than five minutes.",
    "pending": "Trader A after the password and before the second factor.",
    "other": "Trader B, with a fresh proof.",
    "support": "Support, with second factor and a fresh proof.",
    "operator": "Operator, with second factor and a fresh proof.",
    "stale-op": "The operator in another browser, whose last proof is older than five minutes.",
    "bare": "Support and operator at once, signed in by password alone: no second factor was set up.",
    "expired": "A session of trader A, idle for too long.",
    "disabled": "The session of a trader who was disabled.",
    "t:status": "An API token of trader A with the scope status:read.",
    "t:balances": "An API token of trader A with the scope balances:read.",
    "t:manage": "An API token of trader A with the scope credentials:manage.",
    "t:support": "An API token of support with the scope support:read.",
    "t:other": "An API token of trader B with every scope a trader may have.",
    "t:bare": "An API token of support and operator at once with every scope they may have; no second factor was set up.",
    "t:ended": "An API token of trader A whose time is over.",
}


@dataclass
class World:
    """One app with everybody in it.

    `doors` holds the headers that let each principal in, `places` real ids by parameter, `words` one-time tokens, and
    `entered` what trader A typed to connect a key: marked, so that it is found wherever it comes out.
    """

    app: Any
    client: httpx.AsyncClient
    clock: Any
    doors: dict[str, dict[str, str]] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    entered: dict[str, str] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    phones: dict[str, Phone] = field(default_factory=dict)
    stored: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    async def ask(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **sent: Any) -> httpx.Response:
        """Send one request without any memory of the one before."""
        self.client.cookies.clear()
        async with asyncio.timeout(10):
            return await self.client.request(method, path, headers={**(headers or {}), **sent.pop("headers", {})}, **sent)

    async def begin_sign_in(self, name: str) -> dict[str, str]:
        """Give e-mail and password; returns the headers of further requests: half a session where a factor is due."""
        form = {"email": f"{name}@example.org", "password": PASSWORD}
        return keep_cookies(await self.ask("POST", "/sign-in", headers=BROWSER, data=form))

    async def sign_in(self, name: str) -> dict[str, str]:
        """Sign in as a browser does, with the code of the person's phone if they have one."""
        headers = await self.begin_sign_in(name)
        if name not in self.phones:
            return headers
        self.clock.advance(seconds=30)
        form = {"code": self.phones[name].show(self.clock())}
        return keep_cookies(await self.ask("POST", "/sign-in/code", headers=headers, data=form))

    async def give_phone(self, name: str) -> None:
        """Set an authenticator app up on the pages, and end the session that did it."""
        self.client.cookies.clear()
        self.client.headers.update(BROWSER)
        await self.client.post("/sign-in", data={"email": f"{name}@example.org", "password": PASSWORD})
        self.phones[name], _ = await set_up_app(self.client, self.clock)
        await self.client.post("/sign-out")

    async def save(self) -> None:
        """Remember every row of every table."""
        async with self.app.state.database.connect() as connection:
            self.stored = {
                table.name: [dict(row._mapping) for row in await connection.execute(select(table))]
                for table in Base.metadata.sorted_tables
            }

    async def restore(self) -> None:
        """Put every row back as it was remembered: what one request did is undone before the next."""
        async with self.app.state.database.write() as session:
            for table in reversed(Base.metadata.sorted_tables):
                await session.execute(table.delete())
            for table in Base.metadata.sorted_tables:
                kept = [column.name for column in table.columns if column.computed is None]
                rows = [{name: null() if row[name] is None else row[name] for name in kept} for row in self.stored[table.name]]
                if rows:
                    await session.execute(table.insert().values(rows))


def keep_cookies(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 303, answer.text
    return {**BROWSER, "Cookie": "; ".join(f"{name}={value}" for name, value in answer.cookies.items())}


async def build_world(app: Any, client: httpx.AsyncClient, clock: Any) -> World:
    """Let everybody in: first those whose time shall be over, then those whose proof shall be old, then the others."""
    world = World(app, client, clock)
    await add_people(world)
    world.doors["anon"] = dict(BROWSER)
    world.doors["expired"] = await world.sign_in("alice")
    world.doors["t:ended"] = await make_token(world, "alice", [Scope.STATUS_READ], days=1)
    clock.advance(days=2)
    for name in ("alice", "sam", "olga"):
        await world.give_phone(name)
    world.doors["stale"] = await world.sign_in("alice")
    world.doors["stale-op"] = await world.sign_in("olga")
    clock.advance(minutes=6)
    for principal, name in (("owner", "alice"), ("other", "bob"), ("support", "sam"), ("operator", "olga"), ("bare", "otto")):
        world.doors[principal] = await world.sign_in(name)
    await add_objects(world)
    world.doors["disabled"] = await world.sign_in("dora")
    async with Unit(app) as accounts:
        await accounts.disable(world.ids["dora"])
    for name, scope in (("status", Scope.STATUS_READ), ("balances", Scope.BALANCES_READ), ("manage", Scope.CREDENTIALS_MANAGE)):
        world.doors[f"t:{name}"] = await make_token(world, "alice", [scope])
    world.doors["t:support"] = await make_token(world, "sam", [Scope.SUPPORT_READ])
    world.doors["t:bare"] = await make_token(world, "otto", None)
    world.doors["t:other"] = await make_token(world, "bob", None)
    clock.advance(seconds=30)
    world.doors["pending"] = await world.begin_sign_in("alice")
    assert set(world.doors) == set(PRINCIPALS)
    await world.save()
    return world


async def add_people(world: World) -> None:
    """Make the first operator by the one-time link, the others as the command line does."""
    state = world.app.state
    link = await ensure_setup_link(state.database, clock=state.clock, public_url=state.settings.public_url)
    assert link is not None
    world.words["setup"] = link.split("token=")[1]
    form = {"email": "olga@example.org", "password": PASSWORD, "token": world.words["setup"]}
    assert (await world.ask("POST", "/setup", headers=BROWSER, data=form)).status_code == 303
    rows = dict.fromkeys(("alice", "bob", "carol", "dora"), (Role.TRADER,))
    for name, roles in {**rows, "sam": (Role.SUPPORT,), "otto": (Role.SUPPORT, Role.OPERATOR)}.items():
        world.ids[name] = (await add_person(world.app, f"{name}@example.org", *roles)).id
    async with Unit(world.app) as accounts:
        world.ids["olga"] = (await accounts.find_user("olga@example.org")).id
        await accounts.set_roles(world.ids["olga"], roles=[Role.OPERATOR])


async def make_token(world: World, name: str, scopes: list[Scope] | None, *, days: int | None = None) -> dict[str, str]:
    async with Unit(world.app) as accounts:
        issued = await accounts.create_token(world.ids[name], name="program", scopes=scopes, expires_in_days=days)
    return {"Authorization": f"Bearer {issued.token.reveal()}"}


async def add_objects(world: World) -> None:
    """Give trader A a key with marked values, a second session and a token; and the operator an invitation."""
    await connect_key(world)
    await world.sign_in("alice")
    world.places["session_id"] = await _find_newest_session(world)
    invited = await world.ask("POST", "/people/invitations", headers=world.doors["operator"], data={"role": "trader"})
    world.words["invitation"] = find_copied(invited.text).split("token=")[1]
    for name, kind in (("bob", "reset-link"), ("alice", "factor-reset")):
        made_link = await world.ask("POST", f"/people/{world.ids[name]}/{kind}", headers=world.doors["operator"])
        world.words[kind] = find_copied(made_link.text).split("token=")[1]
    async with Unit(world.app) as accounts:
        made = await accounts.create_token(world.ids["alice"], name="bot", scopes=[Scope.STATUS_READ])
        world.places["token_id"] = made.view.id
        world.places["invitation_id"] = (await accounts.list_invitations())[0].id
    world.places |= {"user_id": world.ids["carol"], "slug": EXCHANGE, "passkey_id": await add_passkey(world)}
    await add_alerts(world)
    begun = await world.ask("POST", "/security/two-step/app", headers=world.doors["other"])
    assert begun.status_code == 303
    world.phones["bob's next"] = await _read_seed(world)


async def add_alerts(world: World) -> None:
    """Give trader A an alert, a channel it goes out by, and a calendar's private link."""
    owner = world.doors["owner"]
    form = {"name": "Bot", "url": "https://hooks.example.org/keydeck"}
    assert (await world.ask("POST", "/alerts/add/webhook", headers=owner, data=form)).status_code == 200
    link = find_copied((await world.ask("POST", "/alerts/calendar", headers=owner)).text)
    world.places |= {"kind": "webhook", "alert_id": create_id("alt"), "token": link.rsplit("/", 1)[1].removesuffix(".ics")}
    async with world.app.state.database.write() as session:
        world.places["channel_id"] = (await session.execute(select(AlertChannel.id))).scalar_one()
        alert = Alert(id=world.places["alert_id"], user_id=world.ids["alice"], at=world.clock(), kind="withdraw_gained")
        alert.credential_id, alert.phase, alert.facts = world.places["credential_id"], "began", {}
        session.add(alert)


async def add_passkey(world: World) -> str:
    """Give trader A a passkey whose device is elsewhere."""
    identifier = create_id("pky")
    async with world.app.state.database.write() as session:
        session.add(
            Passkey(
                id=identifier,
                user_id=world.ids["alice"],
                name="Laptop",
                credential_id="AAAA",
                public_key=b"x",
                sign_count=0,
                is_synced=False,
                transports=[],
                created_at=world.clock(),
            )
        )
    return identifier


async def _read_seed(world: World) -> Phone:
    page = await world.ask("GET", "/security/two-step", headers=world.doors["other"])
    return Phone(find_copied(page.text).replace(" ", ""))


async def _find_newest_session(world: World) -> str:
    query = select(UserSession.id).where(UserSession.user_id == world.ids["alice"]).order_by(UserSession.created_at.desc())
    async with world.app.state.database.read() as session:
        return str((await session.execute(query.limit(1))).scalar_one())


async def connect_key(world: World) -> None:
    """Connect a real sandbox key, then mark what nobody but its owner may see."""
    manage = await make_token(world, "alice", [Scope.CREDENTIALS_MANAGE])
    secrets = world.entered = plant_key(world)
    body = {"exchange": EXCHANGE, "environment": "sandbox", "label": MARKS["label"], "plan": "balances", "secrets": secrets}
    made = await world.ask("POST", "/api/v1/credentials", headers=manage, json=body)
    assert made.status_code == 201, made.text
    identifier = made.json()["id"]
    world.places["credential_id"] = identifier
    sheet = write_sheet(BalanceSheet((make_balance(f"spot BTC {MARKS['amount']} 0"),)))
    async with world.app.state.database.write() as session:
        await session.execute(update(Credential).values(key_hint=MARKS["key hint"]))
        await session.execute(update(CredentialBalances).values(document=sheet, fetched_at=world.app.state.clock()))


def plant_key(world: World) -> dict[str, str]:
    """Give a sandbox account a key of marked parts; returns what to enter to connect it."""
    sandbox = world.app.state.sandbox.state.sandbox
    account = sandbox.find_key(EXCHANGE, SCENARIO)
    parts = [make_canary(f"trader A's {name}", length=96) for name in ("public part", "secret part")]
    key = replace(account, access_key=parts[0][: len(account.access_key)], secret=parts[1][: len(account.secret)])
    account.customer.keys.append(key)
    sandbox.add_keys([key])
    return {"api_key": key.access_key, "secret_key": key.secret}


def find_secrets(world: World, scenario: str) -> dict[str, str]:
    """Return what to enter to connect a sandbox key."""
    key = next(key for key in world.app.state.sandbox_keys if (key.exchange, key.scenario) == (EXCHANGE, scenario))
    return {name: value.reveal() for name, value in key.secrets.items()}
