"""The whole sign-in life in a real browser: sign up, app, recovery codes, passkeys, fresh proof, ending sessions."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyotp
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import EMAIL, PASSWORD
from tests.browser.journey import KEYS
from tests.browser.server import RunningServer, run_server
from tests.browser.visits import Visit, set_proof_age

pytestmark = pytest.mark.browser
Start = Callable[..., Visit]
EXPECTED = ("401 (Unauthorized", "403 (Forbidden", "422 (Unprocessable")
AUTHENTICATOR = {
    "protocol": "ctap2",
    "ctap2Version": "ctap2_1",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[RunningServer]:
    """A server of one's own: each of these tests begins with the set-up link."""
    with run_server(tmp_path) as running:
        yield running


@pytest.fixture
def start(own_server: RunningServer, browser: Browser) -> Iterator[Start]:
    """Open a browser of one's own at the name localhost, where browsers allow passkeys; its console must stay quiet."""
    opened: list[tuple[BrowserContext, Visit]] = []

    def open_browser(*, scripts: bool = True, width: int = 1280) -> Visit:
        context = browser.new_context(java_script_enabled=scripts, viewport={"width": width, "height": 900})
        context.set_default_timeout(15_000)
        tab = Visit(context.new_page(), own_server.origin.replace("127.0.0.1", "localhost"))
        tab.page.on("pageerror", lambda error: tab.complaints.append(str(error)))
        tab.page.on("console", lambda message: tab.complaints.append(message.text) if message.type == "error" else None)
        opened.append((context, tab))
        return tab

    yield open_browser
    for context, tab in opened:
        context.close()
        assert [text for text in tab.complaints if not any(one in text for one in EXPECTED)] == []


class Device:
    """The browser's own authenticator, played by Chromium."""

    def __init__(self, tab: Visit) -> None:
        self._session = tab.page.context.new_cdp_session(tab.page)
        self._session.send("WebAuthn.enable")
        self.id = self._session.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})["authenticatorId"]

    def set_verified(self, *, is_verified: bool) -> None:
        options = {"authenticatorId": self.id, "isUserVerified": is_verified}
        self._session.send("WebAuthn.setUserVerified", options)

    def list_credentials(self) -> list[Any]:
        return list(self._session.send("WebAuthn.getCredentials", {"authenticatorId": self.id})["credentials"])


def sign_up(tab: Visit, server: RunningServer) -> None:
    tab.page.goto(server.setup_link.replace("127.0.0.1", "localhost"))
    tab.page.get_by_label("E-mail").fill(EMAIL)
    tab.page.locator('input[type="password"]').fill(PASSWORD)
    tab.page.get_by_role("button", name="Create account").click()
    expect(tab.page.get_by_role("heading", name="Connect your first exchange")).to_be_visible()


def set_up_app(tab: Visit) -> tuple[pyotp.TOTP, list[str]]:
    """Set an app up with the code it shows now; see show_next for the ones after it."""
    page = tab.page
    page.get_by_role("link", name="Set it up").click()
    page.get_by_role("button", name="Set up an app").click()
    expect(page.locator("svg.qr")).to_be_visible()
    seed = page.locator("[data-copy]").get_attribute("data-copy")
    assert seed is not None
    totp = pyotp.TOTP(seed.replace(" ", ""))
    page.get_by_label("Six digits from the app").fill("000000")
    page.get_by_role("button", name="Turn on").click()
    expect(page.locator("#code-error")).to_contain_text("That code is not right")
    page.get_by_label("Six digits from the app").fill(totp.now())
    page.get_by_role("button", name="Turn on").click()
    expect(page.get_by_role("heading", name="Keep these recovery codes")).to_be_visible()
    codes = page.locator(".recovery-codes code").all_inner_texts()
    assert len(codes) == 10
    page.get_by_role("link", name="I have kept them").click()
    expect(page.get_by_role("heading", name="Security", exact=True)).to_be_visible()
    return totp, codes


def show_next(totp: pyotp.TOTP) -> str:
    """Return the code of the step to come: accepted, not used yet, and still right if that step begins meanwhile."""
    return totp.at(int(time.time()), counter_offset=1)


def add_passkey(tab: Visit, name: str) -> None:
    tab.open("/security")
    tab.page.get_by_role("link", name="Add a passkey").click()
    tab.page.get_by_role("textbox", name="Name").fill(name)
    tab.page.get_by_role("button", name="Make the passkey").click()


def sign_out(tab: Visit) -> None:
    if tab.page.get_by_role("button", name="Menu").is_visible():
        tab.page.get_by_role("button", name="Menu").click()
    tab.page.locator(".account").click()
    tab.page.get_by_role("button", name="Sign out").click()
    expect(tab.page.get_by_role("heading", name="Sign in")).to_be_visible()


