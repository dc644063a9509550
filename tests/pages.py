"""Reads a page as a person does: its heading, what it says, its fields with their errors, its links and forms."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser

import httpx

VOID = frozenset({"input", "meta", "link", "br", "hr", "img"})
UNREAD = frozenset({"script", "style", "template", "svg", "head"})


@dataclass
class Element:
    """One element with its attributes and children, in reading order."""

    tag: str
    attributes: dict[str, str]
    parent: "Element | None" = None
    children: list["Element | str"] = field(default_factory=list)

    def walk(self, *, hidden: bool = True) -> list["Element"]:
        """Return all elements below; without those a person does not see if `hidden` is False."""
        found = []
        for child in self.children:
            if isinstance(child, Element) and (hidden or child.is_seen):
                found += [child, *child.walk(hidden=hidden)]
        return found

    @property
    def is_seen(self) -> bool:
        return "hidden" not in self.attributes and self.tag not in UNREAD and self.attributes.get("type") != "hidden"

    @property
    def classes(self) -> list[str]:
        return self.attributes.get("class", "").split()

    @property
    def text(self) -> str:
        parts = [child.text if isinstance(child, Element) and child.is_seen else child for child in self.children]
        return " ".join(" ".join(part for part in parts if isinstance(part, str)).split())


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("root", {})
        self._open = self.root

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs}, self._open)
        self._open.children.append(element)
        if tag not in VOID:
            self._open = element

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open.children.append(Element(tag, {name: value or "" for name, value in attrs}, self._open))

    def handle_endtag(self, tag: str) -> None:
        node: Element | None = self._open
        while node is not None and node.tag != tag:
            node = node.parent
        if node is not None and node.parent is not None:
            self._open = node.parent

    def handle_data(self, data: str) -> None:
        self._open.children.append(data)


class Form:
    """A form: where it goes and what it would send, with the values the page put in."""

    def __init__(self, element: Element) -> None:
        self.element = element
        self.action = element.attributes.get("action", "")
        self.method = element.attributes.get("method", "get")

    @property
    def values(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for item in self.element.walk():
            name = item.attributes.get("name")
            kind = item.attributes.get("type", "text")
            if not name or item.tag not in ("input", "select", "textarea"):
                continue
            if item.tag == "select":
                chosen = [one for one in item.walk() if one.tag == "option" and "selected" in one.attributes]
                found[name] = chosen[0].attributes["value"] if chosen else ""
            elif kind not in ("radio", "checkbox") or "checked" in item.attributes:
                found[name] = item.attributes.get("value", "")
        return found

    def error_of(self, name: str) -> str:
        """Return the error that the field points to, empty when it has none."""
        item = next(one for one in self.element.walk() if one.attributes.get("name") == name)
        if item.attributes.get("aria-invalid") != "true":
            return ""
        ids = item.attributes.get("aria-describedby", "").split()
        return " ".join(
            one.text for one in self.element.walk() if one.attributes.get("id") in ids and "field__error" in one.classes
        )


class Page:
    """A page that came back."""

    def __init__(self, response: httpx.Response) -> None:
        builder = _Builder()
        builder.feed(response.text)
        self.status = response.status_code
        self.root = builder.root
        self.html = response.text

    def find(self, *, tag: str = "", cls: str = "", hidden: bool = False, **attributes: str) -> list[Element]:
        wanted = {name.replace("_", "-").strip("-"): value for name, value in attributes.items()}
        return [
            one
            for one in self.root.walk(hidden=hidden)
            if (not tag or one.tag == tag)
            and (not cls or cls in one.classes)
            and all(name in one.attributes and value in ("*", one.attributes[name]) for name, value in wanted.items())
        ]

    @property
    def heading(self) -> str:
        (only,) = self.find(tag="h1")
        return only.text

    @property
    def text(self) -> str:
        return next(one for one in self.root.walk() if one.tag == "main").text

    @property
    def notices(self) -> list[str]:
        return [one.text for one in self.root.walk(hidden=False) if {"notice", "alert"} & set(one.classes)]

    @property
    def links(self) -> dict[str, str]:
        return {one.text: one.attributes["href"] for one in self.find(tag="a", href="*")}

    def form(self, action: str) -> Form:
        return Form(next(one for one in self.root.walk() if one.tag == "form" and one.attributes.get("action") == action))

    def steps(self) -> Mapping[str, str]:
        """Return the lines of the check by name: state."""
        return {one.attributes["data-step"]: one.attributes["data-state"] for one in self.find(tag="li", data_step="*")}


async def open_page(client: httpx.AsyncClient, path: str) -> Page:
    return Page(await client.get(path))


async def submit(client: httpx.AsyncClient, form: Form, **values: str) -> httpx.Response:
    """Send a form as a browser does: with the values the page put in and those a person typed; follows where it leads."""
    return await client.post(form.action, data=form.values | values, follow_redirects=True)
