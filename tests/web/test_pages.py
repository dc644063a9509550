"""Rendering: names must be given, data is escaped, and the sidebar shows what a role may open."""

from collections.abc import Collection
from pathlib import Path
from types import SimpleNamespace

import pytest
from fastapi import Request
from jinja2 import UndefinedError

from app.settings import Settings
from app.web.navigation import list_groups
from app.web.pages import Pages, hash_folder
from tests.web.small_app import ORIGIN, make_pages


@pytest.fixture(scope="module")
def pages() -> Pages:
    return make_pages(Settings(public_url=ORIGIN))


def render(pages: Pages, source: str, **context: object) -> str:
    return pages.environment.from_string(source).render(**context)


def make_request(path: str = "/credentials", *, viewer: object = None, query: bytes = b"") -> Request:
    headers = [(b"host", b"127.0.0.1:8000")]
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": query,
        "headers": headers,
        "server": ("127.0.0.1", 8000),
        "scheme": "http",
    }
    request = Request(scope)
    request.state.viewer = viewer
    return request


def test_a_missing_name_is_an_error(pages: Pages) -> None:
    with pytest.raises(UndefinedError):
        render(pages, "{{ nothing }}")
    with pytest.raises(UndefinedError):
        render(pages, "{% if nothing %}{% endif %}")


HOSTILE = "\"><script>alert(1)</script>&' onload=x <!--sprite-->"
CALLS = [
    ("button", "button", "{{ button(x, name=x, value=x, about=x) }}"),
    ("button", "link_button, icon_button", '{{ link_button(x, x) }}{{ icon_button(x, "x") }}'),
    ("field", "field", '{{ field("a", x, value=x, hint=x, error=x, placeholder=x, attributes={"data-x": x}) }}'),
    ("field", "select, radios, search", "{{ select(x, x, [(x, x)], x) }}{{ radios(x, x, [(x, x, x)], x) }}{{ search(x, x) }}"),
    ("field", "secret_field, check", "{{ secret_field(x, x, x, x) }}{{ check(x, x, x, hint=x) }}"),
    ("alert", "alert", '{{ alert("info", x, x) }}{% call alert("warn", x) %}{{ x }}{% endcall %}'),
    ("notice", "notice", '{{ notice("info", x, x, action_text=x, action_href=x, copy_value=x, copy_what=x) }}'),
    ("page_header", "page_header", "{{ page_header(x, x, trail=[(x, x)], actions=x) }}"),
    ("panel", "panel", '{% call panel("a", x, sub=x, actions=x, footer=x) %}{{ x }}{% endcall %}'),
    ("panel", "facts, row", "{{ facts([(x, x)]) }}{{ row(x, x, x) }}"),
    ("check_list", "check_line", '{{ check_line(x, "failed", x, x) }}'),
    (
        "step_list",
        "step, path, permission_checklist",
        '{{ step(x, x) }}{{ path([x]) }}{{ permission_checklist([(x, "on", x)]) }}',
    ),
    ("timeline", "event, evidence", '{{ event("passed", x, x, x) }}{{ evidence(x, x) }}'),
    ("tag", "tag, count", "{{ tag(x, x) }}{{ count(x, x, x) }}"),
    ("stat", "stat", "{{ stat(x, x, x, x) }}"),
    ("monogram", "monogram, coin", "{{ monogram(x, x) }}{{ coin(x) }}"),
    ("copy", "copy, copy_button", "{{ copy(x, x) }}{{ copy_button(x, x) }}"),
    ("menu", "menu, menu_post", '{% call menu(x) %}{{ menu_post(x, x, "x", name="n", value=x) }}{% endcall %}'),
    ("exchange_card", "exchange_card", "{{ exchange_card(x, x, x, x) }}"),
    ("permission", "permission", '{{ permission(x, "missing", x, x) }}'),
    ("table", "asset, table_head", "{{ asset(x, x, x) }}{{ table_head([(x, x)]) }}"),
    ("empty_state", "empty_state", "{{ empty_state(x, x) }}"),
    ("icon", "icon", "{{ x | sentence }}{{ x | fingerprint }}{{ x | hyphens }}{{ none | ago(x) }}{{ icon(x) }}"),
]


