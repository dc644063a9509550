"""Nobody gets in where they do not belong: every route and method, for every kind of asker, answers as the table says."""

import os
import re
from typing import Any

import httpx
import pytest

from app.identifiers import create_id
from app.main import create_app
from app.settings import Settings
from tests.authorization.matrix import FILE, PAGE, REFUSED, Table, name_outcome, read_table, write_page, write_table
from tests.authorization.routes import METHODS, fill, list_parameters, list_routes, make_request
from tests.authorization.world import MARKS, PRINCIPALS, SITE, World

IS_WRITING = os.environ.get("KEYDECK_WRITE_TABLES") == "1"
NEVER_OPEN = {
    ("GET", "/setup"): "the first account exists",
    ("POST", "/setup"): "the first account exists",
    ("GET", "/dev/components"): "shown on loopback only",
    ("POST", "/security/passkeys"): "takes a passkey's answer, see tests/accounts/test_passkeys.py",
    ("POST", "/sign-in/passkey"): "takes a passkey's answer, see tests/accounts/test_passkeys.py",
    ("POST", "/sign-out"): "ends at the sign-in page for everybody",
    ("GET", "/forgot"): "no SMTP server is set",
    ("POST", "/forgot"): "no SMTP server is set",
    ("GET", "/metrics"): "asked from another machine, without the metrics token",
}
BY_OWNER = frozenset({"owner", "stale", "t:status", "t:balances", "t:manage"})
_NAMES = tuple(PRINCIPALS)
SHARES = [_NAMES] if IS_WRITING else [_NAMES[at : at + 4] for at in range(0, len(_NAMES), 4)]
FRESH_HEADERS = frozenset({"x-request-id", "date"})


DEVELOPMENT_ONLY = (
    ("GET", "/_sandbox/…"),
    ("GET", "/sandbox"),
    ("GET", "/sandbox/calls"),
    ("GET", "/sandbox/{slug}"),
    ("POST", "/sandbox/reset"),
    ("POST", "/sandbox/{slug}"),
    ("POST", "/sandbox/{slug}/{scenario}"),
    ("POST", "/sandbox/{slug}/{scenario}/balance"),
)


@pytest.fixture
def bare_app() -> Any:
    return create_app(Settings(public_url=SITE))


def test_a_developers_own_machine_has_these_pages_more_and_no_other_server_has_them(bare_app: Any) -> None:
    """The sandbox's switches, behind the sandbox and a loopback address; tests/sandbox and tests/operations try them."""
    own = set(list_routes(create_app(Settings(sandbox="on"))))
    assert own - set(list_routes(bare_app)) == set(DEVELOPMENT_ONLY)
    public = set(list_routes(create_app(Settings(sandbox="on", public_url=SITE))))
    assert public == set(list_routes(bare_app))


def test_every_route_is_declared(bare_app: Any) -> None:
    """A new route or method fails here until somebody says who may use it."""
    if not IS_WRITING:
        demand_declared(bare_app)


def demand_declared(app: Any) -> None:
    declared, answered = set(read_table(FILE.read_text())), set(list_routes(app))
    missing = [f"{method} {path}" for method, path in sorted(answered - declared)]
    gone = [f"{method} {path}" for method, path in sorted(declared - answered)]
    assert not missing, f"not in tests/authorization/matrix.txt, say who may: {', '.join(missing)}"
    assert not gone, f"in tests/authorization/matrix.txt, but nothing answers: {', '.join(gone)}"


def test_an_undeclared_route_is_named(bare_app: Any) -> None:
    @bare_app.patch("/people/{user_id}/wings")
    async def grow(user_id: str) -> None:
        """A route somebody adds without a word of who may use it."""

    with pytest.raises(AssertionError, match=r"say who may: .*PATCH /people/\{user_id\}/wings"):
        demand_declared(bare_app)


async def fill_table(world: World, principals: tuple[str, ...]) -> tuple[Table, list[str]]:
    """Really send the request of every cell below these principals.

    Returns the outcomes, and where a mark of trader A's reached anybody else.
    """
    table: Table = {}
    leaks: list[str] = []
    for method, path in list_routes(world.app):
        cells = table[method, path] = {}
        for principal in principals:
            answer = await ask(world, method, path, principal=principal)
            cells[principal] = name_outcome(answer)
            if principal not in BY_OWNER:
                leaks += [f"{method} {path} told {principal} A's {mark}" for mark in find_marks(world, answer)]
            if method != "GET" and cells[principal] not in REFUSED:
                await world.restore()
    return table, leaks


