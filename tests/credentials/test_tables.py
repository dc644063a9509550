"""The two generated documents are what the code does now, and what they say was seen."""

from pathlib import Path

import pytest

from app.commands.sandbox import play_all
from app.credentials.honesty import ExchangeFacts, rehearse
from app.credentials.rehearsal import Played
from app.credentials.tables import write_exchanges, write_scenarios
from app.exchanges.registry import find_adapters
from app.exchanges.types import Permission, ProbePolicy
from app.sandbox.keys import list_keys
from tests.conftest import FakeClock

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
KINDS = find_adapters()


@pytest.fixture
async def table() -> dict[str, ExchangeFacts]:
    return {facts.exchange.slug: facts for facts in await rehearse(KINDS, clock=FakeClock())}


async def test_the_document_of_exchanges_is_up_to_date(table: dict[str, ExchangeFacts]) -> None:
    written = (DOCS / "exchanges.md").read_text(encoding="utf-8")
    assert written == write_exchanges(table.values()), "write it anew: keydeck exchanges --markdown > docs/exchanges.md"


async def test_the_document_of_scenarios_is_up_to_date_and_keeps_the_sandboxs_promises() -> None:
    played = await play_all()
    for probes, rows in played.items():
        assert [(one.key.exchange, one.key.scenario, *read(one)) for one in rows] == [
            (key.exchange, key.scenario, key.status, key.code, key.stored) for key in list_keys(probes)
        ]
    for one in played[ProbePolicy.HARMLESS]:
        if one.advice is not None and one.advice.who_acts == "nobody":
            assert not one.stored
            assert "not stored" in one.advice.remedy, "nobody looks after a key that was refused"
    names = {slug: kind.exchange.name for slug, kind in KINDS.items()}
    written = (DOCS / "scenarios.md").read_text(encoding="utf-8")
    assert written == write_scenarios(played, names), "write it anew: keydeck sandbox table --markdown > docs/scenarios.md"


def read(one: Played) -> tuple[str, str | None, bool]:
    return one.status.value, one.advice.code if one.advice else None, one.stored


async def test_every_call_right_and_doubt_is_in_the_table(table: dict[str, ExchangeFacts]) -> None:
    assert set(table) == set(KINDS)
    for slug, facts in table.items():
        kind = KINDS[slug]
        assert [call.label for call in facts.calls] == [call.label for call in kind.calls]
        assert "not rehearsed" not in str(facts), f"{slug}: a call or right that no sandbox key shows"
        assert {doubt.code for doubt in facts.doubts} == kind.exchange.doubtful_codes
        assert [name for site in facts.sites for name in site.names] == [site.name for site in kind.exchange.sites]
        for site in facts.sites:
            assert [right.permission for right in site.rights] == list(Permission)
            assert all(set(right.known) == set(ProbePolicy) for right in site.rights)


async def test_probes_are_asked_only_under_the_policy_they_need(table: dict[str, ExchangeFacts]) -> None:
    for slug, facts in table.items():
        for call, declared in zip(facts.calls, KINDS[slug].calls, strict=True):
            is_read = declared.method == "GET" or declared.reads
            assert (ProbePolicy.READS in call.probes) == is_read
            assert ProbePolicy.ALL in call.probes
            assert call.is_signed != declared.public


@pytest.mark.parametrize(
    ("slug", "right", "known"),
    [
        ("bitexbit", Permission.WITHDRAW, ("unknown", "unknown", "probed")),
        ("hitbtc", Permission.WITHDRAW, ("unknown", "probed", "probed")),
        ("binance", Permission.WITHDRAW, ("told", "told", "told")),
    ],
)
async def test_rights_are_told_probed_or_unknown(
    table: dict[str, ExchangeFacts], slug: str, right: Permission, known: tuple[str, ...]
) -> None:
    found = next(row for row in table[slug].sites[0].rights if row.permission is right)
    assert tuple(found.known.values()) == known
