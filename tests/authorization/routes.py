"""Lists what the app answers, from the app object itself, and how each route is asked so that its action can be reached."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import Mount, Route

from tests.accounts.doors import PASSWORD
from tests.authorization.world import HOLDER, World, find_secrets

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
Ask = dict[str, Any]
TICKET = "4821"
PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")
WEBHOOK = {"name": "Bot", "url": "https://hooks.example.org/keydeck"}


def list_routes(app: Any) -> list[tuple[str, str]]:
    """Return (method, path) of everything that answers; a mounted folder or app counts as one GET of what lies below it."""
    return sorted(set(_walk(app)), key=lambda row: (row[1], METHODS.index(row[0]) if row[0] in METHODS else 9))


def _walk(app: Any) -> Iterator[tuple[str, str]]:
    for context in iter_route_contexts(app.routes):
        route = getattr(context, "original_route", context)
        if isinstance(route, Mount):
            yield "GET", f"{route.path}/…"
        elif isinstance(route, Route | APIRoute):
            for method in route.methods or ():
                if method not in ("HEAD", "OPTIONS"):
                    yield method, route.path
        else:
            yield type(route).__name__, getattr(route, "path", "?")


def fill(path: str, world: World) -> str:
    """Return the path with real ids in place of its parameters. A parameter nobody gave an object for is named."""

    def put(found: re.Match[str]) -> str:
        if found[1] not in world.places:
            raise AssertionError(f"give {found[0]} of {path} a real object: world.places[{found[1]!r}] in tests/authorization/")
        return world.places[found[1]]

    return PARAMETER.sub(put, path).replace("/…", "/css/keydeck.css")


def list_parameters(path: str) -> list[str]:
    return [found[1] for found in PARAMETER.finditer(path)]


def make_request(method: str, path: str, *, world: World, principal: str) -> Ask:
    """Return what to send so that somebody who may do it succeeds: only authorization shall decide."""
    make = REQUESTS.get((method, path))
    return make(world, principal) if make else {}


def _form(**fields: Any) -> Callable[[World, str], Ask]:
    return lambda _world, _principal: {"data": fields}


def _json(**fields: Any) -> Callable[[World, str], Ask]:
    return lambda _world, _principal: {"json": fields}


def _enter_key(world: World, _principal: str) -> Ask:
    fields = {"label": "Another", "environment": "sandbox", "plan": "balances"}
    return {"data": {**fields, **find_secrets(world, "read-trade")}}


def _send_key(world: World, _principal: str) -> Ask:
    fields = {"exchange": world.places["slug"], "environment": "sandbox", "label": "Another", "plan": "balances"}
    return {"json": {**fields, "secrets": find_secrets(world, "read-trade")}}


def _accept(world: World, _principal: str) -> Ask:
    return {"data": {"token": world.words["invitation"], "email": "new@example.org", "password": "quiet orange lantern harbour"}}


def _enter_code(world: World, _principal: str) -> Ask:
    return {"data": {"code": world.phones["alice"].show(world.clock())}}


def _confirm_app(world: World, _principal: str) -> Ask:
    return {"data": {"code": world.phones["bob's next"].show(world.clock())}}


def _confirm(world: World, principal: str) -> Ask:
    name = {"owner": "alice", "stale": "alice", "support": "sam", "operator": "olga", "stale-op": "olga"}.get(principal, "")
    code = world.phones[name].show(world.clock()) if name else ""
    return {"data": {"confirm_password": PASSWORD, "confirm_code": code, "confirm_next": "/activity"}}


def _make_token(_world: World, principal: str) -> Ask:
    scope = "support:read" if principal in ("support", "operator", "stale-op") else "status:read"
    return {"data": {"name": "script", "scope": scope, "expires_in_days": "30"}}


REQUESTS: dict[tuple[str, str], Callable[[World, str], Ask]] = {
    ("POST", "/sign-in"): _form(email="carol@example.org", password=PASSWORD),
    ("POST", "/sign-up"): _form(email="new@example.org", password="quiet orange lantern harbour"),
    ("GET", "/invitation"): lambda world, _: {"params": {"token": world.words["invitation"]}},
    ("POST", "/invitation"): _accept,
    ("GET", "/setup"): lambda world, _: {"params": {"token": world.words["setup"]}},
    ("POST", "/setup"): lambda world, _: {
        "data": {"token": world.words["setup"], "email": "new@example.org", "password": "quiet orange lantern harbour"}
    },
    ("POST", "/security/password"): _form(current_password=PASSWORD, new_password="quiet orange lantern harbour"),
    ("POST", "/security/tokens"): _make_token,
    ("POST", "/people/invitations"): _form(role="trader"),
    ("POST", "/people/{user_id}/roles"): _form(role="support"),
    ("GET", "/credentials/live"): lambda world, _: {"params": {"id": world.places["credential_id"]}},
    ("POST", "/policy-reports"): _json(**{"csp-report": {"effective-directive": "script-src", "blocked-uri": "inline"}}),
    ("POST", "/sign-in/code"): _enter_code,
    ("POST", "/security/confirm"): _confirm,
    ("POST", "/security/two-step/app/confirm"): _confirm_app,
    ("POST", "/security/passkeys/{passkey_id}/rename"): _form(name="Desk"),
    ("POST", "/alerts/add/{kind}"): _form(**WEBHOOK),
    ("POST", "/alerts/channels/{channel_id}"): _form(name="Renamed"),
    ("POST", "/alerts/quiet-hours"): _form(quiet="on", quiet_from="22:00", quiet_to="07:00", time_zone="Europe/Berlin"),
    ("POST", "/people"): _form(q="carol"),
    ("GET", "/reset"): lambda world, _: {"params": {"token": world.words["reset-link"]}},
    ("POST", "/reset"): lambda world, _: {
        "data": {"token": world.words["reset-link"], "new_password": "quiet orange lantern harbour"}
    },
    ("GET", "/factor-reset"): lambda world, _: {"params": {"token": world.words["factor-reset"]}},
    ("POST", "/factor-reset"): lambda world, _: {"data": {"token": world.words["factor-reset"], "password": PASSWORD}},
    ("POST", "/theme"): _form(theme="dark"),
    ("POST", "/support"): _form(q=HOLDER, ticket=TICKET),
    ("GET", "/api/v1/support/credentials"): lambda _world, _principal: {"params": {"q": HOLDER, "ticket": TICKET}},
    ("POST", "/credentials/connect/{slug}"): _enter_key,
    ("POST", "/credentials/{credential_id}/replace"): lambda world, _: {"data": world.entered},
    ("POST", "/credentials/{credential_id}/rename"): _form(label="Renamed"),
    ("POST", "/credentials/{credential_id}/plan"): _form(plan="balances"),
    ("POST", "/api/v1/credentials"): _send_key,
    ("PATCH", "/api/v1/credentials/{credential_id}"): _json(label="Renamed"),
    ("PUT", "/api/v1/credentials/{credential_id}/secrets"): lambda world, _: {"json": {"secrets": world.entered}},
}
