"""Open pages in a real browser: they follow what happens elsewhere, say when they cannot, and catch up by themselves."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import EMAIL, PASSWORD
from tests.browser.journey import expect_connected, fill_in, send
from tests.browser.server import RunningServer, find_free_port, run_server
from tests.browser.visits import Visit

pytestmark = pytest.mark.browser
Start = Callable[..., Visit]
PAUSED = re.compile(r"Live updates paused; the page shows what was known at \d\d:\d\d\.")


@pytest.fixture(scope="module")
def key_page(server: RunningServer, browser: Browser, session: Path) -> str:
    """The path of a credential that was connected before the tests began."""
    context = browser.new_context(storage_state=session, java_script_enabled=False)
    tab = Visit(context.new_page(), server.origin)
    fill_in(tab, "hitbtc", "read-trade", label="Grid bot")
    send(tab)
    expect_connected(tab, "Grid bot")
    href = tab.page.get_by_role("link", name="Details", exact=True).get_attribute("href")
    context.close()
    assert href is not None
    return href


def press_elsewhere(visit: Start, path: str, button: str) -> None:
    """Do something in another tab, as the same person."""
    tab = visit(scripts=False)
    tab.open(path)
    tab.page.get_by_role("button", name=button, exact=True).first.click()


def test_the_list_follows_what_another_tab_does(visit: Start, key_page: str) -> None:
    tab = visit()
    tab.open("/credentials")
    card = tab.page.locator("[data-live-row]")
    expect(card.locator(".status-pill")).to_have_text("Connected")
    tab.page.evaluate("window.isSamePage = true")
    press_elsewhere(visit, key_page, "Pause")
    expect(card.locator(".status-pill")).to_have_text("Paused")
    expect(card).to_have_attribute("data-status", "paused")
    expect(tab.page.locator("[data-live-words]")).to_have_text("Grid bot: Paused")
    expect(tab.page.locator('[data-live="summary"]')).to_contain_text("0 of 1 key")
    press_elsewhere(visit, key_page, "Resume")
    expect(card.locator(".status-pill")).to_have_text("Connected")
    assert tab.page.evaluate("window.isSamePage") is True


def test_a_fresh_proof_in_another_window_does_not_read_as_signed_out(
    visit: Start, key_page: str, browser: Browser, server: RunningServer
) -> None:
    """It gives the session another token, under which the page's stream goes on."""
    context = browser.new_context()
    tab, window = (Visit(context.new_page(), server.origin) for _ in range(2))
    tab.open("/sign-in")
    tab.page.get_by_label("E-mail").fill(EMAIL)
    tab.page.locator('input[type="password"]').fill(PASSWORD)
    tab.page.get_by_role("button", name="Sign in", exact=True).click()
    pill = tab.page.locator("[data-live-row] .status-pill")
    expect(pill).to_have_text("Connected")
    window.open("/activity")
    prove = "(password) => fetch('/security/confirm', {method: 'POST', body: new URLSearchParams({confirm_password: password})})"
    window.page.evaluate(f"async (password) => (await ({prove})(password)).status", PASSWORD)
    press_elsewhere(visit, key_page, "Pause")
    expect(pill).to_have_text("Paused")
    expect(tab.page.get_by_text("You are signed out. The page shows")).to_have_count(0)
    press_elsewhere(visit, key_page, "Resume")
    expect(pill).to_have_text("Connected")
    window.page.evaluate("async () => (await fetch('/sign-out', {method: 'POST'})).status")
    press_elsewhere(visit, key_page, "Pause")
    expect(tab.page.get_by_text("You are signed out. The page shows")).to_be_visible()
    expect(pill).to_have_text("Connected")
    press_elsewhere(visit, key_page, "Resume")
    context.close()


def test_nothing_is_taken_from_under_a_persons_hands(visit: Start, key_page: str) -> None:
    tab = visit()
    tab.open("/credentials")
    card = tab.page.locator("[data-live-row]")
    menu = card.locator("details")
    menu.locator("summary").click()
    expect(menu.get_by_role("button", name="Pause")).to_be_visible()
    press_elsewhere(visit, key_page, "Pause")
    expect(card.locator(".status-pill")).to_have_text("Paused")
    expect(menu.get_by_role("button", name="Pause")).to_be_visible()  # the open menu stays as it was
    tab.page.keyboard.press("Escape")
    card.locator(".credential-card__name a").focus()
    menu.locator("summary").click()
    expect(menu.get_by_role("button", name="Resume")).to_be_visible()
    menu.get_by_role("button", name="Resume").click()
    expect(card.locator(".status-pill")).to_have_text("Connected")