def give_password(tab: Visit) -> None:
    tab.page.get_by_label("E-mail").fill(EMAIL)
    tab.page.get_by_role("textbox", name="Password").fill(PASSWORD)
    tab.page.get_by_role("button", name="Sign in", exact=True).click()


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_an_app_and_recovery_codes_with_and_without_scripts(start: Start, own_server: RunningServer, scripts: bool) -> None:
    tab = start(scripts=scripts, width=360)
    sign_up(tab, own_server)
    totp, codes = set_up_app(tab)
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= 360
    sign_out(tab)
    give_password(tab)
    expect(tab.page.get_by_role("heading", name="Two-step code")).to_be_visible()
    tab.open("/credentials")
    expect(tab.page.get_by_role("heading", name="Sign in")).to_be_visible()
    give_password(tab)
    tab.page.get_by_label("Six digits").fill("000000")
    tab.page.get_by_role("button", name="Sign in", exact=True).click()
    expect(tab.page.get_by_label("Six digits")).to_have_accessible_description(re.compile("not right.*4 tries left"))
    tab.page.get_by_label("Six digits").fill(show_next(totp))
    tab.page.get_by_role("button", name="Sign in", exact=True).click()
    expect(tab.page.get_by_role("heading", name="Connect your first exchange")).to_be_visible()
    sign_out(tab)
    give_password(tab)
    tab.page.get_by_role("link", name="Use a recovery code").click()
    tab.page.get_by_label("Recovery code").fill(codes[0])
    tab.page.get_by_role("button", name="Sign in", exact=True).click()
    tab.open("/security")
    expect(tab.page.get_by_text("9 recovery codes left")).to_be_visible()
    if not scripts:
        expect(tab.page.get_by_role("link", name="Add a passkey")).to_be_hidden()


def test_a_passkey_is_made_and_signs_in_alone_and_as_second_factor(start: Start, own_server: RunningServer) -> None:
    tab = start()
    device = Device(tab)
    sign_up(tab, own_server)
    device.set_verified(is_verified=False)
    add_passkey(tab, "Work laptop")
    expect(tab.page.get_by_role("alert")).to_contain_text("Nothing was confirmed in time")
    device.set_verified(is_verified=True)
    tab.page.get_by_role("button", name="Make the passkey").click()
    expect(tab.page.get_by_role("heading", name="Keep these recovery codes")).to_be_visible()
    assert [one["rpId"] for one in device.list_credentials()] == ["localhost"]
    tab.page.get_by_role("link", name="I have kept them").click()
    expect(tab.page.get_by_role("region", name="Passkeys").get_by_text("Work laptop").first).to_be_visible()
    sign_out(tab)
    tab.page.get_by_role("button", name="Sign in with a passkey").click()
    expect(tab.page.get_by_role("heading", name="Connect your first exchange")).to_be_visible()
    sign_out(tab)
    give_password(tab)
    tab.page.get_by_role("button", name="Use a passkey").click()
    expect(tab.page.get_by_role("heading", name="Connect your first exchange")).to_be_visible()
    add_passkey(tab, "Again")
    expect(tab.page.get_by_role("alert")).to_contain_text("holds a passkey for your account already")


def test_a_fresh_proof_is_asked_for_and_nothing_typed_is_lost(start: Start, own_server: RunningServer) -> None:
    tab = start()
    Device(tab)
    sign_up(tab, own_server)
    totp, _ = set_up_app(tab)
    add_passkey(tab, "Laptop")
    expect(tab.page.get_by_text("The passkey is made.")).to_be_visible()
    tab.page.locator('form[action="/security/tokens"] [name="name"]').fill("nightly bot")
    tab.page.get_by_role("checkbox", name="Read balances").check()
    set_proof_age(own_server.database, seconds=400)
    tab.page.get_by_role("button", name="Make token").click()
    expect(tab.page.get_by_role("heading", name="Confirm that it is you")).to_be_visible()
    tab.page.get_by_role("button", name="Use a passkey").click()
    expect(tab.page.get_by_text("Copy the token now")).to_be_visible()
    expect(tab.page.get_by_text("nightly bot").first).to_be_visible()
    key = KEYS["htx", "read-only"]
    tab.open("/credentials/connect/htx?environment=sandbox&plan=balances")
    tab.page.get_by_role("textbox", name="Label").fill("Slow typist")
    for name, value in key.show_secrets().items():
        tab.page.locator(f'[name="{name}"]').fill(value)
    set_proof_age(own_server.database, seconds=400)
    _confirm_in_place(tab.page, key.show_secrets()["secret_key"], code=show_next(totp))
    expect(tab.page.get_by_role("heading", name="Connected: Slow typist")).to_be_visible()


