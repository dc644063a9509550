"""Lets schemathesis loose on the app by its own OpenAPI document: in this process, as several people, every request counted."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import schemathesis
from schemathesis import hooks
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.generation import GenerationMode
from schemathesis.python import asgi

from app.accounts.roles import Role
from app.main import Outside, create_app
from app.sandbox.keys import list_keys
from app.settings import Settings
from tests.accounts.doors import Unit, add_person

PEOPLE = {"alice": (Role.TRADER,), "bob": (Role.TRADER,), "sam": (Role.SUPPORT,), "olga": (Role.OPERATOR,)}
TAKES_SECRETS = ("POST /api/v1/credentials", "PUT /api/v1/credentials/{credential_id}/secrets")
# A key that fits the schema is still refused when the exchange does not know it; a label may be too long once it is trimmed.
JUDGED_ELSEWHERE = (*TAKES_SECRETS, "PATCH /api/v1/credentials/{credential_id}")

REJECTIONS = [400, 401, 403, 404, 405, 409, 413, 415, 422, 429]


@dataclass
class Outcome:
    """What came of it. `failures` holds one message per check, call and kind of failure."""

    requests: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    failures: dict[tuple[str, str, str], str] = field(default_factory=dict)
    phases: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)


class Counted:
    """The app behind a counter: no request of whatever phase goes past it."""

    def __init__(self, app: Any, outcome: Outcome) -> None:
        self.app = app
        self.outcome = outcome

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def watch(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.outcome.statuses[message["status"]] += 1
            await send(message)

        self.outcome.requests += scope["type"] == "http"
        await self.app(scope, receive, watch)


async def make_tokens(settings: Settings, outside: Outside) -> dict[str, str]:
    """Make the people and a token for each, with every scope their role allows."""
    app = create_app(settings, outside=outside)
    tokens = {}
    async with app.router.lifespan_context(app):
        for name, roles in PEOPLE.items():
            person = await add_person(app, f"{name}@example.org", *roles)
            async with Unit(app) as accounts:
                tokens[name] = (await accounts.create_token(person.id, name="fuzz")).token.reveal()
    return tokens


def write_config(tokens: dict[str, str], *, folder: Path, seed: int, examples: int) -> SchemathesisConfig:
    """Describe the run: two traders who must not see each other's objects, all phases, all checks."""
    doors = [
        {"name": name, "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {token}"}]} for name, token in tokens.items()
    ]
    path = folder / f"people-{seed}.json"
    path.write_text(json.dumps({"auth": doors}))
    return SchemathesisConfig.from_dict(
        {
            "seed": seed,
            "base-url": "http://127.0.0.1:8000",
            "cache": {"enabled": False},
            "continue-on-failure": True,
            "request-timeout": 120,  # a busy machine is no fault of the API; a hang still is
            "auth": {"wfc": {"path": str(path), "peers": ["alice", "bob"]}},
            "generation": {"max-examples": examples, "database": "none", "no-shrink": True},
            "phases": {"stateful": {"generation": {"max-examples": max(5, examples // 2)}}},
            "checks": {"negative_data_rejection": {"expected-statuses": REJECTIONS}},
            "operations": [
                {"include-name": name, "checks": {"positive_data_acceptance": {"enabled": False}}} for name in JUDGED_ELSEWHERE
            ],
        }
    )


@contextmanager
def running(settings: Settings, outside: Outside) -> Iterator[tuple[Counted, dict[str, str]]]:
    """An app that schemathesis may ask, with its people in it."""
    tokens = asyncio.run(make_tokens(settings, outside))
    try:
        yield Counted(create_app(settings, outside=outside), Outcome()), tokens
    finally:
        asgi.shutdown_lifespans()


def fuzz(app: Counted, tokens: dict[str, str], *, folder: Path, seed: int, examples: int) -> Outcome:
    """Make one run of all phases, and add what came of it to the app's outcome."""
    config = write_config(tokens, folder=folder, seed=seed, examples=examples)
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, config=config, headers={"Host": "127.0.0.1:8000"})
    keys = [{"exchange": key.exchange, "plan": key.plan, "secrets": key.show_secrets()} for key in list_keys()]
    chance = random.Random(seed)

    def enter_real_key(_context: Any, case: Any, _kwargs: Any) -> None:
        """Put a key of the sandbox into every second right request, so that credentials come into being and are replaced."""
        is_right = case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE
        if case.operation.label in TAKES_SECRETS and is_right and chance.random() < 0.5:
            key = chance.choice(keys)
            known = {"exchange": key["exchange"], "environment": "sandbox", "plan": key["plan"], "label": "Fuzzed"}
            case.body = {**(known if case.method == "POST" else {}), "secrets": key["secrets"]}

    schemathesis.hook("before_call")(enter_real_key)
    try:
        for event in from_schema(schema).execute():
            _note(event, app.outcome)
    finally:
        hooks.unregister(enter_real_key)
    return app.outcome


def _note(event: events.EngineEvent, outcome: Outcome) -> None:
    if isinstance(event, events.NonFatalError):
        outcome.failures["the run itself", event.label, type(event.value).__name__] = str(event.value)[:500]
    elif isinstance(event, events.FatalError):
        outcome.failures["the run itself", "", type(event.exception).__name__] = str(event.exception)[:500]
    elif isinstance(event, events.ScenarioFinished):
        for exchange in event.recorder.interactions.values():
            if exchange.response is not None:
                outcome.phases[event.phase.name] += 1
                outcome.answered[f"{event.label} {exchange.response.status_code}"] += 1
        for check in (check for checks in event.recorder.checks.values() for check in checks if check.failure_info):
            failure = check.failure_info.failure
            told = f"{failure.message}\n{check.failure_info.code_sample}"
            outcome.failures[check.name, failure.operation, failure.title] = told[:1500]
