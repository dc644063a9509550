"""The whole way in a real browser, with scripts and without: set-up link, connect, refusals, replace, disconnect."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.journey import (
    KEYS,
    expect_connected,
    expect_refused,
    fill_in,
    fill_secrets,
    read_badges,
    read_database,
    send,
)
from tests.browser.server import RunningServer
from tests.browser.visits import Visit

pytestmark = pytest.mark.browser
Start = Callable[..., Visit]
BOTH = pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
REFUSALS = [
    ("hitbtc", "withdraw-enabled", "This key can move funds out of HitBTC."),
    ("htx", "withdraw-enabled", "This key can move funds out of HTX."),
    ("hitbtc", "wrong-secret", "the Secret key does not belong to it"),
    ("htx", "wrong-secret", "the Secret Key does not belong to it"),
    ("bitexbit", "wrong-secret", "the Private Key does not belong to it"),
    ("hitbtc", "ip-restricted", "HitBTC refused every request of this key."),
    ("htx", "expired", "HTX has ended this key."),
    ("bitexbit", "maintenance", "bitexbit is closed for maintenance."),
]


@BOTH
@pytest.mark.parametrize(
    ("exchange", "scenario", "badges", "asset"),
    [
        ("hitbtc", "read-trade", ["Read granted", "Trade granted", "Transfer granted", "Withdraw off"], "BTC"),
        ("htx", "read-trade", ["Read granted", "Trade granted", "Transfer granted", "Withdraw off"], "BTC"),
        ("bitexbit", "read-trade", ["Read granted", "Trade granted", "Withdraw unverified"], "BTC"),
    ],
)
def test_a_key_of_each_exchange_is_connected_then_disconnected(
    visit: Start, server: RunningServer, scripts: bool, exchange: str, scenario: str, badges: list[str], asset: str
) -> None:
    tab = visit(scripts=scripts)
    key = fill_in(tab, exchange, scenario, label="Desk one")
    send(tab)
    expect_connected(tab, "Desk one")
    assert read_badges(tab) == badges
    expect(tab.page.locator(".status-pill")).to_have_text("Connected")
    expect(tab.page.locator(".balance-table")).to_contain_text(asset)
    labels, whole = read_database(server.database)
    assert labels == ["Desk one"]
    assert key.show_secrets()["secret_key"].encode() not in whole
    tab.page.get_by_role("link", name="Details", exact=True).click()
    tab.page.get_by_role("link", name="Disconnect…").last.click()
    expect(tab.page.get_by_role("heading", name="Disconnect Desk one?")).to_be_visible()
    tab.page.get_by_role("button", name="Disconnect and erase").click()
    expect(tab.page.get_by_text("stays valid at")).to_be_visible()
    assert read_database(server.database)[0] == []


@BOTH
@pytest.mark.parametrize(("exchange", "scenario", "words"), REFUSALS)
def test_a_refusal_has_its_own_words_and_leaves_nothing_behind(
    visit: Start, server: RunningServer, scripts: bool, exchange: str, scenario: str, words: str
) -> None:
    tab = visit(scripts=scripts)
    key = fill_in(tab, exchange, scenario, label="Refused one")
    send(tab)
    expect_refused(tab, words)
    labels, whole = read_database(server.database)
    assert labels == []
    for value in key.show_secrets().values():
        assert value.encode() not in whole
    expect(tab.page.get_by_role("textbox", name="Label")).to_have_value("Refused one")
    expect(tab.page.locator('[name="api_key"]')).to_have_value(key.show_secrets()["api_key"])
    kept = key.show_secrets()["secret_key"] if scripts else ""
    expect(tab.page.locator('[name="secret_key"]')).to_have_value(kept)
    expect(tab.page.locator('.check-list [data-state="failed"]')).to_have_count(1)
    expect(tab.page.locator("[data-submit]")).to_have_text("Check again")
    if scenario == "wrong-secret":
        field = tab.page.locator('[name="secret_key"]')
        expect(field).to_have_attribute("aria-invalid", "true")
        expect(field).to_have_accessible_description(re.compile("does not belong"))


@BOTH
def test_after_a_refusal_the_same_form_finishes_and_the_key_can_be_replaced(
    visit: Start, server: RunningServer, scripts: bool
) -> None:
    tab = visit(scripts=scripts)
    fill_in(tab, "hitbtc", "wrong-secret", label="Second try")
    send(tab)
    expect_refused(tab, "does not belong to it")
    fill_secrets(tab, KEYS["hitbtc", "read-only"])
    send(tab)
    expect_connected(tab, "Second try")
    tab.page.get_by_role("link", name="Details", exact=True).click()
    tab.page.get_by_role("link", name="Replace key").first.click()
    fill_secrets(tab, KEYS["hitbtc", "revoked"])
    send(tab)
    expect_refused(tab, "HitBTC does not know this key.")
    fill_secrets(tab, KEYS["hitbtc", "large"])
    send(tab)
    expect_connected(tab, "Second try")
    expect(tab.page.locator(".connect__headline")).to_contain_text("…" + KEYS["hitbtc", "large"].show_secrets()["api_key"][-4:])
    assert read_database(server.database)[0] == ["Second try"]
    fill_in(tab, "hitbtc", "large", label="Twice")
    send(tab)
    expect_refused(tab, "This key is already connected.")
    tab.page.get_by_role("link", name="Open the credential that holds this key").click()
    expect(tab.page.get_by_role("heading", name="Second try")).to_be_visible()
    tab.page.get_by_role("link", name="Disconnect…").last.click()
    tab.page.get_by_role("button", name="Disconnect and erase").click()
    expect(tab.page.get_by_text("stays valid at")).to_be_visible()


def test_one_click_fills_in_a_sandbox_key_and_a_slow_check_can_be_stopped(visit: Start, server: RunningServer) -> None:
    tab = visit()
    tab.open("/credentials/connect/htx?environment=sandbox")
    tab.page.locator('[data-scenario="slow"]').get_by_role("button", name="Fill in").click()
    expect(tab.page.get_by_role("radio", name="Balances only")).to_be_checked()
    send(tab)
    expect(tab.page.get_by_role("heading", name="Checking your key with HTX")).to_be_focused()
    expect(tab.page.locator('.check-list [data-state="passed"]').first).to_be_visible()
    expect(tab.page.locator('[name="secret_key"]')).to_be_hidden()
    tab.page.get_by_role("button", name="Stop").click()
    expect(tab.page.locator('[name="secret_key"]')).to_have_value(KEYS["htx", "slow"].show_secrets()["secret_key"])
    assert read_database(server.database)[0] == []


def test_the_plan_changes_the_boxes_of_the_guide(visit: Start) -> None:
    for scripts in (True, False):
        tab = visit(scripts=scripts)
        tab.open("/credentials/connect/bitexbit")
        box = tab.page.locator(".guide .permission-checklist li").filter(has_text="Can trade")
        expect(box.locator('[data-for-plan="trading"]')).to_be_visible()
        expect(box.locator('[data-for-plan="balances"]')).to_be_hidden()
        tab.page.get_by_role("radio", name="Balances only").check()
        expect(box.locator('[data-for-plan="balances"]')).to_be_visible()
        expect(box.locator('[data-for-plan="trading"]')).to_be_hidden()


def test_a_session_that_ended_keeps_what_was_typed(visit: Start) -> None:
    tab = visit()
    key = fill_in(tab, "htx", "read-only", label="Kept")
    tab.page.context.clear_cookies()
    send(tab)
    expect(tab.page.get_by_role("heading", name="Your session has ended.")).to_be_focused()
    expect(tab.page.locator('[name="secret_key"]')).to_have_value(key.show_secrets()["secret_key"])
