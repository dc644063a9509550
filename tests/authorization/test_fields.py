"""Field by field: what the JSON API and the pages of support and operators can show is what people agreed to."""

import os
import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, create_model

from tests.authorization import matrix
from tests.authorization.fields import (
    FILE,
    STAFF,
    Lines,
    find_models,
    list_json_fields,
    list_page_fields,
    read_fields,
    write_fields,
)
from tests.authorization.routes import fill, make_request
from tests.authorization.world import World

IS_WRITING = os.environ.get("KEYDECK_WRITE_TABLES") == "1"
NEVER_FOR_STAFF = re.compile(
    r"(^|_)(secret|label|hint|balance|amount|available|held|total|account_id|fingerprint|ips?|password|token)s?($|_)",
    re.IGNORECASE,
)
ALLOWED_NAMES = {
    "PAGE accounts/security.html": "their own tokens and sessions",
    "PAGE accounts/activity.html": "how many events of their own there are",
    "PAGE accounts/new_account.html": "the one-time link that this visitor brought along",
    "PAGE accounts/people.html": "the link of an invitation, shown once to who made it",
    "PAGE accounts/reset.html": "the one-time link that this visitor brought along",
    "PAGE accounts/factor_reset.html": "the one-time link that this visitor brought along",
    "PAGE accounts/person.html": "the link of a reset, shown once to who made it",
}
SHARED = frozenset({"viewer", "nav", "nav_counts", "theme", "path", "now"})


@pytest.fixture
def drawn(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """Every template that is drawn, and what it is drawn from."""
    seen: list[tuple[str, dict[str, Any]]] = []
    write = world.app.state.pages.write

    def listen(request: Any, template: str, **context: Any) -> str:
        seen.append((template, context))
        return str(write(request, template, **context))

    monkeypatch.setattr(world.app.state.pages, "write", listen)
    return iter([seen])


async def list_all(world: World, drawn: list[tuple[str, dict[str, Any]]]) -> Lines:
    """Ask every page and call as support and as operator, and list what their templates were given."""
    table = matrix.read_table(matrix.FILE.read_text())
    lines = list_json_fields(world.app, table)
    for (method, path), cells in table.items():
        for role in STAFF:
            if cells[role] == "ok" and (method == "GET" or path == "/support"):
                drawn.clear()
                sent = make_request(method, path, world=world, principal=role)
                await world.ask(method, fill(path, world), headers=world.doors[role], **sent)
                for template, context in drawn:
                    given = {name: value for name, value in context.items() if name not in SHARED}
                    for line in list_page_fields(template, given):
                        lines.setdefault(line, set()).add(role)
    return lines


async def test_every_field_that_comes_out_is_declared(world: World, drawn: Iterator[list[tuple[str, dict[str, Any]]]]) -> None:
    lines = await list_all(world, next(drawn))
    if IS_WRITING:
        FILE.write_text(write_fields(lines))
    declared = read_fields(FILE.read_text())
    new = {line: sorted(roles - declared.get(line, set())) for line, roles in lines.items() if roles - declared.get(line, set())}
    gone = {line: sorted(roles - lines.get(line, set())) for line, roles in declared.items() if roles - lines.get(line, set())}
    assert new == {}, "comes out, but tests/authorization/fields.txt does not say to whom it may"
    assert gone == {}, "stands in tests/authorization/fields.txt, but does not come out any more"
    assert FILE.read_text() == write_fields(lines)


def test_no_field_for_staff_is_named_after_what_they_must_not_see() -> None:
    """A second look by name, for whoever adds a line to the file without thinking."""
    for line, roles in read_fields(FILE.read_text()).items():
        if roles & set(STAFF) and not line.startswith(tuple(ALLOWED_NAMES)):
            assert not NEVER_FOR_STAFF.search(line.rsplit(" ", 1)[-1].rsplit(".", 1)[-1]), line


def test_a_new_field_is_named() -> None:
    """The control: a field somebody adds to a model is found, however deep it lies."""

    class Inner(BaseModel):
        balance: str

    outer = create_model("Outer", rows=(list[Inner] | None, None))
    names = {f"{model.__name__}.{name}" for model in find_models(outer, set()) for name in model.model_fields}
    assert names == {"Outer.rows", "Inner.balance"}
