"""500 payloads through every stored or echoed text, in real Chromium: nothing runs, nothing is refused, no markup comes out."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from app.accounts.roles import Role
from app.main import Outside
from app.masking import Secret
from app.sandbox.keys import list_keys
from app.settings import Settings
from tests.accounts.doors import Unit, add_person
from tests.browser.conftest import CHROMIUM
from tests.databases import copy_sqlite
from tests.people import EMAIL
from tests.security.https_server import HttpsServer, run_https
from tests.security.payloads import COUNT, list_payloads
from tests.security.stored_texts import ROWS, Stored, list_undeclared
from tests.security.test_observatory import sign_up

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
PAYLOADS = list_payloads()
HERE = Path(__file__).parent
NUMBER = re.compile(r"q(\d{1,3})q", re.IGNORECASE)
CONNECTED = 12
OTHERS = 3  # keys of these that belong to other people, for support to look up
# how many payloads each page must show over all rounds: a page that shows none of them proves nothing
AT_LEAST = {
    "/credentials": 100,
    "/balances": 75,
    "/activity": 300,
    "/security": 300,
    "/alerts": 300,
    "/people": 150,
    "/operations": 50,
    "/support": 20,
}
WATCH = (HERE / "xss/watch.js").read_text()
LOOK = (HERE / "xss/look.js").read_text()


@pytest.fixture
def server(tmp_path: Path, sqlite_template: Path, outside: Outside) -> Iterator[HttpsServer]:
    url = Secret(copy_sqlite(sqlite_template, tmp_path / "keydeck.db").reveal())
    settings = Settings(database_url=url, data_dir=tmp_path, sandbox="on", open_sign_up="on")
    with run_https(settings, outside, folder=tmp_path) as running:
        yield running


@pytest.fixture
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


class Visitor:
    """A signed-in tab that judges every page it is on; `seen` holds the payloads' numbers that a page showed."""

    def __init__(self, browser: Browser, server: HttpsServer, cookies: list[str]) -> None:
        self.context = browser.new_context(ignore_https_errors=True)
        names = [line.split(";")[0].partition("=") for line in cookies]
        self.context.add_cookies(
            [{"name": name, "value": value, "url": server.origin, "secure": True} for name, _, value in names]  # type: ignore[list-item]
        )
        self.context.add_init_script(WATCH)
        self.page: Page = self.context.new_page()
        self.page.on("dialog", lambda dialog: self.wrong.append(f"a dialog opened: {dialog.message}"))
        self.origin = server.origin
        self.wrong: list[str] = []
        self.seen: set[int] = set()
        self.visited = 0

    def open(self, path: str) -> str:
        answer = self.page.goto(self.origin + path, wait_until="load")
        assert answer is not None
        assert answer.status < 500, path
        return self.judge(path)

    def send(self, path: str, fields: dict[str, str]) -> str:
        """Send a form from a page of ours, as a person who typed the fields."""
        with self.page.expect_navigation(wait_until="load"):
            self.page.evaluate(
                """([path, fields]) => {
                  const form = document.createElement("form");
                  Object.assign(form, { method: "post", action: path });
                  for (const [name, value] of Object.entries(fields)) {
                    const input = document.createElement("textarea");
                    Object.assign(input, { name, value });
                    form.append(input);
                  }
                  document.body.append(form);
                  form.submit();
                }""",
                [path, fields],
            )
        return self.judge(f"POST {path}")

    def judge(self, path: str) -> str:
        found: dict[str, list[Any]] = self.page.evaluate(LOOK)
        self.wrong += [f"{path}: {kind} {items[:3]}" for kind, items in found.items() if items]
        html = self.page.content()
        self.seen |= read_numbers(html)
        self.visited += 1
        return html


def furnish(server: HttpsServer, cookies: list[str]) -> tuple[str, list[str]]:
    """Give the first user every role and more keys, and bring in other people; returns the user's id and the keys' ids."""
    state = server.app.state
    with server.make_client() as client:
        client.cookies.update(dict(line.split(";")[0].split("=", 1) for line in cookies))
        stored = [key for key in list_keys() if key.stored and key.scenario not in ("slow", "drifting")]
        for key in stored[:CONNECTED]:
            form = {"environment": "sandbox", "plan": key.plan, "label": key.scenario, **key.show_secrets()}
            client.post(f"/credentials/connect/{key.exchange}", data=form)
        listed = client.get("/api/v1/credentials?limit=100").json()["items"]

    async def bring_in() -> str:
        for number in range(ROWS):
            await add_person(server.app, f"person{number}@example.org", Role.TRADER)
        async with Unit(server.app) as accounts:
            user_id = (await accounts.find_user(EMAIL)).id
            await accounts.set_roles(user_id, roles=list(Role))
        return user_id

    user_id = server.call(bring_in())
    assert state.policy_reports.total == 0
    return user_id, [item["id"] for item in listed]


def list_pages(ids: list[str]) -> list[str]:
    one = f"/credentials/{ids[0]}"
    return [
        "/credentials", one, f"{one}/checks", f"{one}/guide", f"{one}/replace", f"{one}/disconnect", f"{one}?connected=1",
        "/credentials/connect", "/credentials/connect/htx", "/balances", "/activity", "/security", "/security/two-step",
        "/alerts", "/people", "/support", "/operations", "/exchanges", "/nowhere", "/sign-up",
    ]  # fmt: skip


