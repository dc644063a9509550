"""The alerts pages as a person uses them: the list and the bell, channels with test and log, quiet hours, the calendar."""

import re
from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.alerts.messages import Outgoing
from app.alerts.sending import Address
from app.credentials.change_models import ChangeKind
from app.exchanges.types import Permission
from tests.alerts.calendars import read_calendar
from tests.alerts.receiver import run_receiver
from tests.conftest import FakeClock
from tests.credentials.bench import Bench
from tests.pages import Page, open_page, submit
from tests.people import SignedIn


@pytest.fixture
async def bench(app: Any, signed_in: SignedIn) -> Bench:
    """The bench of the person who is signed in."""
    return Bench(app, Bench.principal_of(signed_in.user_id, signed_in.email))


async def drift(bench: Bench, clock: FakeClock, *, label: str = "Grid <b>bot") -> str:
    view = await bench.connect("htx", "read-only", label=label)
    bench.state.sandbox.state.sandbox.find_key("htx", "read-only").active = False
    clock.advance(minutes=15)
    await bench.check(view.id)
    await bench.state.alerts.run_round()
    return view.id


async def test_the_bell_counts_what_is_unread_on_every_page(bench: Bench, signed_in: SignedIn, clock: FakeClock) -> None:
    client = signed_in.client
    assert (await open_page(client, "/alerts")).heading == "Alerts"
    assert "No alerts yet" in (await open_page(client, "/alerts")).text
    credential_id = await drift(bench, clock)
    for path in (
        "/credentials",
        f"/credentials/{credential_id}",
        "/balances",
        "/activity",
        "/security",
        "/alerts",
        "/alerts/settings",
    ):
        page = await open_page(client, path)
        assert page.find(tag="a", aria_label="Alerts, 1 unread"), path
        assert "Alerts 1 unread" in [one.text for one in page.find(tag="a", cls="nav__link")], path
    page = await open_page(client, "/alerts")
    assert page.links["Grid <b>bot at HTX does not work any more (unread)"] == f"/credentials/{credential_id}"
    (form,) = [
        one for one in page.find(tag="form") if one.attributes["action"].endswith("/read") and "alt_" in one.attributes["action"]
    ]
    page = Page(await submit(client, page.form(form.attributes["action"])))
    assert page.find(tag="a", aria_label="Alerts")
    assert "Grid <b>bot at HTX does not work any more" in page.text
    assert "Nothing unread" in (await open_page(client, "/alerts?show=unread")).text


async def test_all_are_marked_as_read_and_the_list_is_paged(bench: Bench, signed_in: SignedIn, clock: FakeClock) -> None:
    credential_id = await drift(bench, clock)
    key = bench.state.sandbox.state.sandbox.find_key("htx", "read-only")
    for number in range(60):
        key.active = number % 2 == 0
        clock.advance(seconds=30)
        await bench.check(credential_id)
    await bench.state.alerts.run_round()
    page = await open_page(signed_in.client, "/alerts")
    assert len(page.find(tag="li", data_unread="")) == 50
    older = await open_page(signed_in.client, page.links["Older alerts"])
    assert len(older.find(tag="li", data_unread="")) == 11
    assert "Older alerts" not in older.links
    page = Page(await submit(signed_in.client, page.form("/alerts/read")))
    assert page.find(tag="li", data_unread="") == []
    assert "Nothing older" in (await open_page(signed_in.client, "/alerts?before=alt_unknown")).text


async def test_a_webhook_from_adding_to_removing(bench: Bench, signed_in: SignedIn, clock: FakeClock) -> None:
    client = signed_in.client
    async with run_receiver() as receiver:
        page = await open_page(client, "/alerts/add/webhook")
        refused = Page(await submit(client, page.form("/alerts/add/webhook"), url="http://192.168.1.1/canary"))
        assert refused.status == 422
        assert refused.form("/alerts/add/webhook").error_of("url") == "It must start with https://."
        assert "canary" not in refused.html
        added = Page(await submit(client, refused.form("/alerts/add/webhook"), url=receiver.url, name="My bot"))
        found = re.search(r"whs_[\w-]{43}", added.html)
        assert found is not None
        receiver.secret = found[0]
        assert receiver.url not in added.html
        path = next(one.attributes["action"] for one in added.find(tag="form") if one.attributes["action"].endswith("/test"))
        here = path.removesuffix("/test")
        tested = Page(await submit(client, added.form(path)))
        assert "The test was delivered Answered 204" in tested.notices
        assert receiver.documents[0]["type"] == "test"
        receiver.status = 500
        assert "The test was not delivered It answered 500." in Page(await submit(client, added.form(path))).notices
        receiver.status = 204
        page = await open_page(client, here)
        assert "whs_" not in page.html
        renewed = Page(await submit(client, page.form(f"{here}/secret")))
        again = re.search(r"whs_[\w-]{43}", renewed.html)
        assert again is not None
        assert again[0] != receiver.secret
        await submit(client, page.form(path))
        assert receiver.refused == 1, "the old secret signs nothing any more"
        form = page.form(here)
        saved = Page(
            await client.post(here, data={**form.values, "event": ["stopped_working"], "name": "Bot"}, follow_redirects=True)
        )
        assert "Saved." in saved.notices
        chosen = [one.attributes["value"] for one in saved.find(tag="input", name="event", checked="")]
        assert chosen == [ChangeKind.STOPPED_WORKING]
        assert saved.form(here).error_of("name") == ""
        empty = Page(await client.post(here, data={"name": " "}))
        assert empty.form(here).error_of("name") == "Type a name for this channel."
        removed = Page(await submit(client, page.form(f"{here}/remove")))
        assert "The channel is removed." in removed.notices
        assert (await client.get(here)).status_code == 404
    dump = await bench.dump()
    assert dump["alert_channels"] == dump["alert_deliveries"] == dump["sealed_values"] == []


