"""Ways out: chosen evenly, shown exactly, kept with the key, and chosen anew, with a notice, when the operator takes one away."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from app.credentials.notices import list_notices
from app.credentials.problems import Circumstances, advise
from app.credentials.ways import choose_way, find_first_address, find_name, list_allowed
from app.exchanges.errors import IpNotAllowed
from app.exchanges.http import ExchangeHttp
from app.exchanges.registry import Exchanges
from app.exchanges.types import AccessPlan, Answer, Grant, Permission, Proof
from app.exchanges.ways import parse_ways
from app.masking import Secret
from tests.credentials.bench import Bench
from tests.exchanges.stage import KINDS, SLUGS
from tests.people import SignedIn

WAYS = parse_ways(Secret(entry) for entry in ("203.0.113.10", "203.0.113.11=10.0.0.11", "203.0.113.12=http://u:p@proxy:3128"))
YES = Grant(Answer.YES, Proof.TOLD, datetime(2026, 11, 21, tzinfo=UTC), "GET /")


def use(app: Any, *names: str) -> None:
    """Let the operator name these ways out, and start anew."""
    ways = tuple(way for way in WAYS if way.name in names)
    app.state.settings = app.state.settings.model_copy(update={"egress": ways})
    exchanges: Exchanges = app.state.exchanges
    http: ExchangeHttp = exchanges._http
    exchanges._ways = {way.name: http for way in ways}


def test_the_least_used_way_is_chosen_and_what_the_guide_showed_is_kept() -> None:
    assert choose_way(WAYS, used={}).name == "direct"
    assert choose_way(WAYS, used={"direct": 2, "203.0.113.11": 1, "203.0.113.12": 1}).name == "203.0.113.11"
    assert choose_way(WAYS, used={"203.0.113.11": 9}, wanted="203.0.113.11").name == "203.0.113.11"
    assert choose_way(WAYS, used={"direct": 1}, wanted="gone").name == "203.0.113.11"
    assert list_allowed(WAYS, "203.0.113.12") == ("203.0.113.12",)
    assert list_allowed(WAYS, None) == list_allowed(WAYS, "gone") == ("203.0.113.10", "203.0.113.11", "203.0.113.12")
    assert find_name(WAYS, "203.0.113.12") == "203.0.113.12"
    assert find_name(WAYS, "203.0.113.10") == "direct"
    assert find_name(WAYS, "192.0.2.1") == ""
    assert find_first_address(WAYS, "direct") == "203.0.113.10"
    assert find_first_address(WAYS, "gone") == "gone"


async def test_keys_are_spread_evenly_and_each_shows_its_own_address(app: Any, bench: Bench) -> None:
    use(app, *(way.name for way in WAYS))
    views = [
        await bench.connect("hitbtc", scenario, plan="balances") for scenario in ("read-only", "read-trade", "large", "empty")
    ]
    assert [view.way for view in views] == ["direct", "203.0.113.11", "203.0.113.12", "direct"]
    assert [view.egress for view in views[:3]] == [("203.0.113.10",), ("203.0.113.11",), ("203.0.113.12",)]
    replaced = await bench.replace(views[1].id, bench.key("hitbtc", "read-trade"))
    assert replaced.way == "203.0.113.11", "a new key keeps the way that its addresses were allowed for"


async def test_a_way_that_is_gone_is_chosen_anew_with_a_notice_until_a_check_has_passed(
    app: Any, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(app, *(way.name for way in WAYS))
    view = await bench.connect("hitbtc", "read-only")
    assert (view.way, view.notices) == ("direct", ())
    use(app, "203.0.113.11", "203.0.113.12")
    kind = type(bench.state.exchanges.open("hitbtc", view.environment, bench.key("hitbtc", "read-only").secrets, key_id="x"))

    async def refuse(self: object) -> None:
        raise IpNotAllowed(seen_ip="203.0.113.11")

    with monkeypatch.context() as patch:
        patch.setattr(kind, "check", refuse)
        moved = await bench.check(view.id)
        assert (moved.way, moved.egress) == ("203.0.113.11", ("203.0.113.11",))
        (notice,) = moved.notices
        assert notice.code == "address_changed"
        assert "from 203.0.113.11 instead of direct" in notice.cause
        again = await bench.check(view.id)
        assert again.notices == moved.notices
    events = [row for row in (await bench.dump())["audit_events"] if "credential.moved" in row]
    assert len(events) == 1
    healed = await bench.check(view.id)
    assert (healed.way, healed.notices) == ("203.0.113.11", ())


async def test_the_connect_page_shows_the_address_that_the_key_will_use(app: Any, signed_in: SignedIn) -> None:
    use(app, *(way.name for way in WAYS))
    page = (await signed_in.client.get("/credentials/connect/hitbtc")).text
    assert 'name="way" value="direct"' in page
    assert "203.0.113.10" in page
    assert "203.0.113.11" not in page
    bench = await Bench.open(app, "other@example.org")
    await bench.connect("hitbtc", "read-only")
    page = (await signed_in.client.get("/credentials/connect/hitbtc")).text
    assert 'name="way" value="203.0.113.11"' in page
    assert "203.0.113.10" not in page


def test_an_address_that_nobody_expected_is_named() -> None:
    exchange = KINDS[SLUGS[0]].exchange
    seen = Circumstances(egress=("203.0.113.10",), seen_ip="198.51.100.7", link="https://exchange.example/keys")
    advice = advise("ip_not_allowed", exchange=exchange, about=seen)
    assert "Add 198.51.100.7" in advice.remedy or "198.51.100.7" in (advice.copy or "")
    assert "set up to be seen as 203.0.113.10" in advice.remedy
    assert advice.link == "https://exchange.example/keys"
    as_expected = advise(
        "ip_not_allowed", exchange=exchange, about=Circumstances(egress=("203.0.113.10",), seen_ip="203.0.113.10")
    )
    assert "set up to be seen" not in as_expected.remedy
    assert advise("maintenance", exchange=exchange, about=seen).link is None


@pytest.mark.parametrize("slug", SLUGS)
def test_rights_that_the_plan_does_not_need_are_named_with_their_box(slug: str) -> None:
    exchange = KINDS[slug].exchange
    every: Mapping[Permission, Grant] = {Permission.READ: YES, Permission.TRADE: YES, Permission.TRANSFER: YES}
    link = exchange.sites[0].keys_url
    balances = list_notices(exchange, AccessPlan.BALANCES, every, link=link)
    trading = list_notices(exchange, AccessPlan.TRADING, every, link=link)
    trade = next(notice for notice in balances if notice.code == "excess_trade")
    assert trade.box in {box.label for box in exchange.boxes if box.permission is Permission.TRADE}
    assert trade.box in trade.remedy
    assert trade.link == link
    assert "excess_trade" not in {notice.code for notice in trading}
    must_be_on = [box for box in exchange.boxes if box.permission is Permission.TRANSFER and AccessPlan.BALANCES in box.on_for]
    assert not must_be_on or "excess_transfer" not in {notice.code for notice in balances}
    assert list_notices(exchange, AccessPlan.BALANCES, {Permission.READ: YES}) == ()
