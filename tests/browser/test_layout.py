"""Every credential page on a phone and in the dark: nothing wider than the window, and the keyboard reaches the form."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.journey import expect_connected, expect_refused, fill_in, find_overflow, send
from tests.browser.visits import Visit

pytestmark = pytest.mark.browser
Start = Callable[..., Visit]
PHONE = 360


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_no_page_scrolls_sideways_on_a_phone(visit: Start, dark: bool) -> None:
    tab = visit(scripts=False, width=PHONE, dark=dark)
    tab.open("/credentials")
    wide = {"/credentials when empty": find_overflow(tab)}
    for exchange, scenario in (
        ("hitbtc", "read-trade"),
        ("htx", "read-trade"),
        ("htx", "expiring"),
        ("htx", "large"),
        ("bitexbit", "read-only"),
    ):
        fill_in(tab, exchange, scenario, label=f"{exchange} {scenario} with a long label"[:40])
        send(tab)
        expect_connected(tab, exchange)
        wide[f"connected {exchange} {scenario}"] = find_overflow(tab)
        detail = tab.page.get_by_role("link", name="Details", exact=True).get_attribute("href")
        for page in ("", "/checks", "/guide", "/replace", "/disconnect"):
            tab.open(f"{detail}{page}")
            wide[f"{exchange} {scenario}{page}"] = find_overflow(tab)
    elsewhere = ("/balances", "/activity", "/security", "/people", "/support", "/operations", "/exchanges", "/sandbox")
    for path in ("/credentials", "/credentials/connect", "/credentials/connect/nope", "/credentials?q=nothing", *elsewhere):
        tab.open(path)
        wide[path] = find_overflow(tab)
    for exchange in ("hitbtc", "htx", "bitexbit"):
        tab.open(f"/credentials/connect/{exchange}?environment=sandbox")
        for summary in tab.page.locator("summary").all():
            if summary.is_visible():
                summary.click()
        wide[f"connect {exchange}"] = find_overflow(tab)
        fill_in(tab, exchange, "ip-restricted", label="x")
        send(tab)
        expect_refused(tab, "refuse")
        wide[f"refused {exchange}"] = find_overflow(tab)
    assert {name: pixels for name, pixels in wide.items() if pixels > 0} == {}
    _disconnect_all(tab)


def test_what_exchanges_are_asked_is_a_tap_away_on_a_phone(visit: Start) -> None:
    tab = visit(scripts=False, width=PHONE)
    for text, path in (("What exchanges are asked", "/exchanges"), ("Sandbox", "/sandbox")):
        tab.open("/credentials")
        tab.page.get_by_role("button", name="Menu").click()
        link = tab.page.locator("#sidebar").get_by_role("link", name=text, exact=True)
        expect(link).to_be_visible()
        box = link.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE
        assert find_overflow(tab) <= 0
        link.click()
        tab.page.wait_for_url(f"**{path}")


def _disconnect_all(tab: Visit) -> None:
    tab.open("/credentials")
    for href in [link.get_attribute("href") for link in tab.page.locator(".credential-card__name a").all()]:
        tab.open(f"{href}/disconnect")
        tab.page.get_by_role("button", name="Disconnect and erase").click()
        expect(tab.page.get_by_text("stays valid at")).to_be_visible()


def test_a_key_is_connected_by_keyboard_alone(visit: Start) -> None:
    tab = visit()
    key = fill_in(tab, "hitbtc", "read-only", label="Typed")
    tab.page.locator('[name="api_key"]').fill("")
    tab.page.locator('[name="api_key"]').focus()
    tab.page.keyboard.type(key.show_secrets()["api_key"])
    tab.page.keyboard.press("Tab")
    expect(tab.page.locator('[name="secret_key"]')).to_be_focused()
    tab.page.keyboard.press("Enter")
    expect_connected(tab, "Typed")
    _disconnect_all(tab)


def test_the_list_filters_while_typing_and_sorts_on_choosing(visit: Start) -> None:
    tab = visit()
    for exchange, label in (("hitbtc", "Alpha"), ("htx", "Beta")):
        fill_in(tab, exchange, "read-only", label=label)
        send(tab)
        expect_connected(tab, label)
    tab.open("/credentials")
    cards = tab.page.locator(".credential-card:visible")
    expect(cards).to_have_count(2)
    tab.page.keyboard.press("/")
    tab.page.keyboard.type("bet")
    expect(cards).to_have_count(1)
    tab.page.get_by_label("Sort").select_option("label")
    tab.page.wait_for_url("**/credentials?q=bet&sort=label")
    expect(cards).to_have_count(1)
    _disconnect_all(tab)