@pytest.mark.parametrize(
    ("kind", "wrong", "right", "field"),
    [
        ("telegram", {"token": "canary", "chat": "1"}, {"token": "123456789:" + "A" * 35, "chat": "-100"}, "token"),
        (
            "telegram",
            {"token": "123456789:" + "A" * 35, "chat": "a b"},
            {"token": "123456789:" + "A" * 35, "chat": "@news1"},
            "chat",
        ),
        ("slack", {"url": "https://evil.example/services/T1/B1/x"}, {"url": "https://hooks.slack.com/services/T0/B0/abc"}, "url"),
        (
            "discord",
            {"url": "https://discord.com.evil.example/api/webhooks/1/x"},
            {"url": "https://discord.com/api/webhooks/1/abc-DEF_9"},
            "url",
        ),
        ("other", {"url": "json://127.0.0.1/canary"}, {"url": "pbul://" + "a" * 32}, "url"),
        ("other", {"url": "ntfy://10.0.0.1/canary"}, {"url": "ntfys://my-topic"}, "url"),
        ("other", {"url": "tgram://1:A/2?verify=no"}, {"url": "tgram://123456789:" + "A" * 35 + "/2"}, "url"),
    ],
)
async def test_other_services_are_added_with_what_is_right(
    bench: Bench, signed_in: SignedIn, kind: str, wrong: dict[str, str], right: dict[str, str], field: str
) -> None:
    path = f"/alerts/add/{kind}"
    page = await open_page(signed_in.client, path)
    refused = Page(await submit(signed_in.client, page.form(path), **wrong))
    assert refused.status == 422
    assert refused.form(path).error_of(field)
    assert "canary" not in refused.html
    added = Page(await submit(signed_in.client, refused.form(path), **right))
    assert "The channel is added. Send a test to see that it arrives." in added.notices
    assert right.get("url", right.get("token", "")) not in added.html


async def test_eleven_channels_are_too_many_and_unknown_kinds_unknown(bench: Bench, signed_in: SignedIn) -> None:
    for number in range(10):
        data = {"url": "ntfy://topic", "name": f"No {number}"}
        assert (await signed_in.client.post("/alerts/add/other", data=data)).status_code == 303
    assert (await signed_in.client.post("/alerts/add/other", data={"url": "ntfy://topic"})).status_code == 409
    assert "10 channels are the most" in (await open_page(signed_in.client, "/alerts/settings")).text
    for path in ("/alerts/add/exec", "/alerts/channels/chn_unknown"):
        assert (await signed_in.client.get(path)).status_code == 404


async def test_tests_are_limited(bench: Bench, signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch) -> None:
    async def take(self: Any, outgoing: Outgoing, address: Address, *, at: Any) -> str:
        return "Taken"

    monkeypatch.setattr("app.alerts.services.ServiceSender.send", take)
    location = (await signed_in.client.post("/alerts/add/other", data={"url": "ntfy://topic"})).headers["location"].split("?")[0]
    answers = [(await signed_in.client.post(f"{location}/test")).status_code for _ in range(21)]
    assert answers == [200] * 20 + [429]


async def test_quiet_hours(bench: Bench, signed_in: SignedIn) -> None:
    client, path = signed_in.client, "/alerts/quiet-hours"
    page = await open_page(client, "/alerts/settings")
    for wrong, field in (
        ({"quiet_from": "25:00"}, "quiet_from"),
        ({"quiet_to": "22:00"}, "quiet_to"),
        ({"time_zone": "Mars/Base"}, "time_zone"),
    ):
        refused = Page(await submit(client, page.form(path), quiet="on", **wrong))
        assert refused.status == 422
        assert refused.form(path).error_of(field)
    saved = Page(
        await submit(client, page.form(path), quiet="on", quiet_from="23:00", quiet_to="06:30", time_zone="Europe/Berlin")
    )
    assert "The quiet hours are saved." in saved.notices
    values = saved.form(path).values
    assert (values["quiet"], values["quiet_from"], values["quiet_to"], values["time_zone"]) == (
        "on",
        "23:00",
        "06:30",
        "Europe/Berlin",
    )
    off = Page(await client.post(path, data={"time_zone": "Europe/Berlin"}, follow_redirects=True))
    assert "quiet" not in off.form(path).values


