"""A tab of the real browser, and what its console complained about."""

from dataclasses import dataclass, field

from playwright.sync_api import Page


@dataclass
class Visit:
    """A tab and what its console complained about."""

    page: Page
    origin: str
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        self.page.goto(self.origin + path)
