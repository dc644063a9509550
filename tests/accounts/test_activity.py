"""The activity page: one's own events, searched, narrowed and exported; a page at a time, whoever acted named by their role."""

import ast
import csv
import io
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.accounts import activity
from app.accounts.activity import SENTENCES
from app.accounts.activity_export import disarm
from app.accounts.activity_query import KINDS, USUAL_DAYS, ActivityQuery
from app.accounts.roles import Role
from app.audit import record_event
from tests.accounts.doors import add_person, sign_in
from tests.credentials.bench import Bench
from tests.pages import Form, Page
from tests.people import SignedIn

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
async def trader(app: Any, client: httpx.AsyncClient) -> SignedIn:
    user = await add_person(app, "one@example.org", Role.TRADER)
    client.headers["User-Agent"] = FIREFOX
    assert (await sign_in(client, user.email)).status_code == 303
    return SignedIn(client, user.email, user.id)


async def record(app: Any, trader: SignedIn, action: str, *, days_ago: float = 0, actor: str | None = "", **detail: str) -> None:
    """Write an event of the trader's account; by the trader unless another actor is given."""
    async with app.state.database.write() as session:
        record_event(
            session,
            action,
            at=app.state.clock() - timedelta(days=days_ago),
            actor_id=trader.user_id if actor == "" else actor,
            owner_id=trader.user_id,
            actor_ip="192.0.2.140" if actor == "" else "192.0.2.9",
            detail=detail,
        )


async def read_lines(client: httpx.AsyncClient, **asked: str) -> list[str]:
    """Return the text of each event on the page."""
    page = Page(await client.get("/activity", params=asked))
    assert page.status == 200
    return [
        row.text
        for row in page.find(tag="tr")
        if any(cell.tag == "th" and "row" in cell.attributes.get("scope", "") for cell in row.walk())
    ]


async def test_each_line_says_what_who_and_from_where(app: Any, trader: SignedIn) -> None:
    agent = await add_person(app, "agent@example.org", Role.SUPPORT)
    await record(app, trader, "support.viewed_status", actor=agent.id, credentials="2", ticket="4821")
    await record(app, trader, "credential.checked", actor=None, label="Grid bot", exchange="htx")
    lines = await read_lines(trader.client)
    looked = next(line for line in lines if "Support looked" in line)
    assert "ticket 4821" in looked
    assert "keys: 2" in looked
    assert "192.0.2.9" in looked
    assert "agent@" not in looked
    assert any("Signed in" in line and "Firefox on Linux" in line and "You" in line and "127.0.0.1" in line for line in lines)
    assert any("Grid bot" in line and "Keydeck" in line for line in lines)


async def test_the_form_narrows_by_kind_period_and_words_and_keeps_what_was_chosen(app: Any, trader: SignedIn) -> None:
    await record(app, trader, "credential.connected", label="Éléphant", exchange="htx")
    await record(app, trader, "credential.paused", days_ago=40, label="Old desk", exchange="bitexbit")
    await record(app, trader, "support.viewed_status", ticket="77")
    assert len(await read_lines(trader.client)) == 4  # both account events, the newer key, the look-up
    assert ["Éléphant" in line for line in await read_lines(trader.client, kind="keys")] == [True]
    assert len(await read_lines(trader.client, kind="keys", days="90")) == 2
    assert ["ticket 77" in line for line in await read_lines(trader.client, kind="support")] == [True]
    assert len(await read_lines(trader.client, kind="access")) == 2
    assert len(await read_lines(trader.client, q="éléphant CONNECTED")) == 1
    assert len(await read_lines(trader.client, q="192.0.2.140", days="0")) == 3
    assert await read_lines(trader.client, q="elephant disconnected") == []
    page = Page(await trader.client.get("/activity", params={"q": "<b>desk", "kind": "keys", "days": "90"}))
    form = Form(page.find(tag="form", role="search")[0])
    assert (form.method, form.action, form.values) == ("get", "/activity", {"q": "<b>desk", "kind": "keys", "days": "90"})
    assert "No entry matches" in page.html
    odd = Page(await trader.client.get("/activity", params={"kind": "x", "days": "-1", "q": "x" * 500}))
    assert odd.status == 200


async def test_older_pages_keep_the_question(app: Any, trader: SignedIn, clock: Any) -> None:
    for number in range(120):
        clock.advance(seconds=1)
        await record(app, trader, "credential.checked" if number % 2 else "token.created", label=f"number {number:03}")
    seen: list[str] = []
    place = "/activity?kind=keys"
    while place:
        page = Page(await trader.client.get(place))
        lines = [one.text for one in page.find(tag="tr") if "number" in one.text]
        seen += lines
        links = [one for one in page.find(tag="a") if one.text == "Older entries"]
        place = links[0].attributes["href"] if links else ""
        assert not place or "kind=keys" in place
        assert "of 60 entries" in page.html
    assert len(seen) == len(set(seen)) == 60