@pytest.mark.parametrize(("file", "macros", "source"), CALLS)
def test_components_escape_what_they_are_given(pages: Pages, file: str, macros: str, source: str) -> None:
    html = render(pages, f'{{% from "components/{file}.html" import {macros} %}}{source}', x=HOSTILE)
    assert "<script" not in html.lower()
    assert "<!--" not in html
    assert 'onload=x "' not in html
    assert HOSTILE not in html


def test_a_password_is_never_written_back(pages: Pages) -> None:
    html = render(
        pages, '{% from "components/field.html" import field %}{{ field("p", "Password", value="hunter2", type="password") }}'
    )
    assert "hunter2" not in html


def make_viewer(*roles: str) -> SimpleNamespace:
    return SimpleNamespace(email="trader@example.org", roles=frozenset(roles))


def test_the_shell_knows_who_looks_and_from_where(pages: Pages) -> None:
    request = make_request("/credentials/crd_1", viewer=make_viewer("trader", "operator"), query=b"a=1")
    problem = SimpleNamespace(title="T", detail="", next_step="", status=404, code="c")
    shown = {"layout": "base.html", "problem": problem, "request_id": "", "nav_counts": {"credentials": 5}}
    html = pages.write(request, "errors/problem.html", **shown)
    assert 'href="/credentials" aria-current="page"' in html
    assert html.count('aria-current="page"') == 1
    assert "Operator, Trader" in html
    assert 'name="back" value="/credentials/crd_1?a=1"' in html
    assert '>5<span class="visually-hidden"> need attention</span>' in html
    assert 'action="/sign-out"' in html
    assert "<!--sprite-->" not in html


@pytest.mark.parametrize(
    ("roles", "links"),
    [
        ((), []),
        (("trader",), ["balances", "credentials", "alerts", "activity", "security", "exchanges"]),
        (("support",), ["support", "activity", "security", "exchanges"]),
        (("operator",), ["operations", "people", "support", "activity", "security", "exchanges"]),
        (("support", "operator"), ["operations", "people", "support", "activity", "security", "exchanges"]),
        (
            ("trader", "support", "operator"),
            ["balances", "credentials", "alerts", "activity", "security", "operations", "people", "support", "exchanges"],
        ),
    ],
)
def test_links_by_role(roles: Collection[str], links: list[str]) -> None:
    assert [link.name for group in list_groups(roles, path="/x") for link in group.links] == links


@pytest.mark.parametrize("role", ["trader", "support", "operator"])
def test_the_sandbox_is_linked_where_it_has_pages(role: str) -> None:
    def names(*, has_sandbox: bool) -> list[str]:
        return [link.name for group in list_groups({role}, path="/sandbox/htx", has_sandbox=has_sandbox) for link in group.links]

    assert names(has_sandbox=True) == [*names(has_sandbox=False), "sandbox"]
    assert list_groups((), path="/", has_sandbox=True) == [], "strangers have no navigation"


def test_the_current_link_is_the_one_of_the_section() -> None:
    def current(path: str) -> list[str]:
        return [link.name for group in list_groups({"trader"}, path=path) for link in group.links if link.current]

    assert current("/credentials") == current("/credentials/connect/alpha") == ["credentials"]
    assert current("/credentials-old") == current("/") == []


def test_the_static_version_follows_the_files(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("1")
    first = hash_folder(tmp_path)
    (tmp_path / "a.css").write_text("2")
    assert hash_folder(tmp_path) != first
    (tmp_path / "a.css").write_text("1")
    assert hash_folder(tmp_path) == first
