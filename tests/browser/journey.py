"""What a trader does in the browser, in their words: take a sandbox key, send it, look at what came of it."""

import sqlite3
from pathlib import Path

from playwright.sync_api import expect

from app.sandbox.keys import SandboxKey, list_keys
from tests.browser.visits import Visit

KEYS = {(key.exchange, key.scenario): key for key in list_keys()}


def fill_in(tab: Visit, exchange: str, scenario: str, *, label: str) -> SandboxKey:
    """Open the exchange's form and fill it by hand with a sandbox key."""
    key = KEYS[exchange, scenario]
    tab.open(f"/credentials/connect/{exchange}")
    tab.page.get_by_role("radio", name="Sandbox").check()
    tab.page.locator(f'input[name="plan"][value="{key.plan}"]').check()
    tab.page.get_by_role("textbox", name="Label").fill(label)
    fill_secrets(tab, key)
    return key


def fill_secrets(tab: Visit, key: SandboxKey) -> None:
    for name, value in key.show_secrets().items():
        tab.page.locator(f'[name="{name}"]').fill(value)


def send(tab: Visit) -> None:
    tab.page.locator("[data-submit]").click()


def expect_connected(tab: Visit, label: str) -> None:
    expect(tab.page.get_by_role("heading", name=f"Connected: {label}")).to_be_visible()


def expect_refused(tab: Visit, words: str) -> None:
    alert = tab.page.get_by_role("alert").filter(has_text="Nothing was stored")
    expect(alert).to_contain_text(words)
    expect(alert.get_by_role("heading")).to_be_focused()


def read_badges(tab: Visit) -> list[str]:
    return [" ".join(text.split()) for text in tab.page.locator(".permission").all_inner_texts()]


def find_overflow(tab: Visit) -> int:
    """Return by how many pixels the page is wider than its window."""
    return int(tab.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def read_database(path: Path) -> tuple[list[str], bytes]:
    """Return the labels stored, and every byte on disk."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        labels = [row[0] for row in connection.execute("SELECT label FROM credentials")]
    whole = b"".join(part.read_bytes() for part in path.parent.glob(path.name + "*"))
    return labels, whole