async def test_the_calendar_by_its_private_link(
    bench: Bench, signed_in: SignedIn, client: httpx.AsyncClient, make_client: Any, clock: FakeClock
) -> None:
    view = await bench.connect("htx", "expiring", label="canary, label; here")
    page = await open_page(client, "/alerts/settings")
    made = Page(await submit(client, page.form("/alerts/calendar")))
    found = re.search(r"http://127\.0\.0\.1:8000(/calendar/[\w-]{43}\.ics)", made.html)
    assert found is not None
    async with make_client() as stranger:
        answer = await stranger.get(found[1])
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/calendar; charset=utf-8")
        calendar = read_calendar(answer.content)
        (event,) = calendar.events
        assert view.expires_at is not None
        assert event["SUMMARY"] == "A key at HTX ends"
        assert event["DTSTART"] == f"{view.expires_at:%Y%m%d}"
        assert event["DTEND"] == f"{view.expires_at + timedelta(days=1):%Y%m%d}"
        assert event["URL"] == f"http://127.0.0.1:8000/credentials/{view.id}"
        assert "90 days" in event["DESCRIPTION"]
        assert "canary" not in answer.text
        assert view.key_hint not in answer.text
        assert (await stranger.get("/calendar/" + "x" * 43 + ".ics")).status_code == 404
        page = await open_page(client, "/alerts/settings")
        assert found[1] not in page.html
        again = Page(await submit(client, page.form("/alerts/calendar")))
        assert (await stranger.get(found[1])).status_code == 404
        newer = re.search(r"/calendar/[\w-]{43}\.ics", again.html)
        assert newer is not None
        assert (await stranger.get(newer[0])).status_code == 200
        await submit(client, again.form("/alerts/calendar/revoke"))
        assert (await stranger.get(newer[0])).status_code == 404


async def test_the_api_lists_alerts_in_pages(bench: Bench, signed_in: SignedIn, clock: FakeClock) -> None:
    credential_id = await drift(bench, clock)
    bench.state.sandbox.state.sandbox.find_key("htx", "read-only").active = True
    clock.advance(minutes=15)
    await bench.check(credential_id)
    await bench.state.alerts.run_round()
    first = (await signed_in.client.get("/api/v1/alerts?limit=1")).json()
    (item,) = first["items"]
    assert (item["kind"], item["phase"], item["read"], item["credential_id"]) == (
        "stopped_working",
        "ended",
        False,
        credential_id,
    )
    second = (await signed_in.client.get(f"/api/v1/alerts?limit=1&cursor={first['next_cursor']}")).json()
    assert [(item["phase"], item["title"]) for item in second["items"]] == [
        ("began", "Grid <b>bot at HTX does not work any more")
    ]
    assert second["next_cursor"] is None
    assert len((await signed_in.client.get("/api/v1/alerts?unread=true")).json()["items"]) == 2


async def test_the_keys_own_page_shows_what_changed_and_the_quarantine(
    bench: Bench, signed_in: SignedIn, clock: FakeClock
) -> None:
    view = await bench.connect("htx", "read-trade", label="Main")
    sandbox, path = bench.state.sandbox.state.sandbox, f"/credentials/{view.id}"
    assert "What changed" not in (await open_page(signed_in.client, path)).text
    sandbox.set_permissions("htx", scenario="read-trade", permissions=(Permission.READ, Permission.TRADE, Permission.WITHDRAW))
    clock.advance(minutes=15)
    page = Page(await submit(signed_in.client, (await open_page(signed_in.client, path)).form(f"{path}/check")))
    assert any("In quarantine Since 12:15 Keydeck uses this key for checks only" in notice for notice in page.notices)
    assert "Not read while the key is in quarantine." in page.text
    assert "The key can withdraw now 12:15 Before: Read, Trade, Transfer. Now: Read, Trade, Transfer, Withdraw." in page.text
    activity = await open_page(signed_in.client, "/activity")
    assert "Key put in quarantine: it gained a right" in activity.text
    assert "Read, Trade, Transfer → Read, Trade, Transfer, Withdraw" in activity.text
    assert (await signed_in.client.get(f"/api/v1/credentials/{view.id}")).json()["quarantined_at"] == "2026-11-21T12:15:00Z"
    sandbox.set_permissions("htx", scenario="read-trade", permissions=(Permission.READ, Permission.TRADE))
    clock.advance(minutes=15)
    page = Page(await submit(signed_in.client, page.form(f"{path}/check")))
    assert not any("In quarantine" in notice for notice in page.notices)
    assert "The key cannot withdraw any more 12:30" in page.text
