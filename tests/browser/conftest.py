"""A real server and a real Chromium for the whole journey; every violation of the content policy is a failure."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from tests.browser.server import RunningServer, run_server
from tests.browser.visits import Visit, set_proof_age

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
EMAIL = "trader@example.org"
PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with run_server(tmp_path_factory.mktemp("keydeck")) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def session(server: RunningServer, browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Open the set-up link that the server printed, make the first account, and keep its cookies in a file."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(server.setup_link)
    page.get_by_label("E-mail").fill(EMAIL)
    page.locator('input[type="password"]').fill(PASSWORD)
    page.locator("main form button").last.click()
    page.get_by_role("heading", name="Connect your first exchange").wait_for()
    cookies = tmp_path_factory.mktemp("session") / "cookies.json"
    context.storage_state(path=cookies)
    context.close()
    return cookies


@pytest.fixture
def visit(server: RunningServer, browser: Browser, session: Path) -> Iterator[Callable[..., Visit]]:
    """Open a signed-in tab, with scripts or without; at the end its console must have been quiet."""
    opened: list[tuple[BrowserContext, Visit]] = []

    def start(*, scripts: bool = True, width: int = 1280, dark: bool = False) -> Visit:
        set_proof_age(server.database, seconds=0)  # the session is shared by tests that together take more than five minutes
        context = browser.new_context(
            java_script_enabled=scripts,
            storage_state=session,
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
        )
        context.set_default_timeout(15_000)
        tab = Visit(context.new_page(), server.origin)
        tab.page.on("pageerror", lambda error: tab.complaints.append(str(error)))
        tab.page.on("console", lambda message: tab.complaints.append(message.text) if message.type == "error" else None)
        opened.append((context, tab))
        return tab

    yield start
    for context, tab in opened:
        context.close()
        assert [text for text in tab.complaints if "422 (Unprocessable" not in text and "404 (Not Found" not in text] == []