async def ask(world: World, method: str, path: str, *, principal: str, place: str | None = None) -> httpx.Response:
    sent = make_request(method, path, world=world, principal=principal)
    return await world.ask(method, place or fill(path, world), headers=world.doors[principal], **sent)


def find_marks(world: World, answer: httpx.Response) -> list[str]:
    """Return the names of what only trader A may see and the answer holds."""
    told = answer.text + str(answer.headers)
    found = [name for name, value in {**MARKS, **world.entered}.items() if value in told]
    # four letters may stand inside a random token by chance; shown to people they stand for themselves
    is_hint_shown = re.search(rf"(?<![\w-]){MARKS['key hint']}(?![\w-])", told)
    return [name for name in found if name != "key hint" or is_hint_shown]


async def test_the_owner_sees_the_marks(world: World) -> None:
    """The positive control: what nobody else may see is there to be seen."""
    seen = set()
    for method, path in (("GET", "/credentials/{credential_id}"), ("GET", "/api/v1/credentials"), ("GET", "/balances")):
        seen |= set(find_marks(world, await ask(world, method, path, principal="owner")))
    assert seen == set(MARKS)


@pytest.mark.parametrize("principals", SHARES, ids=lambda share: f"{share[0]}…{share[-1]}")
async def test_every_cell_answers_as_the_table_says(world: World, principals: tuple[str, ...]) -> None:
    """More than a thousand requests in all: every cell, on each database."""
    table, leaks = await fill_table(world, principals)
    if IS_WRITING:
        FILE.write_text(write_table(table))
        PAGE.write_text(write_page(table))
    expected = read_table(FILE.read_text())
    wrong = [
        f"{method} {path} for {principal}: {outcome}, the table says {expected.get((method, path), {}).get(principal)}"
        for (method, path), cells in table.items()
        for principal, outcome in cells.items()
        if expected.get((method, path), {}).get(principal) != outcome
    ]
    assert wrong == []
    assert leaks == []


def test_the_file_is_written_as_it_would_be() -> None:
    assert FILE.read_text() == write_table(read_table(FILE.read_text())), "its notes or columns differ: write it anew"


def test_the_page_for_people_is_up_to_date() -> None:
    assert PAGE.read_text() == write_page(read_table(FILE.read_text())), "write it anew, see the head of matrix.txt"


def test_every_row_is_reached_by_somebody() -> None:
    """A row nobody passes would prove nothing: then its sample request is wrong."""
    for row, cells in read_table(FILE.read_text()).items():
        assert ("ok" in cells.values()) is (row not in NEVER_OPEN), row


async def test_methods_nobody_declared_do_nothing(world: World) -> None:
    declared = read_table(FILE.read_text())
    for path in {path for _, path in declared if "…" not in path}:
        for method in METHODS:
            if (method, path) not in declared:
                outcome = name_outcome(await ask(world, method, path, principal="owner"))
                assert outcome in REFUSED | {"405"}, f"{method} {path}: {outcome}"


def comparable(answer: httpx.Response, asked: str) -> tuple[int, list[tuple[str, str]], str]:
    """Return everything a person or program can see of an answer but the request's own number and the id it asked for."""
    number = answer.headers["x-request-id"]
    headers = [(name, value.replace(asked, "")) for name, value in answer.headers.multi_items() if name not in FRESH_HEADERS]
    return answer.status_code, headers, answer.text.replace(number, "").replace(asked, "")


OWNED = ("credential_id", "session_id", "token_id", "passkey_id", "channel_id", "alert_id")


@pytest.mark.parametrize("principal", ["other", "t:other", "support", "operator"])
async def test_somebody_elses_id_and_no_id_look_the_same(world: World, principal: str) -> None:
    """Whoever guesses an id learns nothing: status, headers and body are those of an id that never existed."""
    seen = 0
    for method, path in list_routes(world.app):
        names = [name for name in list_parameters(path) if name in OWNED]
        for name in names:
            real = world.places[name]
            ids = (real, create_id(real.split("_")[0]))
            places = [fill(path, world).replace(real, one) for one in ids]
            answers = [await ask(world, method, path, principal=principal, place=place) for place in places]
            left, right = (comparable(answer, one) for answer, one in zip(answers, ids, strict=True))
            assert left == right, f"{method} {path} tells {principal} that the id exists"
            assert left[0] in (303, 401, 403, 404)
            seen += left[0] == 404
    assert seen > 5 or principal in ("support", "operator")