def _confirm_in_place(page: Page, secret: str, *, code: str) -> None:
    page.locator("[data-submit]").click()
    dialog = page.get_by_role("dialog", name="Confirm that it is you")
    expect(dialog).to_be_visible()
    expect(page.locator('[name="secret_key"]')).to_have_value(secret)
    dialog.get_by_role("textbox", name="Password").fill("not the password")
    dialog.get_by_label("Code from your app, or a recovery code").fill(code)
    dialog.get_by_role("button", name="Confirm and go on").click()
    expect(dialog.get_by_role("alert").filter(has_text="not your password")).to_contain_text("4 tries left")
    dialog.get_by_role("textbox", name="Password").fill(PASSWORD)
    dialog.get_by_label("Code from your app, or a recovery code").fill(code)
    dialog.get_by_role("button", name="Confirm and go on").click()


def test_without_scripts_a_form_that_comes_too_late_is_kept(start: Start, own_server: RunningServer) -> None:
    tab = start(scripts=False)
    sign_up(tab, own_server)
    key = KEYS["htx", "read-only"]
    tab.open("/credentials/connect/htx?environment=sandbox&plan=balances")
    tab.page.get_by_role("textbox", name="Label").fill("Slow typist")
    for name, value in key.show_secrets().items():
        tab.page.locator(f'[name="{name}"]').fill(value)
    set_proof_age(own_server.database, seconds=400)
    tab.page.locator("[data-submit]").click()
    expect(tab.page.get_by_role("heading", name="Confirm that it is you")).to_be_visible()
    tab.page.get_by_role("textbox", name="Password").fill(PASSWORD)
    tab.page.get_by_role("button", name="Confirm").click()
    expect(tab.page.get_by_role("textbox", name="Label")).to_have_value("Slow typist")
    for name, value in key.show_secrets().items():
        expect(tab.page.locator(f'[name="{name}"]')).to_have_value("")
        tab.page.locator(f'[name="{name}"]').fill(value)
    tab.page.locator("[data-submit]").click()
    expect(tab.page.get_by_role("heading", name="Connected: Slow typist")).to_be_visible()


def test_another_browser_is_signed_out_from_here(start: Start, own_server: RunningServer) -> None:
    here, there = start(), start()
    sign_up(here, own_server)
    there.open("/sign-in")
    give_password(there)
    expect(there.page.get_by_role("heading", name="Connect your first exchange")).to_be_visible()
    here.open("/security")
    here.page.get_by_role("button", name=re.compile("^End Chrome on")).click()
    expect(here.page.get_by_text("The session has ended.")).to_be_visible()
    there.open("/security")
    expect(there.page.get_by_role("heading", name="Sign in")).to_be_visible()
    give_password(there)
    expect(there.page.get_by_role("heading", name="Security", exact=True)).to_be_visible()


def test_at_a_number_the_page_says_where_passkeys_work(start: Start, own_server: RunningServer) -> None:
    tab = start()
    tab.page.goto(own_server.origin + "/sign-in")
    expect(tab.page.get_by_role("button", name="Sign in with a passkey")).to_have_count(0)
    link = tab.page.get_by_role("link", name=tab.origin)
    expect(link).to_have_attribute("href", tab.origin + "/sign-in")
    link.click()
    expect(tab.page.get_by_role("button", name="Sign in with a passkey")).to_be_visible()


def test_the_end_of_the_session_is_told_ahead_and_typed_text_stays(start: Start, own_server: RunningServer) -> None:
    tab = start()
    sign_up(tab, own_server)
    tab.page.clock.install()
    tab.open("/credentials/connect/htx?environment=sandbox")
    tab.page.get_by_role("textbox", name="Label").fill("Half typed")
    warning = tab.page.get_by_role("region", name="End of session")
    tab.page.clock.run_for("56:00")
    expect(warning).to_be_hidden()
    tab.page.clock.run_for("02:30")
    expect(warning).to_contain_text("You will be signed out in two minutes.")
    tab.page.get_by_role("button", name="Stay signed in").click()
    expect(warning).to_be_hidden()
    tab.page.clock.run_for("58:30")
    expect(warning).to_be_visible()
    tab.page.clock.run_for("03:00")
    expect(warning).to_contain_text("You are signed out.")
    expect(warning.get_by_role("link", name="Sign in again")).to_have_attribute("target", "_blank")
    expect(tab.page.get_by_role("textbox", name="Label")).to_have_value("Half typed")
