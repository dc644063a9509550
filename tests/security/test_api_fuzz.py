"""At least 20,000 requests made from our own OpenAPI document: none ends in a 5xx or breaks what the document says.

`KEYDECK_FUZZ_REQUESTS=500000 pytest tests/security/test_api_fuzz.py` makes more of them.
"""

import os
from pathlib import Path
from typing import Any

import pytest
from fastapi import Request
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import current_user
from app.accounts.current_user import Principal
from app.accounts.roles import Role, Scope
from app.credentials.lookups import Lookups
from app.credentials.views import CredentialView
from app.main import Outside
from app.masking import Secret
from app.settings import Settings
from app.support.service import Support
from app.web.errors import SignInNeeded
from tests.databases import copy_sqlite
from tests.security.api_fuzz import fuzz, running

SHARDS = 4
REQUESTS_PER_SHARD = int(os.environ.get("KEYDECK_FUZZ_REQUESTS", "20000")) // SHARDS
EXAMPLES_PER_ROUND = min(400, REQUESTS_PER_SHARD // 12)
pytestmark = [
    pytest.mark.timeout(1200),
    # what hypothesis says of a failing example with a large answer; the failure itself is told by the run
    pytest.mark.filterwarnings("ignore:Generating overly large repr"),
]


@pytest.fixture(autouse=True)
def no_netrc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the client from looking for a file of passwords before each request."""
    monkeypatch.setenv("NETRC", "/nowhere")


@pytest.fixture
def settings(tmp_path: Path, sqlite_template: Path) -> Settings:
    return Settings(
        database_url=Secret(copy_sqlite(sqlite_template, tmp_path / "keydeck.db").reveal()),
        data_dir=tmp_path,
        sandbox="on",
        egress=("203.0.113.10",),
    )


@pytest.fixture
def moving(outside: Outside) -> Outside:
    """The same world without the clock that stands still: every request has its own moment."""
    return Outside(sleep=outside.sleep, pause=outside.pause, transport=outside.transport, passwords=outside.passwords)


@pytest.mark.parametrize("shard", range(SHARDS))
def test_no_request_breaks_the_api(settings: Settings, moving: Outside, tmp_path: Path, shard: int) -> None:
    with running(settings, moving) as (app, tokens):
        rounds = 0
        while app.outcome.requests < REQUESTS_PER_SHARD and not app.outcome.failures:
            fuzz(app, tokens, folder=tmp_path, seed=1000 * shard + rounds, examples=EXAMPLES_PER_ROUND)
            rounds += 1
        outcome = app.outcome
    assert not outcome.failures, "\n\n".join(f"{key}: {told}" for key, told in outcome.failures.items())
    assert outcome.requests >= REQUESTS_PER_SHARD
    assert {status for status in outcome.statuses if status >= 500} == set()
    assert {"EXAMPLES", "COVERAGE", "FUZZING", "STATEFUL_TESTING"} <= set(outcome.phases), "a phase was left out"
    assert outcome.statuses[201] > 0, "keys were connected"
    assert outcome.statuses[204] > 0, "and disconnected"


def test_a_hole_between_traders_is_found(
    settings: Settings, outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check has teeth: with the owner left out of the query, one trader gets another's credential, and it is told."""
    guarded = Lookups.get

    async def get(self: Lookups, credential_id: str, *, user_id: str) -> CredentialView:
        owner = await self._session.scalar(text("SELECT user_id FROM credentials WHERE id = :id"), {"id": credential_id})
        return await guarded(self, credential_id, user_id=owner or user_id)

    monkeypatch.setattr(Lookups, "get", get)
    with running(settings, outside) as (app, tokens):
        outcome = fuzz(app, tokens, folder=tmp_path, seed=7, examples=40)
    assert "object_level_authorization" in {check for check, _, _ in outcome.failures}


@pytest.mark.parametrize("hole", ["no token", "a wrong token"])
def test_an_open_door_is_found(
    settings: Settings, outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hole: str
) -> None:
    """Whoever comes with no token, or with a wrong one, is taken for a trader: the check of forgotten authentication tells."""
    guarded = current_user._identify_token

    async def take_for_alice(request: Request, session: AsyncSession) -> Principal | None:
        try:
            found = await guarded(request, session)
        except SignInNeeded:
            if hole != "a wrong token":
                raise
            found = None
        if found is not None or ("authorization" in request.headers) is not (hole == "a wrong token"):
            return found
        user_id = str(await session.scalar(text("SELECT id FROM users WHERE email = 'alice@example.org'")))
        known = {"user_id": user_id, "email": "alice@example.org", "roles": frozenset({Role.TRADER}), "scopes": frozenset(Scope)}
        return Principal(**known, session_id=None, token_id="tok_none", ip="127.0.0.1")

    monkeypatch.setattr(current_user, "_identify_token", take_for_alice)
    with running(settings, outside) as (app, tokens):
        outcome = fuzz(app, tokens, folder=tmp_path, seed=7, examples=5)
    assert "ignored_auth" in {check for check, _, _ in outcome.failures}


def test_a_server_error_is_found(settings: Settings, outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_words: Any, **_named: Any) -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr(Support, "look_up", fail)
    with running(settings, outside) as (app, tokens):
        outcome = fuzz(app, tokens, folder=tmp_path, seed=7, examples=5)
    assert ("not_a_server_error", "GET /api/v1/support/credentials", "Server error") in outcome.failures
    assert outcome.statuses[500] > 0