def test_one_credentials_page_follows_its_checks(visit: Start, key_page: str) -> None:
    tab = visit()
    tab.open(key_page)
    checks = tab.page.locator('[data-live="history"] .timeline > li')
    before = checks.count()
    press_elsewhere(visit, key_page, "Check now")
    expect(checks.nth(before)).to_be_visible()  # the worker may have made one more
    expect(tab.page.locator('[data-live="summary"]')).not_to_contain_text(f"of the last {before} ")
    tab.page.locator("#label").fill("Half typed")
    before = checks.count()
    press_elsewhere(visit, key_page, "Check now")
    expect(checks.nth(before)).to_be_visible()
    expect(tab.page.locator("#label")).to_have_value("Half typed")


def test_a_page_says_when_its_stream_is_lost_and_catches_up_when_it_is_back(
    browser: Browser, tmp_path: Path, visit: Start
) -> None:
    """The page's server is stopped; a second one on the same data pauses the key; then the first comes back."""
    port = find_free_port()
    context = browser.new_context()
    context.set_default_timeout(15_000)
    with run_server(tmp_path, port=port) as first:
        tab = Visit(context.new_page(), first.origin)
        tab.page.goto(first.setup_link)
        tab.page.get_by_label("E-mail").fill(EMAIL)
        tab.page.locator('input[type="password"]').fill(PASSWORD)
        tab.page.locator("main form button").last.click()
        tab.page.get_by_role("heading", name="Connect your first exchange").wait_for()
        fill_in(tab, "htx", "read-only", label="Grid bot")
        send(tab)
        expect_connected(tab, "Grid bot")
        tab.open("/credentials")
        pill = tab.page.locator("[data-live-row] .status-pill")
        expect(pill).to_have_text("Connected")
    notice = tab.page.get_by_text(PAUSED)
    expect(notice).to_be_visible()
    expect(pill).to_have_text("Connected")
    cookies = context.cookies()
    with run_server(tmp_path) as second:
        elsewhere = browser.new_context(java_script_enabled=False)
        elsewhere.add_cookies(cookies)
        other = Visit(elsewhere.new_page(), second.origin)
        other.open("/credentials")
        other.page.get_by_role("link", name="Grid bot", exact=True).click()
        other.page.get_by_role("button", name="Pause", exact=True).first.click()
        elsewhere.close()
        expect(notice).to_be_visible()
        with run_server(tmp_path, port=port):
            expect(pill).to_have_text("Paused", timeout=30_000)
            expect(notice).to_have_count(0)
            tab.page.reload()
            expect(pill).to_have_text("Paused")
    context.close()


def test_check_now_draws_the_check_in_place_and_renews_the_page(visit: Start, key_page: str) -> None:
    tab = visit()
    tab.open(key_page)
    tab.page.evaluate("window.isSamePage = true")
    lines = tab.page.locator("[data-recheck] [data-step]")
    expect(lines.first).to_be_hidden()
    tab.page.get_by_role("button", name="Check now", exact=True).first.click()
    expect(tab.page.get_by_role("heading", name="Checking your key with HitBTC")).to_be_visible()
    expect(lines.first).to_have_attribute("data-state", "passed")
    expect(tab.page.locator('[data-recheck] [data-state="waiting"]')).to_have_count(0)
    expect(tab.page.locator("[data-recheck]")).to_be_hidden()
    expect(tab.page.locator('[data-live="history"] .timeline > li').first).to_contain_text("asked by you")
    tab.open("/credentials")
    card = tab.page.locator("[data-live-row]")
    card.get_by_role("button", name="Check now").click()
    expect(card.locator(".credential-card__checked")).to_contain_text(re.compile(r"Checked (now|\d s ago)"))
    expect(card.locator("progress")).to_have_count(0)


def test_a_key_that_was_disconnected_elsewhere_says_so(visit: Start) -> None:
    tab = visit()
    fill_in(tab, "bitexbit", "read-only", label="Short lived")
    send(tab)
    expect_connected(tab, "Short lived")
    tab.page.get_by_role("link", name="Details", exact=True).click()
    expect(tab.page.get_by_role("heading", name="Short lived")).to_be_visible()
    path = tab.page.url.removeprefix(tab.origin)
    press_elsewhere(visit, f"{path}/disconnect", "Disconnect and erase")
    expect(tab.page.locator(".page-header .status-pill")).to_have_text("Disconnected")
    expect(tab.page.get_by_role("button", name="Check now")).to_be_hidden()
