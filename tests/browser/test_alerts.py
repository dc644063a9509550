"""Alerts in the real browser: on a phone, in the dark, without scripts: the bell, a channel from adding to removing."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.journey import find_overflow
from tests.browser.visits import Visit

pytestmark = pytest.mark.browser
Start = Callable[..., Visit]


def test_channels_on_a_phone_in_the_dark_without_scripts(visit: Start) -> None:
    tab = visit(scripts=False, width=360, dark=True)
    tab.open("/alerts")
    tab.page.locator(".topbar").get_by_role("link", name="Alerts").click()
    expect(tab.page.get_by_text("No alerts yet")).to_be_visible()
    wide = {"/alerts": find_overflow(tab)}
    tab.page.get_by_role("link", name="Choose channels").click()
    wide["/alerts/settings"] = find_overflow(tab)
    tab.page.get_by_role("link", name="Webhook as a new channel").click()
    tab.page.get_by_label("Address").fill("http://127.0.0.1:9/" + "long-path-" * 20)
    tab.page.get_by_label("Name").fill("A webhook with quite a long name for a phone's narrow window")
    tab.page.get_by_role("button", name="Add", exact=True).click()
    expect(tab.page.get_by_text("Copy the signing secret now: it is not shown again")).to_be_visible()
    wide["added"] = find_overflow(tab)
    tab.page.get_by_role("button", name="Send a test").click()
    expect(tab.page.get_by_text("The test was not delivered")).to_be_visible()
    wide["tested"] = find_overflow(tab)
    tab.page.get_by_label("A key ends soon").uncheck()
    tab.page.get_by_role("button", name="Save").click()
    expect(tab.page.get_by_label("A key ends soon")).not_to_be_checked()
    tab.page.get_by_text("Remove…").click()
    tab.page.get_by_role("button", name="Remove").click()
    expect(tab.page.get_by_text("The channel is removed.")).to_be_visible()
    for kind in ("telegram", "slack", "discord", "other"):
        tab.open(f"/alerts/add/{kind}")
        wide[kind] = find_overflow(tab)
    tab.open("/alerts/settings")
    tab.page.get_by_role("button", name="Make a link").click()
    expect(tab.page.get_by_text("Copy the calendar's link now")).to_be_visible()
    wide["calendar"] = find_overflow(tab)
    assert {name: pixels for name, pixels in wide.items() if pixels > 0} == {}


def test_the_same_pages_are_quiet_with_scripts(visit: Start) -> None:
    tab = visit()
    for path in ("/alerts", "/alerts/settings", "/alerts/add/webhook"):
        tab.open(path)
        expect(tab.page.locator("h1")).to_be_visible()
    expect(tab.page.locator(".sidebar").get_by_role("link", name="Alerts")).to_have_attribute("aria-current", "page")
