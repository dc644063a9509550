"""The list, one credential's page and the verbs, by forms alone; another user's credential is not there at all."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from app.accounts.roles import Role
from app.sandbox.scenarios import Fault
from tests.accounts.doors import add_person, sign_in
from tests.conftest import FakeClock
from tests.credentials.test_routes_connect import count_credentials, enter, get_key
from tests.pages import Page, open_page, submit
from tests.people import SignedIn

STREAM = {"Accept": "text/event-stream"}


async def connect(signed_in: SignedIn, app: Any, slug: str, scenario: str) -> str:
    """Connect a sandbox key; return the path of its page."""
    page = await enter(signed_in.client, app, slug, scenario)
    assert page.status == 200
    return page.links["Details"]


def read_events(text: str) -> list[tuple[str, dict[str, Any]]]:
    blocks = [dict(line.split(": ", 1) for line in block.split("\n")) for block in text.strip().split("\n\n")]
    return [(block["event"], json.loads(block["data"])) for block in blocks]


def list_labels(page: Page) -> list[str]:
    return [one.text for one in page.find(tag="h3", cls="credential-card__name")]


async def test_the_list_groups_sorts_and_filters_without_scripts(signed_in: SignedIn, app: Any) -> None:
    for slug, scenario in (("hitbtc", "read-trade"), ("htx", "expiring"), ("bitexbit", "read-only"), ("hitbtc", "empty")):
        await connect(signed_in, app, slug, scenario)
    page = await open_page(signed_in.client, "/credentials")
    assert list_labels(page) == ["My expiring", "My empty", "My read-only", "My read-trade"]
    assert [one.text for one in page.find(tag="h2")][:2] == ["Needs attention 1", "No action needed 3"]
    assert "Expires in 7 days" in page.text
    assert "HTX ends this key" in page.notices[0]
    assert "Holds nothing" in page.text
    for query, labels in [
        ("q=HitBTC", ["My empty", "My read-trade"]),
        ("status=expiring", ["My expiring"]),
        ("status=fine&sort=exchange", ["My read-only", "My empty", "My read-trade"]),
        ("status=attention&q=read", []),
    ]:
        page = await open_page(signed_in.client, f"/credentials?{query}")
        assert list_labels(page) == labels
        assert bool("No credential matches" in page.text) == (labels == [])


async def test_the_owner_reads_how_the_exchange_itself_put_it(signed_in: SignedIn, app: Any, clock: FakeClock) -> None:
    path = await connect(signed_in, app, "hitbtc", "read-only")
    sandbox = app.state.sandbox.state.sandbox
    for fault, words in ((Fault.ACCOUNT_BLOCKED, "Action not allowed. Action is not allowed for this account"), (None, "")):
        sandbox.set_fault("hitbtc", scenario="read-only", fault=fault)
        clock.advance(minutes=1)
        await submit(signed_in.client, (await open_page(signed_in.client, path)).form(f"{path}/check"))
        page = await open_page(signed_in.client, path)
        newest = page.find(cls="disclosure")[0]
        assert ("In HitBTC’s words" in newest.text) == bool(words)
        assert words in newest.text


async def test_the_page_of_a_credential_shows_evidence_and_facts(signed_in: SignedIn, app: Any) -> None:
    path = await connect(signed_in, app, "hitbtc", "read-trade")
    page = await open_page(signed_in.client, path)
    assert page.heading == "My read-trade"
    (evidence,) = page.find(tag="table", cls="evidence-table")
    assert "DELETE /api/3/wallet/crypto/withdraw/{id}" in evidence.text
    assert "Shown by a harmless call" in evidence.text
    assert "7 of 7" in page.text
    assert page.find(tag="table", cls="balance-table")
    secret = get_key(app, "hitbtc", "read-trade").show_secrets()["secret_key"]
    assert secret not in page.html
    history = await open_page(signed_in.client, f"{path}/checks")
    assert "GET /api/3/spot/balance" in history.text


async def test_renaming_says_what_is_wrong_and_then_does_it(signed_in: SignedIn, app: Any) -> None:
    path = await connect(signed_in, app, "hitbtc", "read-only")
    form = (await open_page(signed_in.client, path)).form(f"{path}/rename")
    refused = Page(await submit(signed_in.client, form, label="y" * 41))
    assert refused.status == 422
    assert "longer than 40 characters" in refused.form(f"{path}/rename").error_of("label")
    assert refused.heading == "My read-only"
    renamed = Page(await submit(signed_in.client, refused.form(f"{path}/rename"), label="  Grid   bot "))
    assert renamed.heading == "Grid bot"


async def test_the_plan_changes_what_is_missing_and_back(signed_in: SignedIn, app: Any, clock: FakeClock) -> None:
    path = await connect(signed_in, app, "htx", "read-only")
    form = (await open_page(signed_in.client, path)).form(f"{path}/plan")
    limited = Page(await submit(signed_in.client, form, plan="trading"))
    assert [one.text for one in limited.find(cls="status-pill")] == ["Limited"]
    assert any(one.text == "Trade missing" for one in limited.find(cls="permission"))
    listed = await open_page(signed_in.client, "/credentials")
    assert "Use for balances only My read-only" in [one.text for one in listed.find(tag="button")]
    watching = Page(await submit(signed_in.client, listed.form(f"{path}/plan")))
    assert [one.text for one in watching.find(cls="status-pill")] == ["Connected"]


async def test_pausing_and_resuming(signed_in: SignedIn, app: Any) -> None:
    path = await connect(signed_in, app, "htx", "read-only")
    page = await open_page(signed_in.client, path)
    paused = Page(await submit(signed_in.client, page.form(f"{path}/pause")))
    assert [one.text for one in paused.find(cls="status-pill")] == ["Paused"]
    resumed = Page(await submit(signed_in.client, paused.form(f"{path}/resume")))
    assert [one.text for one in resumed.find(cls="status-pill")] == ["Connected"]


async def test_the_pages_say_when_the_next_check_comes(signed_in: SignedIn, app: Any, clock: FakeClock) -> None:
    path = await connect(signed_in, app, "hitbtc", "read-only")
    for url in (path, "/credentials"):
        assert "Next <time" in (await signed_in.client.get(url)).text
    clock.advance(minutes=20)
    for url in (path, "/credentials"):
        assert "Next is due" in (await signed_in.client.get(url)).text


async def test_checking_one_and_all(signed_in: SignedIn, app: Any, clock: FakeClock) -> None:
    first = await connect(signed_in, app, "hitbtc", "read-only")
    second = await connect(signed_in, app, "htx", "read-only")
    await signed_in.client.post(f"{second}/pause")
    clock.advance(minutes=5)
    page = Page(await submit(signed_in.client, (await open_page(signed_in.client, "/credentials")).form(f"{first}/check")))
    assert page.heading == "Credentials"
    assert "Checked now" in page.text
    clock.advance(minutes=5)
    assert (await signed_in.client.post("/credentials/check-all")).headers["location"] == "/credentials"
    assert len((await open_page(signed_in.client, f"{first}/checks")).find(cls="timeline__title")) == 3
    assert len((await open_page(signed_in.client, f"{second}/checks")).find(cls="timeline__title")) == 1


async def test_a_key_that_gains_withdrawal_is_shown_with_its_guide(signed_in: SignedIn, app: Any, clock: FakeClock) -> None:
    path = await connect(signed_in, app, "htx", "drifting")
    for _ in range(8):
        clock.advance(minutes=1)
        await signed_in.client.post(f"{path}/check")
    page = await open_page(signed_in.client, "/credentials")
    assert [one.text for one in page.find(cls="status-pill")] == ["Withdraw enabled"]
    assert "1 key can withdraw" in page.text
    guide = await open_page(signed_in.client, page.links["Open the HTX guide"])
    assert guide.heading == "HTX guide"
    assert "Withdraw" in guide.text


async def test_replacing_keeps_the_old_key_until_the_new_one_passes(signed_in: SignedIn, app: Any) -> None:
    path = await connect(signed_in, app, "hitbtc", "read-only")
    hint = get_key(app, "hitbtc", "read-only").show_secrets()["api_key"][-4:]
    page = await open_page(signed_in.client, f"{path}/replace")
    assert page.heading == "Replace the key of My read-only"
    wrong = get_key(app, "hitbtc", "wrong-secret").show_secrets()
    refused = Page(await submit(signed_in.client, page.form(f"{path}/replace"), **wrong))
    assert refused.status == 422
    assert refused.form(f"{path}/replace").error_of("secret_key")
    assert f"…{hint}" in (await open_page(signed_in.client, path)).text
    other = get_key(app, "hitbtc", "large").show_secrets()
    done = Page(await submit(signed_in.client, refused.form(f"{path}/replace"), **other))
    assert "Connected: My read-only" in done.text
    assert f"…{other['api_key'][-4:]}" in (await open_page(signed_in.client, path)).text
    assert await count_credentials(app) == 1


async def test_the_result_page_never_calls_a_key_connected_that_is_not(signed_in: SignedIn, app: Any, clock: FakeClock) -> None:
    path = await connect(signed_in, app, "hitbtc", "drifting")
    for _ in range(4):
        clock.advance(minutes=3)
        await signed_in.client.post(f"{path}/check", data={})
    page = await open_page(signed_in.client, f"{path}?connected=1")
    assert "This key can move funds out" in page.text
    assert "Stored: My drifting" in page.text
    assert "Connected:" not in page.text
    assert "connected" not in page.html.split("</title>")[0].split("<title>")[1]


async def test_disconnecting_asks_first_and_reminds_of_the_exchange(signed_in: SignedIn, app: Any) -> None:
    path = await connect(signed_in, app, "htx", "read-only")
    page = await open_page(signed_in.client, f"{path}/disconnect")
    assert page.heading == "Disconnect My read-only?"
    assert await count_credentials(app) == 1
    gone = Page(await submit(signed_in.client, page.form(f"{path}/disconnect")))
    assert any("stays valid at HTX" in text for text in gone.notices)
    assert await count_credentials(app) == 0
    assert (await signed_in.client.get(path)).status_code == 404


@pytest.mark.parametrize("verb", ["", "/checks", "/guide", "/replace", "/disconnect"])
async def test_unknown_and_deleted_credentials_are_not_found(signed_in: SignedIn, verb: str) -> None:
    assert (await signed_in.client.get(f"/credentials/crd_0000000000000000000000000{verb}")).status_code == 404


async def test_another_users_credential_is_not_there(
    signed_in: SignedIn, app: Any, make_client: Callable[[], httpx.AsyncClient]
) -> None:
    path = await connect(signed_in, app, "htx", "read-only")
    await add_person(app, "other@example.org", Role.TRADER)
    async with make_client() as other:
        await sign_in(other, "other@example.org")
        assert list_labels(await open_page(other, "/credentials")) == []
        answers = [await other.get(f"{path}{page}") for page in ("", "/checks", "/guide", "/replace", "/disconnect")]
        for verb in ("check", "rename", "plan", "pause", "resume", "replace", "disconnect"):
            answers.append(await other.post(f"{path}/{verb}", data={"label": "x", "plan": "trading"}))
            answers.append(await other.post(f"/credentials/crd_unknown/{verb}", data={"label": "x", "plan": "trading"}))
    assert {(answer.status_code, Page(answer).heading) for answer in answers} == {(404, "There is no such credential")}
    assert (await open_page(signed_in.client, path)).heading == "My read-only"


async def test_a_browser_that_asks_gets_the_steps_as_they_happen(signed_in: SignedIn, app: Any) -> None:
    key = get_key(app, "hitbtc", "read-trade")
    data = {"environment": "sandbox", "plan": "trading", "label": "Live", **key.show_secrets()}
    answer = await signed_in.client.post("/credentials/connect/hitbtc", data=data, headers=STREAM)
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = read_events(answer.text)
    names = [data["name"] for kind, data in events if kind == "step" and data["state"] in ("passed", "warned")]
    assert names == ["format", "reachable", "clock", "signature", "permissions", "withdrawal", "balances"]
    assert events[-1][0] == "done"
    page = await open_page(signed_in.client, events[-1][1]["location"])
    assert "Connected: Live" in page.text
    assert key.show_secrets()["secret_key"] not in answer.text


async def test_a_streamed_refusal_stores_nothing_and_says_everything(signed_in: SignedIn, app: Any) -> None:
    key = get_key(app, "htx", "ip-restricted")
    data = {"environment": "sandbox", "plan": "balances", "label": "x", **key.show_secrets()}
    answer = await signed_in.client.post("/credentials/connect/htx", data=data, headers=STREAM)
    kind, refusal = read_events(answer.text)[-1]
    assert (kind, refusal["code"], refusal["who_acts"]) == ("refused", "ip_not_allowed", "trader")
    assert refusal["copy"]
    assert await count_credentials(app) == 0
    assert key.show_secrets()["secret_key"] not in answer.text


async def test_a_streamed_fault_still_ends_with_words(
    signed_in: SignedIn, app: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise ValueError("canary-of-a-fault")

    monkeypatch.setattr("app.credentials.attempts.CheckRun.run", fail)
    key = get_key(app, "htx", "read-only")
    data = {"environment": "sandbox", "plan": "balances", "label": "x", **key.show_secrets()}
    answer = await signed_in.client.post("/credentials/connect/htx", data=data, headers=STREAM)
    kind, refusal = read_events(answer.text)[-1]
    assert (kind, refusal["code"]) == ("refused", "internal")
    assert "canary-of-a-fault" not in answer.text + caplog.text