def test_no_payload_runs(server: HttpsServer, browser: Browser, tmp_path: Path) -> None:
    assert list_undeclared() == [], "a new text that pages may show: name it in stored_texts.TEXTS"
    cookies = sign_up(server)
    user_id, ids = furnish(server, cookies)
    visitor = Visitor(browser, server, cookies)
    for path in list_pages(ids):
        visitor.open(path)
    assert visitor.wrong == []
    assert server.app.state.policy_reports.total == 0, "a normal page broke the policy"
    stored = Stored(tmp_path / "keydeck.db")
    ids, others = ids[:-OTHERS], ids[-OTHERS:]
    stored.hand_over(others)
    stored.multiply(user_id)
    endless = itertools.cycle(PAYLOADS)
    shown: dict[str, set[int]] = {}

    def note(path: str) -> set[int]:
        found, visitor.seen = visitor.seen, set()
        shown.setdefault(path.partition("?")[0], set()).update(found)
        return found

    checks = [f"/credentials/{key_id}/checks" for key_id in ids[:2]]
    pages = ["/credentials", *checks, "/balances", "/activity?days=0", "/security", "/alerts", "/people", "/operations"]
    note("before")
    for round_ in range(COUNT // ROWS):
        stored.fill(lambda: next(endless), keep_email_of=user_id)
        for _ in range(7 * round_ + 1):
            next(endless)  # so that each text meets other payloads in each round
        for path in pages:
            visitor.open(path)
            note(path)
        key_id = ids[round_ % len(ids)]
        visitor.open(f"/credentials/{key_id}")
        seen = note(f"/credentials/{key_id}")
        assert len(read_numbers(stored.list_texts("credential_changes", "facts", key_id=key_id)) & seen) >= 5, "what changed"
        assert read_numbers(stored.list_texts("credential_checks", "allowed_ips", key_id=key_id)) & seen, "where it is bound to"
        for other in others:
            visitor.send("/support", {"q": other, "ticket": f"T-{round_}"})
            note("/support")
    del shown["before"]
    assert visitor.wrong == []
    assert server.app.state.policy_reports.total == 0
    together = set().union(*shown.values())
    assert together == set(range(COUNT)), f"not shown: {sorted(set(range(COUNT)) - together)[:20]}"
    least = {path: AT_LEAST.get(path, 50 if path in checks else 15) for path in shown}  # the others are pages of one key
    assert {path: len(seen) for path, seen in shown.items() if len(seen) < least[path]} == {}, "this page shows too few"
    assert set(AT_LEAST) <= set(shown)


def read_numbers(text: str) -> set[int]:
    return {int(number) for number in NUMBER.findall(text)}


def test_no_echo_runs(server: HttpsServer, browser: Browser) -> None:
    cookies = sign_up(server)
    _, ids = furnish(server, cookies)
    visitor = Visitor(browser, server, cookies)
    stranger = Visitor(browser, server, [])
    endless = itertools.cycle(PAYLOADS)
    picked: list[str] = []

    def pick() -> str:
        picked.append(next(endless))
        return picked[-1]

    asked = {
        "/credentials": ("q", "status", "sort", "disconnected"),
        "/credentials/connect": ("q",),
        "/credentials/connect/htx": ("environment", "plan"),
        "/activity": ("q", "kind", "days", "before"),
        "/balances": ("q", "currency"),
        "/security": ("done",),
    }
    for _ in range(20):
        for path, names in asked.items():
            visitor.open(f"{path}?{urlencode({name: pick() for name in names})}")
        stranger.open(f"/sign-in?{urlencode({'next': pick()})}")
        visitor.open(f"/nowhere/{urlencode({'': pick()})}")
        stranger.open("/sign-up")
        stranger.send("/sign-up", {"email": pick(), "password": pick()[:8]})
        visitor.open("/credentials/connect/htx")
        visitor.send(
            "/credentials/connect/htx",
            {"label": pick(), "environment": pick(), "plan": pick(), "api_key": pick(), "secret_key": "x"},
        )
        visitor.send(f"/credentials/{ids[0]}/rename", {"label": pick()})
        visitor.send("/people", {"q": pick()})
        visitor.send("/support", {"q": pick(), "ticket": pick()})
    assert set(picked) == set(PAYLOADS), "every payload was sent"
    assert visitor.wrong + stranger.wrong == []
    assert server.app.state.policy_reports.total == 0
    assert len(visitor.seen | stranger.seen) >= 100, "pages echo what was typed"


def test_the_watch_sees_what_runs(server: HttpsServer, browser: Browser) -> None:
    """Positive controls: payloads run where nothing stops them, and on our pages the browser refuses and tells us."""
    context = browser.new_context()
    context.add_init_script(WATCH)
    page = context.new_page()
    page.goto("about:blank")
    page.set_content("<!DOCTYPE html><body>" + "".join(PAYLOADS[:4]))
    page.wait_for_function("window.__ran && window.__ran.length >= 3")
    visitor = Visitor(browser, server, [])
    visitor.open("/sign-in")
    with visitor.page.expect_request("**/policy-reports"):
        visitor.page.evaluate("() => { document.body.setAttribute('style', 'color: red'); }")
    assert visitor.page.evaluate("window.__refused.length") == 1
    visitor.page.wait_for_timeout(200)
    assert server.app.state.policy_reports.total == 1
