"""A workbench for tests of credentials: the first user, the service on a session, sandbox keys by name, what is stored."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self

from sqlalchemy import text

from app.accounts.current_user import Principal
from app.accounts.models import User
from app.accounts.roles import Role
from app.credentials.connect import ConnectInput
from app.credentials.service import Credentials
from app.credentials.views import CredentialView, Step
from app.db import Base
from app.identifiers import create_id
from app.masking import Secret
from app.sandbox.keys import SandboxKey


class Bench:
    """One app with one user; every verb runs in a writing unit of its own, as a request does."""

    def __init__(self, app: Any, principal: Principal) -> None:
        self.state = app.state
        self.principal = principal
        self.steps: list[Step] = []

    @classmethod
    async def open(cls, app: Any, email: str = "trader@example.org") -> Self:
        user_id = create_id("usr")
        async with app.state.database.write() as session:
            row = User(id=user_id, email=email, password_hash="x", roles=["trader"], created_at=app.state.clock())
            session.add(row)
        return cls(app, cls.principal_of(user_id, email))

    @staticmethod
    def principal_of(user_id: str, email: str) -> Principal:
        return Principal(user_id, email, frozenset({Role.TRADER}), None, None, None, "127.0.0.1")

    @asynccontextmanager
    async def work(self) -> AsyncIterator[Credentials]:
        async with self.state.database.write() as session:
            yield Credentials(
                session,
                vault=self.state.vault,
                exchanges=self.state.exchanges,
                settings=self.state.settings,
                clock=self.state.clock,
            )

    def key(self, exchange: str, scenario: str) -> SandboxKey:
        return next(key for key in self.state.sandbox_keys if (key.exchange, key.scenario) == (exchange, scenario))

    async def connect(
        self,
        exchange: str = "hitbtc",
        scenario: str = "read-only",
        *,
        plan: str | None = None,
        label: str = "",
        attested: bool = False,
        secrets: Mapping[str, Secret] | None = None,
        environment: str = "sandbox",
    ) -> CredentialView:
        key = self.key(exchange, scenario)
        entered = ConnectInput(exchange, environment, label, plan or key.plan, secrets or key.secrets, attested=attested)
        self.steps.clear()

        async def listen(step: Step) -> None:
            self.steps.append(step)

        async with self.work() as credentials:
            return await credentials.connect(self.principal, entered, on_step=listen)

    async def check(self, credential_id: str) -> CredentialView:
        async with self.work() as credentials:
            return await credentials.check(self.principal, credential_id)

    async def replace(self, credential_id: str, key: SandboxKey) -> CredentialView:
        async with self.work() as credentials:
            return await credentials.replace(self.principal, credential_id, key.secrets)

    async def dump(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return every row of every table, to compare before and after."""
        async with self.state.database.connect() as connection:
            return {
                table.name: sorted((tuple(row) for row in await connection.execute(table.select())), key=repr)
                for table in Base.metadata.sorted_tables
            }

    async def execute(self, statement: str, **values: Any) -> None:
        async with self.state.database.write() as session:
            await session.execute(text(statement), values)


def final_states(steps: list[Step]) -> list[str]:
    """Return the last state told of each step, in order."""
    return list({step.name: step.state.value for step in steps}.values())
