"""What messages hold and what they never hold; quiet hours over midnight and the clock's own changes; the calendar's form."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.alerts.calendar import EndingEvent, escape, fold, write_calendar
from app.alerts.events import ALL_EVENTS, is_urgent
from app.alerts.messages import MOST_LISTED, AlertFacts, Outgoing, write_all, write_message
from app.alerts.quiet_hours import QuietHours, find_end, list_time_zones, parse_minute, write_minute
from app.alerts.webhooks import write_body
from app.credentials.change_models import ChangeKind, Phase
from app.exchanges.registry import find_adapters
from tests.alerts.calendars import read_calendar, read_text
from tests.alerts.stage import READ, TRADE, WITHDRAW, AlertStage
from tests.conftest import FakeClock

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
EXCHANGES = [kind.exchange for kind in find_adapters().values()]
FACTS = {
    "before": "Read", "after": "Read, Withdraw", "lost": "Trade", "code": "ip_not_allowed", "step": "3", "days": "3",
    "ends_at": "2026-11-24T12:00:00+00:00", "bound": "no", "since": "2026-11-21T10:59:00+00:00",
}  # fmt: skip
ADDRESSES = {"before": "203.0.113.77", "after": "203.0.113.88"}


def make_alert(kind: str, phase: str, exchange: object = EXCHANGES[0], **facts: str) -> AlertFacts:
    return AlertFacts("alt_1", NOW, kind, phase, {**FACTS, **facts}, "crd_1", "Main", exchange)  # type: ignore[arg-type]  # an Exchange


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange.slug)
@pytest.mark.parametrize("kind", ChangeKind)
@pytest.mark.parametrize("phase", Phase)
def test_every_change_has_words_at_every_exchange(exchange: object, kind: ChangeKind, phase: Phase) -> None:
    facts = ADDRESSES if kind is ChangeKind.ADDRESSES_CHANGED else {}
    alert = make_alert(kind, phase, exchange, **facts)
    inside, outside = write_message(alert, is_own_page=True), write_message(alert, is_own_page=False, shows_label=False)
    for message in (inside, outside):
        text = f"{message.title} {message.detail}"
        assert "{" not in text
        assert "None" not in text
        assert "!" not in text
        assert message.tone in ("danger", "warn", "ok")
    assert "Main" not in f"{outside.title} {outside.detail}"
    assert "203.0.113" not in f"{outside.title} {outside.detail}"
    assert ("203.0.113.88" in inside.detail) == (kind is ChangeKind.ADDRESSES_CHANGED)
    replaced = write_message(replace(alert, facts={"replaced": "yes"}), is_own_page=False)
    assert "was replaced" in replaced.title
    assert replaced.tone == "ok"


def test_the_end_is_told_with_its_rule() -> None:
    htx = next(exchange for exchange in EXCHANGES if exchange.expiry_rule)
    message = write_message(make_alert("expiring", "began", htx), is_own_page=False)
    assert message.title == f"Main at {htx.name} ends in 3 days"
    assert "24 Nov 2026" in message.detail
    assert htx.expiry_rule in message.detail
    assert "within a day" in write_message(make_alert("expiring", "nearer", htx, days="1"), is_own_page=False).title


def test_a_kind_of_a_newer_version_is_told_as_a_change() -> None:
    assert write_message(make_alert("something_new", "began"), is_own_page=True).title.endswith("changed")


def test_many_are_listed_up_to_a_number() -> None:
    outgoing = write_all([make_alert("stopped_working", "began")] * 50, public_url="https://k.example.org", shows_labels=True)
    assert outgoing.subject.endswith(", and 49 more")
    assert outgoing.text.count("https://k.example.org/credentials/crd_1") == MOST_LISTED
    assert "And 30 more: https://k.example.org/alerts" in outgoing.text
    assert Outgoing((), "https://k.example.org", is_test=True).subject == "Test from Keydeck"


def test_what_is_urgent() -> None:
    urgent = [kind for kind in ALL_EVENTS if is_urgent(kind, phase="began", facts={})]
    assert urgent == ["withdraw_gained", "transfer_gained", "stopped_working"]
    assert not any(is_urgent(kind, phase="ended", facts={"step": "1"}) for kind in ALL_EVENTS)
    assert [is_urgent("expiring", phase="nearer", facts={"step": step}) for step in ("3", "1")] == [False, True]


@pytest.mark.parametrize(
    ("now", "end"),
    [
        ("2026-11-21T20:59:00+00:00", None),
        ("2026-11-21T21:00:00+00:00", "2026-11-22T06:00:00+00:00"),
        ("2026-11-22T05:59:00+00:00", "2026-11-22T06:00:00+00:00"),
        ("2026-11-22T06:00:00+00:00", None),
        ("2026-10-24T23:00:00+00:00", "2026-10-25T06:00:00+00:00"),  # the night in which summer time ends
        ("2026-03-28T23:00:00+00:00", "2026-03-29T05:00:00+00:00"),  # and begins
    ],
)
def test_quiet_hours_in_berlin(now: str, end: str | None) -> None:
    quiet = QuietHours(22 * 60, 7 * 60, "Europe/Berlin")
    found = find_end(quiet, now=datetime.fromisoformat(now))
    assert (found.isoformat() if found else None) == end


@pytest.mark.parametrize(
    ("now", "end"),
    [
        ("2026-10-25T00:15:00+00:00", "2026-10-25T00:30:00+00:00"),  # 02:15, the first time
        ("2026-10-25T00:45:00+00:00", None),
        ("2026-10-25T01:15:00+00:00", "2026-10-25T01:30:00+00:00"),  # 02:15, the second time
        ("2026-10-25T01:30:00+00:00", None),
        ("2026-03-29T00:15:00+00:00", "2026-03-29T01:00:00+00:00"),  # 02:30 is leapt over: they end with the leap
        ("2026-03-29T00:59:59+00:00", "2026-03-29T01:00:00+00:00"),
        ("2026-03-29T01:00:00+00:00", None),
    ],
)
def test_quiet_hours_that_end_when_clocks_are_put_back_or_forward(now: str, end: str | None) -> None:
    quiet = QuietHours(22 * 60, 2 * 60 + 30, "Europe/Berlin")
    found = find_end(quiet, now=datetime.fromisoformat(now))
    assert (found.isoformat() if found else None) == end


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Lord_Howe", "Africa/Cairo", "America/New_York", "UTC"])
def test_quiet_hours_never_end_in_the_past(zone: str) -> None:
    for day in ("2026-03-28", "2026-10-24", "2026-04-04", "2026-10-03", "2026-04-23", "2026-10-29", "2026-03-07", "2026-10-31"):
        for minutes in range(0, 24 * 60, 10):
            now = datetime.fromisoformat(f"{day}T12:00:00+00:00") + timedelta(minutes=minutes)
            for quiet in (QuietHours(22 * 60, 2 * 60 + 10, zone), QuietHours(60, 150, zone), QuietHours(0, 15, zone)):
                end = find_end(quiet, now=now)
                assert end is None or (now < end and find_end(quiet, now=end) is None), (now, quiet)


def test_quiet_hours_within_a_day_and_none() -> None:
    day = QuietHours(13 * 60, 14 * 60 + 30, "UTC")
    assert find_end(day, now=NOW) is None
    assert find_end(day, now=NOW.replace(hour=13)) == NOW.replace(hour=14, minute=30)
    assert find_end(QuietHours(60, 60, "UTC"), now=NOW) is None
    assert [parse_minute(text) for text in ("00:00", "23:59", "24:00", "7:00", "ab", "")] == [0, 1439, None, None, None, None]
    assert write_minute(65) == "01:05"
    assert "Europe/Berlin" in list_time_zones()
    assert list_time_zones()[0] == "UTC"


def test_the_calendar_keeps_the_standard_with_hostile_texts() -> None:
    name = "Zürich;Börse, \\ 取引所 " * 9 + "\r\nBEGIN:VEVENT"
    event = EndingEvent("crd_1", name, "Rule; one, two\\", NOW, NOW)
    text = write_calendar([event, replace(event, credential_id="crd_2")], public_url="https://k.example.org")
    calendar = read_calendar(text.encode())
    assert [one["UID"] for one in calendar.events] == ["crd_1@k.example.org", "crd_2@k.example.org"]
    assert calendar.events[0]["SUMMARY"] == f"A key at {name} ends".replace("\r", "")
    assert "Rule; one, two\\" in calendar.events[0]["DESCRIPTION"]
    assert read_calendar(write_calendar([], public_url="https://k.example.org").encode()).events == []
    assert read_text(escape("a;b,c\\d\ne\x07")) == "a;b,c\\d\ne"
    assert max(len(line.encode()) for line in fold("ü" * 200).split("\r\n")) <= 75


async def test_no_secret_and_no_balance_leaves(stage: AlertStage, clock: FakeClock) -> None:
    """Canaries: the key, its secret, its hint, its account, its amounts, its addresses and all addresses of channels."""
    await stage.add_webhook()
    await stage.add("email")
    view = await stage.connect("htx", "read-trade", label="Label")
    assert view.balances.sheet is not None
    key = stage.key("htx", "read-trade")
    canaries = [*key.show_secrets().values(), view.key_hint, view.fingerprint, view.account_id or "none", stage.receiver.secret]
    canaries += [f"{row.total:f}" for row in view.balances.sheet.balances if len(f"{row.total:f}") > 4]
    stage.set_rights(READ, TRADE, WITHDRAW)
    simulated = stage.state.sandbox.state.sandbox.find_key("htx", "read-trade")
    simulated.allowed_ips = ("127.0.0.1", "203.0.113.77")
    clock.advance(minutes=15)
    await stage.check(view.id)
    clock.advance(minutes=61)
    simulated.active = False
    await stage.check(view.id)
    await stage.run_round()
    sent = "".join(letter.as_string() for letter in stage.office.letters) + b"".join(stage.receiver.bodies).decode()
    assert "withdraw" in sent
    assert "other addresses" in sent
    for canary in (*canaries, "203.0.113.77"):
        assert canary not in sent
    assert write_body(Outgoing((), "x", is_test=True), at=NOW)
    dump = await stage.dump()
    for table in ("alerts", "alert_deliveries", "alert_channels", "credential_changes", "credential_watch"):
        for canary in canaries:
            assert canary not in repr(dump[table]), table
