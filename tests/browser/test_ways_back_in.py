"""An operator helps somebody back in, in a real browser: on a phone, in the dark, by keyboard, and by letter."""

import asyncio
import threading
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import PASSWORD
from tests.browser.journey import find_overflow
from tests.browser.server import RunningServer, run_server
from tests.browser.visits import Visit
from tests.commands.test_commands import run_keydeck
from tests.mail_server import PostOffice, run_mail_server

pytestmark = pytest.mark.browser
Start = Callable[..., Visit]
EMAIL = "somebody.with.a.rather.long.name@department.example.org"
NEW = "a new and different password"


@pytest.fixture(scope="module")
def office() -> Iterator[PostOffice]:
    """A mail server on a loop of its own, in a thread beside the browser."""
    found: list[PostOffice] = []
    ends: list[Callable[[], object]] = []
    is_up = threading.Event()

    async def run() -> None:
        may_end, loop = asyncio.Event(), asyncio.get_running_loop()
        ends.append(lambda: loop.call_soon_threadsafe(may_end.set))
        async with run_mail_server() as opened:
            found.append(opened)
            is_up.set()
            await may_end.wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert is_up.wait(10)
    yield found[0]
    ends[0]()
    thread.join()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, office: PostOffice) -> Iterator[RunningServer]:
    settings = {"smtp_url": f"smtp://127.0.0.1:{office.port}", "mail_from": "keydeck@example.org"}
    with run_server(tmp_path_factory.mktemp("keydeck"), **settings) as running:
        yield running


@pytest.fixture(scope="module")
def somebody(server: RunningServer, session: object) -> str:
    """A second person; made after the first one, whose set-up link dies with anybody's account."""
    words = ("users", "add", EMAIL, "--role", "trader", "--password-file", "-")
    added = run_keydeck(*words, data_dir=server.data_dir, stdin=f"{PASSWORD}\n")
    assert added.returncode == 0, added.stderr
    return EMAIL


def find_person(tab: Visit) -> None:
    tab.open("/people")
    tab.page.get_by_role("searchbox", name="Find by e-mail").fill("department")
    tab.page.keyboard.press("Enter")
    tab.page.get_by_role("link", name=EMAIL, exact=True).click()
    expect(tab.page.get_by_role("heading", level=1)).to_have_text(EMAIL)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_nothing_scrolls_sideways_on_a_phone(visit: Start, somebody: str, dark: bool) -> None:
    tab = visit(scripts=False, width=360, dark=dark)
    wide = {}
    find_person(tab)
    wide["person"] = find_overflow(tab)
    for summary in tab.page.locator("main summary").all():
        summary.click()
    wide["person, all open"] = find_overflow(tab)
    tab.page.get_by_role("button", name="Make password link").click()
    link = tab.page.locator("[data-copy]").inner_text()
    wide["person with link"] = find_overflow(tab)
    for path in ("/people", "/forgot", link.removeprefix(tab.origin), "/reset?token=gone"):
        tab.open(path)
        wide[path.partition("=")[0]] = find_overflow(tab)
    assert {name: pixels for name, pixels in wide.items() if pixels > 0} == {}


def test_an_operator_hands_a_link_over_and_the_person_gets_in(
    visit: Start, browser: Browser, server: RunningServer, somebody: str, office: PostOffice
) -> None:
    tab = visit()
    find_person(tab)
    expect(tab.page.get_by_text("None set up")).to_be_visible()
    tab.page.get_by_role("button", name="Make password link").click()
    expect(tab.page.locator(".alert[role=status]")).to_contain_text("Copy this one-time link now")
    link = tab.page.locator("[data-copy]").inner_text().strip()
    context = browser.new_context()
    page = context.new_page()
    page.goto(link)
    page.get_by_label("New password").focus()
    page.keyboard.type("password1234")
    page.keyboard.press("Enter")
    expect(page.get_by_text("among the first that attackers try")).to_be_visible()
    expect(page.get_by_label("New password")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("New password").fill(NEW)
    page.keyboard.press("Enter")
    expect(page.locator(".alert[role=status]")).to_contain_text("The new password is saved")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password", exact=True).fill(NEW)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Connect your first exchange")).to_be_visible()
    names = {cookie["name"] for cookie in context.cookies()}
    assert {"keydeck_session", "keydeck_device"} <= names
    page.goto(link)
    expect(page.get_by_role("heading", name="There is no such link")).to_be_visible()
    context.close()
    assert "An operator made a one-time link" in "".join(letter.get_content() for letter in office.letters)


def test_who_forgot_the_password_gets_a_letter(
    visit: Start, browser: Browser, server: RunningServer, somebody: str, office: PostOffice
) -> None:
    office.letters.clear()
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{server.origin}/sign-in")
    page.get_by_role("link", name="Forgot the password?").click()
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_role("button", name="Send the link").click()
    expect(page.locator(".alert[role=status]")).to_contain_text("a letter is on its way")
    for _ in range(100):
        if office.letters:
            break
        page.wait_for_timeout(50)
    link = office.letters[0].get_content().split("once:")[1].split()[0]
    page.goto(link)
    page.get_by_label("New password").fill("yet another new password")
    page.get_by_role("button", name="Save the new password").click()
    expect(page.locator(".alert[role=status]")).to_contain_text("The new password is saved")
    context.close()


def test_too_many_tries_are_told_to_wait(browser: Browser, server: RunningServer, somebody: str) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{server.origin}/sign-in")
    for _ in range(11):
        page.get_by_label("E-mail").fill("nobody.at.all@example.org")
        page.get_by_label("Password", exact=True).fill("not the right password")
        with page.expect_response("**/sign-in"):
            page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_text("Too many tries. Wait 90 minutes")).to_be_visible()
    expect(page.get_by_label("E-mail")).to_have_value("nobody.at.all@example.org")
    context.close()
