"""Fixtures of the whole suite: a migrated database of each kind, a clock that tests move, the app and its client."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from app.db import Database
from app.main import Outside, create_app
from app.masking import Secret
from app.settings import Settings
from tests.databases import PostgresCluster, copy_sqlite, create_sqlite_template
from tests.people import QUICK_PASSWORDS, SignedIn, sign_up_first

START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ORIGIN = "http://127.0.0.1:8000"


class FakeClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **amount: float) -> None:
        self.now += timedelta(**amount)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database", choices=("both", "sqlite", "postgresql"), default="both", help="which database the tests use")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a skipped test is a failure: nobody reads why it was skipped."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database_kind" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--database")
        kinds = ["sqlite", "postgresql"] if chosen == "both" else [chosen]
        marked = [pytest.param(kind, marks=pytest.mark.postgresql if kind == "postgresql" else ()) for kind in kinds]
        metafunc.parametrize("database_kind", marked)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return create_sqlite_template(tmp_path_factory.mktemp("sqlite") / "template.db")


@pytest.fixture(scope="session")
def postgres_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresCluster]:
    with PostgresCluster.start() as cluster:
        yield cluster


@pytest.fixture
def database_url(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Secret]:
    """The URL of a fresh, migrated database of the kind under test."""
    if database_kind == "sqlite":
        yield copy_sqlite(request.getfixturevalue("sqlite_template"), tmp_path / "keydeck.db")
    else:
        with request.getfixturevalue("postgres_cluster").create_database() as url:
            yield url


@pytest.fixture
async def database(database_url: Secret) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.aclose()


@pytest.fixture
def settings(database_url: Secret, tmp_path: Path) -> Settings:
    return Settings(
        database_url=database_url,
        data_dir=tmp_path,
        keyring_file=tmp_path / "keyring.json",
        public_url=ORIGIN,
        sandbox="on",
        egress=("203.0.113.10", "2001:db8::10"),
        log_format="text",
    )


@pytest.fixture
def outside(clock: FakeClock) -> Outside:
    """The world outside the app: a fake clock, no sleeping, quick password hashing, no network but the sandbox."""

    async def skip_sleep(seconds: float) -> None:
        raise TimeoutError  # what a sleep beyond the deadline ends in, without the wait

    async def skip_pause(seconds: float) -> None:
        """Waiting its turn takes no time here."""

    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no network in tests")

    return Outside(
        clock=clock, sleep=skip_sleep, pause=skip_pause, transport=httpx.MockTransport(refuse), passwords=QUICK_PASSWORDS
    )


@pytest.fixture
async def app(settings: Settings, outside: Outside) -> AsyncIterator[object]:
    created = create_app(settings, outside=outside)
    async with created.router.lifespan_context(created):
        yield created
    created.router.routes.clear()  # the runner's last traceback keeps every app: let go of what is large in it
    created.middleware_stack = None
    vars(created.state)["_state"].clear()


@pytest.fixture
def make_client(app: object) -> Callable[[], httpx.AsyncClient]:
    """Make a browser-like client: it sends the headers a browser sends for its own site and keeps cookies."""

    def make() -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 50000))  # type: ignore[arg-type]
        return httpx.AsyncClient(
            transport=transport, base_url=ORIGIN, headers={"Sec-Fetch-Site": "same-origin", "Origin": ORIGIN}
        )

    return make


@pytest.fixture
async def client(make_client: Callable[[], httpx.AsyncClient]) -> AsyncIterator[httpx.AsyncClient]:
    """A browser that is not signed in."""
    async with make_client() as opened:
        yield opened


@pytest.fixture
async def signed_in(app: object, client: httpx.AsyncClient) -> SignedIn:
    """The same browser, signed in as the first user (trader and operator)."""
    return await sign_up_first(app, client)
