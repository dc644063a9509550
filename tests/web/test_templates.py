"""House rules of the templates, and the gallery that has to show every component."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import anyio
import pytest

from app.web.icons import build_sprite, load_symbols
from tests.web.small_app import ROOT, make_app, make_client

TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
COMPONENTS = sorted((ROOT / "templates/components").glob("*.html"))
SYMBOLS = load_symbols(ROOT / "templates/components/icons.svg")
VOID = frozenset("area base br col embed hr img input link meta source track wbr circle rect path use".split())  # noqa: SIM905


def name_of(path: Path) -> str:
    return path.relative_to(ROOT / "templates").as_posix()


def list_macros() -> Iterator[tuple[str, str]]:
    for path in COMPONENTS:
        for name in re.findall(r"{%-? macro ([a-z]\w*)\(", path.read_text()):
            yield path.name, name


class Checker(HTMLParser):
    """Finds unclosed elements, repeated ids, and attributes that a strict policy forbids."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.faults: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.levels: list[int] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        values = dict(attrs)
        self.faults += [f"<{tag} {name}>" for name in names if name == "style" or name.startswith("on")]
        self.faults += [f"<{tag}> repeats an attribute"] if len(names) != len(set(names)) else []
        if tag == "style" or (tag == "script" and not values.get("src")):
            self.faults.append(f"inline <{tag}>")
        self.ids += [values["id"] or ""] if "id" in values else []
        for name in ("for", "aria-labelledby", "aria-describedby", "aria-controls", "popovertarget", "data-dialog-open"):
            self.references += (values.get(name) or "").split()
        if re.fullmatch(r"h[1-6]", tag):
            self.levels.append(int(tag[1]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> closes nothing")


def check(html: str) -> Checker:
    checker = Checker()
    checker.feed(html)
    return checker


@pytest.mark.parametrize("path", TEMPLATES, ids=name_of)
def test_templates_keep_the_house_rules(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"<style|\sstyle\s*=|\son[a-z]+\s*=|javascript:", text), "no inline style or script"
    assert not re.search(r"<script(?![^>]*\bsrc=)", text), "scripts are files"
    assert not re.search(r"\|\s*safe\b|autoescape\s+false|Markup", text), "what comes from outside stays escaped"
    assert not re.search(r"""(?:href|src|action)=["']?(?:https?:)?//""", text), "nothing is loaded from elsewhere"
    assert 'method="get"' not in text or "data-filter-form" in text or 'role="search"' in text, "only searches are GET forms"


@pytest.mark.parametrize("path", [path for path in TEMPLATES if path.parent.name != "components"], ids=name_of)
def test_every_page_has_one_of_the_two_shells(path: Path) -> None:
    text = path.read_text()
    is_shell = path.name in ("base.html", "bare.html")
    is_part = path.name.startswith("_") or ("{% macro" in text and "{% block" not in text)
    assert ("<html" in text) is is_shell
    if not is_shell and not is_part:
        assert re.match(r'(?:{#.*?#}\s*)?{% extends (?:"(?:base|bare)\.html"|layout) %}', text, re.DOTALL)


@pytest.mark.parametrize("path", TEMPLATES, ids=name_of)
def test_every_icon_named_exists(path: Path) -> None:
    named = re.findall(r"""\b_?(?:round_)?icon\(["']([a-z-]+)["']|\bicon=["']([a-z-]+)["']""", path.read_text())
    assert {first or second for first, second in named} <= set(SYMBOLS)


@pytest.fixture(scope="module")
def gallery() -> str:
    async def fetch() -> str:
        async with make_client(make_app()) as client:
            return (await client.get("/dev/components")).text

    return anyio.run(fetch)


def test_the_gallery_is_well_formed(gallery: str) -> None:
    checker = check(gallery)
    assert checker.faults == []
    assert checker.open == []
    assert len(checker.ids) == len(set(checker.ids))
    assert set(checker.references) <= set(checker.ids)
    assert checker.levels.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(checker.levels, checker.levels[1:], strict=False))


@pytest.mark.parametrize(("file", "macro"), list(list_macros()))
def test_the_gallery_shows_every_component(file: str, macro: str) -> None:
    """A macro counts as shown when a gallery file or a shell imports it, or a macro that is shown uses it."""
    shells = [ROOT / "templates/base.html", ROOT / "templates/bare.html"]
    texts = [path.read_text() for path in [*(ROOT / "templates/gallery").glob("*.html"), *shells]]
    imported = {
        name.split(" as ")[0].strip()
        for text in texts
        for names in re.findall(rf'{{% from "components/{re.escape(file)}" import ([^%]+) %}}', text)
        for name in names.split(",")
    }
    assert macro in imported
    assert any(re.search(rf"\b{macro}\(", text) for text in texts)


def test_a_page_carries_the_icons_it_uses_and_no_others(gallery: str) -> None:
    assert set(re.findall(r'<symbol id="i-([a-z-]+)"', gallery)) == set(SYMBOLS)
    sprite = build_sprite('<use href="#i-check"/><use href="#i-x"/>', SYMBOLS)
    assert re.findall(r'id="i-([a-z-]+)"', sprite) == ["check", "x"]
    with pytest.raises(KeyError):
        build_sprite('<use href="#i-nothing"/>', SYMBOLS)


@pytest.mark.parametrize("path", sorted((ROOT / "static/js").glob("*.js")), ids=lambda path: path.name)
def test_modules_never_build_markup_from_text(path: Path) -> None:
    """Trusted Types would stop it in the browser; here it is found before."""
    text = path.read_text()
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|\beval\b|new Function", text
    )
    assert not re.search(r"""from ["'](?!\./)""", text), "modules import their neighbours only"
    assert not re.search(r"\.style\.(?!setProperty\(\"--|left|translate|insetInlineStart)", text), (
        "looks belong to the style sheet"
    )


def test_the_style_sheet_stands_alone() -> None:
    text = (ROOT / "static/css/keydeck.css").read_text()
    assert not re.search(r"@import|url\(|http", text)
    assert text.count("{") == text.count("}")
    used = set(re.findall(r"var\((--[\w-]+)", text))
    defined = set(re.findall(r"(--[\w-]+)\s*:", text))
    assert used <= defined
