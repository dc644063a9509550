"""The web shell in a real browser: no policy is broken, nothing overflows on a phone, and it works without scripts."""

import shutil
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright

from tests.web.small_app import make_app

pytestmark = pytest.mark.browser
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
PAIRS = [
    "key=abcdefgh1234\nsecret=SECRETabc123",
    "secret: SECRETabc123\nkey: abcdefgh1234",
    '{"apiKey": "abcdefgh1234", "secret": "SECRETabc123"}',
    '{"access_key": "abcdefgh1234", "secret_key": "SECRETabc123"}',
    "abcdefgh1234\r\nSECRETabc123\n",
    "API key: abcdefgh1234\nSecret key: SECRETabc123",
    "Access Key = abcdefgh1234\nPrivate Key = SECRETabc123",
    "\u200babcdefgh1234\n\ufeffSECRETabc123",
]
NO_PAIRS = [
    "abcdefgh1234",
    "abcdefgh1234 SECRETabc123",
    "same12345\nsame12345",
    "a\nb\nc",
    "{",
    '{"key": 1}',
    "",
    "short\nSECRETabc123",
]


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = uvicorn.Server(uvicorn.Config(make_app(address), log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield address
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    context.close()
    assert complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 360, 768, 1440])
def test_the_gallery_fits_and_breaks_no_policy(page: Page, origin: str, width: int, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{origin}/dev/components", wait_until="networkidle")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == (
        "rgb(12, 13, 16)" if scheme == "dark" else "rgb(248, 248, 249)"
    )


def test_markup_from_text_is_stopped(browser: Browser, origin: str) -> None:
    page = browser.new_page()
    page.goto(f"{origin}/dev/components")
    assert (
        page.evaluate(
            "() => { try { document.body.innerHTML = '<b>x</b>'; return 'built'; } catch (error) { return error.name; } }"
        )
        == "TypeError"
    )
    page.close()


def test_the_theme_is_kept_without_a_reload(page: Page, origin: str) -> None:
    page.goto(f"{origin}/dev/components")
    with page.expect_response("**/theme"):
        page.click(".sidebar button[value=dark]")
    assert page.locator("html").get_attribute("data-theme") == "dark"
    page.reload()
    assert page.locator("html").get_attribute("data-theme") == "dark"
    assert page.locator(".sidebar button[value=dark]").get_attribute("aria-pressed") == "true"


def test_a_shown_secret_is_masked_again(page: Page, origin: str) -> None:
    page.clock.install()
    page.goto(f"{origin}/dev/components")
    field, button = page.locator("#gallery-secret"), page.locator("[data-reveal][aria-controls=gallery-secret]")
    button.click()
    assert field.get_attribute("type") == "text"
    assert "Hide" in button.inner_text()
    page.clock.fast_forward(31_000)
    assert field.get_attribute("type") == "password"
    button.click()
    field.focus()
    page.locator("#gallery-label").focus()
    assert field.get_attribute("type") == "password"
    button.click()
    page.evaluate(
        "document.querySelector('#gallery-secret').form.dispatchEvent(new Event('submit', {bubbles: true, cancelable: true}))"
    )
    assert field.get_attribute("type") == "password"


def test_dialogs_and_menus_give_the_focus_back(page: Page, origin: str) -> None:
    page.goto(f"{origin}/dev/components")
    page.click("[data-dialog-open]")
    assert page.locator("#sample-dialog").is_visible()
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.textContent") == "Open a dialog"
    summary = page.locator("main details.menu > summary").first
    summary.click()
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.textContent") == "Details"
    page.keyboard.press("Escape")
    assert page.locator("main details.menu").first.get_attribute("open") is None


@pytest.mark.parametrize("text", [*PAIRS, *NO_PAIRS])
def test_pasted_pairs_are_told_apart(page: Page, origin: str, text: str) -> None:
    page.goto(f"{origin}/dev/components")
    module = page.locator("script[type=module]").get_attribute("src")
    found = page.evaluate(
        "async ([path, text]) => (await import(path)).splitPair(text)", [str(module).replace("keydeck.js", "paste.js"), text]
    )
    assert found == (["abcdefgh1234", "SECRETabc123"] if text in PAIRS else None)


def test_a_form_is_sent_once(page: Page, origin: str) -> None:
    page.goto(f"{origin}/dev/components")
    count = "sent = 0; addEventListener('submit', (event) => { sent += !event.defaultPrevented; event.preventDefault(); })"
    page.evaluate(count)
    page.locator("form[data-busy-form] [name=with-error]").fill("x")
    page.click("form[data-busy-form] button[type=submit]")
    page.wait_for_selector("form[data-busy-form] button[aria-busy=true]")
    page.click("form[data-busy-form] button[type=submit]", force=True)
    assert page.evaluate("sent") == 1


def test_everything_is_there_without_scripts(browser: Browser, origin: str) -> None:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 360, "height": 800})
    page = context.new_page()
    page.goto(f"{origin}/dev/components?from=here")
    assert not page.locator("[data-reveal]").first.is_visible()
    page.click("button[popovertarget=sidebar]")
    page.click("#sidebar button[value=dark]")
    assert page.url == f"{origin}/dev/components?from=here"
    assert page.locator("html").get_attribute("data-theme") == "dark"
    context.close()