async def test_a_rare_word_is_found_behind_thousands_of_others(
    app: Any, trader: SignedIn, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No page searches without end: it says how far it got, and goes on from there."""
    monkeypatch.setattr("app.accounts.activity.SEARCHED_AT_ONCE", 10)
    monkeypatch.setattr("app.accounts.activity.MOST_SEARCHED", 20)
    monkeypatch.setattr("app.accounts.activity.PAGE_SIZE", 5)
    await record(app, trader, "credential.checked", label="needle")
    for _ in range(95):
        clock.advance(seconds=1)
        await record(app, trader, "credential.checked", label="hay")
    place, pages = "/activity?q=needle", 0
    while True:
        page = Page(await trader.client.get(place))
        if any("needle" in row.text for row in page.find(tag="tr")):
            break
        (link,) = [one for one in page.find(tag="a") if one.text == "Search on"]
        place, pages = link.attributes["href"], pages + 1
        assert pages < 10
    assert pages >= 1


async def test_the_export_holds_all_of_it_and_no_formula(app: Any, trader: SignedIn, clock: Any) -> None:
    for number in range(60):
        clock.advance(seconds=1)
        await record(app, trader, "credential.renamed", label=f'=HYPERLINK("http://x/{number}")')
    answer = await trader.client.get("/activity.csv", params={"kind": "keys"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="keydeck-activity.csv"'
    assert answer.headers["cache-control"] == "no-store"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == 60
    assert rows[0]["detail"] == '\'=HYPERLINK("http://x/59")'
    assert rows[0]["by"] == "You"
    assert rows[0]["action"] == "credential.renamed"
    assert rows[0]["time (UTC)"].endswith("Z")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", " =", "  @"])
def test_what_a_spreadsheet_would_run_is_disarmed(start: str) -> None:
    assert disarm(f"{start}1+1").startswith("'")
    assert disarm("1+1 =") == "1+1 ="


async def test_nobody_elses_events_are_shown_exported_or_paged_into(app: Any, trader: SignedIn, make_client: Any) -> None:
    await record(app, trader, "credential.connected", label="only mine")
    page = Page(await trader.client.get("/activity"))
    assert "only mine" in page.html
    async with app.state.database.connect() as connection:
        ids = list((await connection.exec_driver_sql("SELECT id FROM audit_events")).scalars())
    other = await add_person(app, "two@example.org", Role.TRADER)
    async with make_client() as stranger:
        await sign_in(stranger, other.email)
        for path in ("/activity?days=0", "/activity.csv?days=0", *(f"/activity?before={one}" for one in ids)):
            answer = await stranger.get(path)
            assert answer.status_code == 200
            assert "only mine" not in answer.text
            assert "one@example.org" not in answer.text


async def test_a_quiet_account_says_so(app: Any, trader: SignedIn, clock: Any) -> None:
    clock.advance(days=31)
    await sign_in(trader.client, trader.email)
    async with app.state.database.write() as session:
        await (await session.connection()).exec_driver_sql("DELETE FROM audit_events WHERE at > '2026-12-01'")
    page = Page(await trader.client.get("/activity"))
    assert "Nothing in the last 30 days" in page.html
    (link,) = [one for one in page.find(tag="a") if one.text == "Show everything"]
    assert "Account created" in (await trader.client.get(link.attributes["href"])).text


def test_a_question_is_read_and_written_alike() -> None:
    query = ActivityQuery.read({"q": "a b&c", "kind": "support", "days": "0"})
    assert query.locate("/activity", before="evt_1") == "/activity?q=a+b%26c&kind=support&days=0&before=evt_1"
    assert ActivityQuery.read({}).locate("/activity") == "/activity"
    assert ActivityQuery.read({"days": "7"}).days == USUAL_DAYS
    assert {kind.name for kind in KINDS} == {"keys", "access", "support"}


async def test_what_happens_to_a_key_is_told_whoever_found_it(app: Any, trader: SignedIn, clock: Any) -> None:
    bench = Bench(app, Bench.principal_of(trader.user_id, trader.email))
    view = await bench.connect("htx", "read-only", label="Grid bot")
    key = app.state.sandbox.state.sandbox.find_key("htx", "read-only")
    for is_active in (False, True):
        key.active = is_active
        clock.advance(minutes=15)
        await bench.check(view.id)
    await sign_in(trader.client, trader.email)
    lines = await read_lines(trader.client, kind="keys")
    told = [(words, by) for words in ("Key works again", "Key no longer accepted") for by in ("Keydeck",)]
    for words, by in told:
        (line,) = [line for line in lines if line.startswith(words)]
        assert "Grid bot" in line
        assert by in line
    checked = [line for line in lines if line.startswith("Key re-checked")]
    assert [("invalid_key" in line, "You" in line) for line in checked] == [(False, True), (True, True)]
    assert lines[-1].startswith("Key connected")


def test_every_action_that_is_written_down_has_a_sentence() -> None:
    """Read from the source: an action without one would show as its bare name."""
    folder = Path(activity.__file__).parents[1]
    nouns = "|".join({action.split(".")[0] for action in SENTENCES})
    named: set[str] = set()
    for path in folder.rglob("*.py"):
        if path.name != "activity.py":
            constants = (node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant))
            named |= {text for text in constants if isinstance(text, str) and re.fullmatch(rf"({nouns})\.[a-z_]+", text)}
    assert named - set(SENTENCES) == {"support.look_up", "alerts.test", "alerts.id"}, "limits and a column, no actions"
    assert set(SENTENCES) - named == set(), "nothing writes these down"


def test_every_kind_of_event_has_a_sentence_that_reads_as_one() -> None:
    for action, sentence in SENTENCES.items():
        assert sentence.words[0].isupper(), action
        assert not sentence.words.endswith("."), action
        assert sentence.tone in {"ok", "warn", "danger", "idle"}, action
