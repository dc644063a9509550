"""One contract for every exchange in the registry, from its JSON fixture: a new adapter is tested without new code."""

import logging
import traceback
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import anyio
import httpx
import pytest
import respx

from app.exchanges.adapter import ExchangeAdapter, encode_query
from app.exchanges.errors import ExchangeError, InvalidKey, UndeclaredCall
from app.exchanges.http import OutgoingRequest
from app.exchanges.types import AccessPlan, Answer, BalanceSheet, Call, KeyReport, Permission, Proof
from app.masking import MASK
from tests.exchanges.stage import KINDS, SLUGS, FakeExchange, load_fixture, make_adapter, make_response, stage

ROOT = Path(__file__).resolve().parents[2]
CASES = [(slug, case) for slug in SLUGS for case in load_fixture(slug).get("cases", [])]
REFUSALS = [(slug, case) for slug in SLUGS for case in load_fixture(slug)["refusals"]]
VECTORS = [(slug, case) for slug in SLUGS for case in load_fixture(slug)["vectors"]]
HTML = "<html><body>403 Forbidden: invalid api key, signature, permission</body></html>"


def raise_timeout(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout(f"no answer from {request.url}")


def raise_refused(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError(f"connection refused by {request.url}")


WEATHER: dict[str, Any] = {
    "timeout": raise_timeout,
    "connection refused": raise_refused,
    "429 without a body": {"status": 429, "text": ""},
    "429": {"status": 429, "body": {"message": "slow down"}},
    "500": {"status": 500, "body": {"message": "internal"}},
    "502": {"status": 502, "text": "Bad Gateway"},
    "503": {"status": 503, "body": {}},
    "redirect": {"status": 302, "headers": {"Location": "https://example.org/"}, "text": ""},
    "html 200": {"status": 200, "text": HTML},
    "html 401": {"status": 401, "text": HTML},
    "html 403": {"status": 403, "text": HTML},
    "empty 200": {"status": 200, "text": ""},
    "empty 403": {"status": 403, "text": ""},
    "a gateway's own 403": {"status": 403, "body": {"message": "Forbidden"}},
    "truncated": {"status": 200, "text": '[{"currency": "BTC", "avail'},
    "NaN": {"status": 200, "text": '[{"currency": "BTC", "symbol": "BTC", "available": NaN, "reserved": 0}]'},
    "null": {"status": 200, "text": "null"},
    "a number": {"status": 200, "text": "7"},
    "an empty object": {"status": 200, "text": "{}"},
    "deep": {"status": 200, "text": "[" * 100_000},
    "not text": {"status": 200, "text": "\x00\x01"},
}


def name_case(value: Any) -> str:
    return value["name"].replace(" ", "-") if isinstance(value, dict) else str(value)


def read_report(report: KeyReport) -> dict[str, Any]:
    told: dict[str, Any] = {
        "grants": {right.value: [grant.answer.value, grant.proof.value] for right, grant in report.grants.items()},
    }
    if report.account_id is not None:
        told["account_id"] = report.account_id
    if report.allowed_ips is not None:
        told["allowed_ips"] = list(report.allowed_ips)
    if report.expires_at is not None:
        told["expires_at"] = report.expires_at.isoformat()
    return told


def read_balances(sheet: BalanceSheet) -> list[tuple[str, str, Decimal, Decimal]]:
    return [(row.account, row.asset, row.available, row.held) for row in sheet.balances]


def expect_balances(rows: list[list[str]]) -> list[tuple[str, str, Decimal, Decimal]]:
    return [(account, asset, Decimal(available), Decimal(held)) for account, asset, available, held in rows]


@pytest.mark.parametrize("slug", SLUGS)
def test_every_piece_of_an_exchange_is_there(slug: str) -> None:
    load_fixture(slug)
    logo = ROOT / f"static/exchanges/{slug}.svg"
    assert logo.is_file(), f"{slug}: its logo static/exchanges/{slug}.svg is missing"
    drawing = ET.fromstring(logo.read_text())
    assert drawing.get("viewBox"), f"{slug}: its logo has no viewBox"
    names = {part.tag.rpartition("}")[2] for part in drawing.iter()}
    assert not names & {"script", "style", "foreignObject", "image", "use"}, f"{slug}: its logo must be a plain drawing"
    assert not any("style" in part.attrib for part in drawing.iter()), f"{slug}: a style attribute is blocked on our pages"
    played = ROOT / "app/sandbox/exchanges" / slug
    assert played.is_dir() or played.with_suffix(".py").is_file(), f"{slug}: the sandbox does not play it"


@pytest.mark.parametrize("slug", SLUGS)
def test_facts_are_complete(slug: str) -> None:
    exchange = KINDS[slug].exchange
    assert [field.name for field in exchange.fields] == ["api_key", "secret_key"]
    assert [field.secret for field in exchange.fields] == [False, True]
    assert set(exchange.needs) == set(AccessPlan)
    assert {step.kind for step in exchange.guide} == {"text", "label", "boxes", "addresses", "secret"}
    assert all(step.title and step.text for step in exchange.guide)
    assert len(exchange.monogram) == 2
    for site in exchange.sites:
        assert site.api_url.startswith("https://")
        assert not site.api_url.endswith("/")
    for plan in AccessPlan:
        ticked = {box.permission for box in exchange.boxes if plan in box.on_for}
        assert Permission.WITHDRAW not in ticked, "no plan needs a key that may withdraw"
        assert (Permission.TRADE in ticked) == (plan is AccessPlan.TRADING)


@pytest.mark.parametrize("slug", SLUGS)
def test_calls_are_declared_honestly(slug: str) -> None:
    kind = KINDS[slug]
    assert kind.clock_call in kind.calls
    assert kind.clock_call.public
    for call in kind.calls:
        assert call.method == "GET" or call.reads or call.probe.value != "reads", f"{call.label} is no read"
        assert call.label in load_fixture(slug)["replies"], f"{slug}: the fixture has no reply to {call.label}"


@pytest.mark.parametrize(("slug", "case"), VECTORS, ids=name_case)
def test_signature_vectors(slug: str, case: dict[str, Any]) -> None:
    fixture = load_fixture(slug)
    now = (
        datetime.fromtimestamp(case["at_ms"] / 1000, UTC)
        if "at_ms" in case
        else datetime.fromisoformat(case.get("now", fixture["now"]))
    )
    adapter = make_adapter(
        KINDS[slug],
        fixture,
        httpx.MockTransport(raise_refused),
        secrets=case.get("secrets"),
        now=now,
        base_url=case.get("base_url"),
    )
    query = encode_query([(name, value) for name, value in case.get("query", [])])
    url = adapter.context.base_url + case["path"] + (f"?{query}" if query else "")
    signed = adapter.sign(OutgoingRequest(case["method"], url, {}, case.get("content", "").encode()))
    assert signed.headers.items() >= case.get("expect_headers", {}).items()
    assert signed.url == case.get("expect_url", signed.url)
    assert signed.content == case.get("expect_content", case.get("content", "")).encode()
    if "expect_signature" in case:
        assert unquote(signed.url.partition("&Signature=")[2]) == case["expect_signature"]


@pytest.mark.parametrize("slug", SLUGS)
async def test_clock_report_and_balances(slug: str) -> None:
    fixture = load_fixture(slug)
    date = datetime.fromisoformat(fixture["now"]).strftime("%a, %d %b %Y %H:%M:%S GMT")
    clock_label = KINDS[slug].clock_call.label
    adapter, fake = stage(slug, replies={clock_label: {**fixture["replies"][clock_label], "headers": {"Date": date}}})
    reading = await adapter.read_clock()
    report = await adapter.check()
    sheet = await adapter.fetch_balances()
    assert reading.ahead_seconds == pytest.approx(0, abs=1)
    assert read_report(report) == fixture["report"]
    assert read_balances(sheet) == expect_balances(fixture["balances"])
    assert sheet.missing == ()
    assert all(balance.asset == balance.asset.upper() and balance.total > 0 for balance in sheet.balances)
    assert [evidence.call for evidence in adapter.evidence] == [call.label for call in fake.seen]
    for grant in report.grants.values():
        assert (grant.answer is Answer.UNKNOWN) == (grant.proof is Proof.NONE)
        assert grant.call is None or grant.call in {call.label for call in fake.seen}


@pytest.mark.parametrize("slug", SLUGS)
async def test_a_clock_far_off_is_our_fault(slug: str) -> None:
    fixture = load_fixture(slug)
    label = KINDS[slug].clock_call.label
    date = datetime.fromisoformat(fixture["now"]).strftime("%a, %d %b %Y %H:%M:%S GMT")
    now = datetime.fromisoformat(fixture["now"]).replace(minute=30)
    adapter, _ = stage(slug, replies={label: {**fixture["replies"][label], "headers": {"Date": date}}}, now=now)
    with pytest.raises(ExchangeError) as caught:
        await adapter.read_clock()
    assert caught.value.code == "clock_skew"
    assert caught.value.skew_seconds == pytest.approx((now - datetime.fromisoformat(fixture["now"])).total_seconds(), abs=1)


@pytest.mark.parametrize(("slug", "case"), CASES, ids=name_case)
async def test_cases_of_the_fixture(slug: str, case: dict[str, Any]) -> None:
    adapter, _ = stage(slug, replies=case.get("replies"), probes=case.get("probes", "harmless"))
    if "report" in case:
        assert read_report(await adapter.check()) == case["report"]
    if "error" in case:
        with pytest.raises(ExchangeError) as caught:
            await adapter.check()
        assert caught.value.code == case["error"]
    if "balances" in case:
        sheet = await adapter.fetch_balances()
        assert read_balances(sheet) == expect_balances(case["balances"])
        assert [[missing.account, missing.code] for missing in sheet.missing] == case.get("missing", [])
    if "balances_error" in case:
        with pytest.raises(ExchangeError) as caught:
            await adapter.fetch_balances()
        assert caught.value.code == case["balances_error"]


@pytest.mark.parametrize(("slug", "case"), REFUSALS, ids=name_case)
async def test_every_refusal_is_named(slug: str, case: dict[str, Any]) -> None:
    """When every signed call answers so, the check says why; the exchange's words go along for the owner."""
    refused = {call.label: case for call in KINDS[slug].calls if not call.public}
    adapter, _ = stage(slug, replies=refused)
    with pytest.raises(ExchangeError) as caught:
        await adapter.check()
    assert caught.value.code == case["error"]
    assert caught.value.seen_ip == case.get("seen_ip")
    assert caught.value.call in {call.label for call in KINDS[slug].calls}
    if "Retry-After" in case.get("headers", {}):
        assert caught.value.retry_after_seconds == float(case["headers"]["Retry-After"])
    with pytest.raises(ExchangeError):
        await adapter.fetch_balances()


@pytest.mark.parametrize("slug", SLUGS)
def test_every_row_of_the_refusal_table_is_shown(slug: str) -> None:
    """No row without an example, and none that an earlier row makes unreachable."""
    adapter, _ = stage(slug)
    shown = set()
    for case in load_fixture(slug)["refusals"]:
        code, told = adapter.find_refusal(case["status"], case["body"]) or ("", "")
        matching = (
            index for index, row in enumerate(adapter.refusals) if row.matches(status=case["status"], code=code, text=told)
        )
        shown.add(next(matching, -1))
    assert not [row for index, row in enumerate(adapter.refusals) if index not in shown]


@pytest.mark.parametrize("weather", WEATHER)
@pytest.mark.parametrize("slug", SLUGS)
async def test_bad_weather_never_blames_the_key(slug: str, weather: str) -> None:
    adapter, _ = stage(slug, replies={call.label: WEATHER[weather] for call in KINDS[slug].calls if not call.public})
    for act in (adapter.check, adapter.fetch_balances):
        with pytest.raises(ExchangeError) as caught:
            await act()
        assert caught.value.who_acts != "trader", caught.value.code
        assert "http" not in str(caught.value)


@pytest.mark.parametrize("weather", WEATHER)
@pytest.mark.parametrize("slug", SLUGS)
async def test_bad_weather_on_one_call_takes_nothing_away(slug: str, weather: str) -> None:
    """With one call failing, no right is claimed absent by it, and no account reads as empty."""
    good = read_balances(await stage(slug)[0].fetch_balances())
    errors: list[ExchangeError] = []
    for call in (call for call in KINDS[slug].calls if not call.public):
        adapter, _ = stage(slug, replies={call.label: WEATHER[weather]}, probes="all")
        try:
            report = await adapter.check()
        except ExchangeError as error:
            errors.append(error)
        else:
            assert not [grant for grant in report.grants.values() if grant.call == call.label], call.label
        try:
            sheet = await adapter.fetch_balances()
        except ExchangeError as error:
            errors.append(error)
        else:
            lost = {missing.account for missing in sheet.missing}
            assert [row for row in good if row[0] not in lost] == read_balances(sheet), call.label
    assert not [error.call for error in errors if error.who_acts == "trader"]


@pytest.mark.parametrize("slug", SLUGS)
async def test_undeclared_calls_never_reach_the_network(slug: str) -> None:
    adapter, fake = stage(slug, probes="reads")
    undeclared = [Call("GET", "/api/withdraw"), *(Call(call.method, call.path + "/more") for call in adapter.calls)]
    forbidden = [call for call in adapter.calls if call.method != "GET" and not call.reads]
    for call in undeclared + forbidden:
        with pytest.raises(UndeclaredCall):
            await adapter._ask(call, path={"id": "x", "account_id": "1"})
    templated = [call for call in adapter.calls if "{" in call.path and call.method == "GET"]
    for call in templated:
        for value in ("", ".", ".."):
            with pytest.raises(UndeclaredCall):
                await adapter._ask(call, path={"account_id": value})
    assert fake.seen == []


@pytest.mark.parametrize("slug", SLUGS)
async def test_probe_policies_are_kept(slug: str) -> None:
    """Policy `reads` makes reads only; a probe is asked at most once per check, and not a moment later than declared."""
    for policy, allowed in (("reads", {"reads"}), ("harmless", {"reads", "harmless"}), ("all", {"reads", "harmless", "all"})):
        adapter, fake = stage(slug, probes=policy)
        await adapter.check()
        asked = [call for call in fake.seen if call.method != "GET" and not call.reads]
        assert {call.probe.value for call in fake.seen} <= allowed
        assert len(asked) == len(set(asked))
        assert policy != "reads" or not asked
        assert set(fake.seen) <= set(adapter.calls)


@pytest.mark.parametrize("slug", SLUGS)
async def test_gets_carry_no_body(slug: str) -> None:
    adapter, fake = stage(slug)
    await adapter.check()
    await adapter.fetch_balances()
    for request in fake.requests:
        if request.method in ("GET", "DELETE"):
            assert request.content == b""
            assert not {"content-length", "transfer-encoding"} & set(request.headers)


@pytest.mark.parametrize("key", ["", "two words", "line\nbreak", "schlüssel", "tab\tbed"])
@pytest.mark.parametrize("slug", SLUGS)
async def test_a_text_that_cannot_be_a_key_is_refused_unsent(slug: str, key: str) -> None:
    fixture = load_fixture(slug)
    adapter, fake = stage(slug, secrets={**fixture["secrets"], "api_key": key})
    with pytest.raises(InvalidKey):
        await adapter.check()
    assert fake.seen == []


def list_texts(error: BaseException) -> list[str]:
    texts = [*traceback.format_exception(error)]
    chained: list[BaseException | None] = [error]
    while chained and (one := chained.pop()) is not None:
        texts += [repr(one), str(one), repr(one.args), repr(vars(one))]
        chained += [one.__cause__, one.__context__]
    return texts


@pytest.mark.parametrize("slug", SLUGS)
async def test_secrets_are_never_shown(slug: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    fixture = load_fixture(slug)
    secrets = [fixture["secrets"]["secret_key"], fixture["secrets"]["api_key"]]
    echo = " ".join(secrets)
    echoes = [case | {"body": _append(case["body"], echo)} for case in fixture["refusals"]]
    shown: list[str] = []
    for reply in [None, *WEATHER.values(), *echoes]:
        replies = {} if reply is None else {call.label: reply for call in KINDS[slug].calls if not call.public}
        adapter, _ = stage(slug, replies=replies)
        for act in (adapter.check, adapter.fetch_balances):
            try:
                shown.append(repr(await act()))
            except ExchangeError as error:
                shown += list_texts(error)
        shown += [repr(adapter), str(adapter), repr(adapter.context), repr(adapter.evidence), repr(adapter.context.secrets)]
    text = "\n".join(shown + [record.getMessage() for record in caplog.records])
    assert MASK in text, "the echoes must have been masked, not lost"
    assert not [secret for secret in secrets if secret in text]
    assert "signature=" not in text.lower()


def _append(body: Any, words: str) -> Any:
    """Return a body in which every text ends with `words`, as from an exchange that repeats what it was sent."""
    if isinstance(body, dict):
        return {
            name: _append(value, words) if name in ("message", "err-msg", "msg", "detail", "error", "description") else value
            for name, value in body.items()
        }
    if isinstance(body, list):
        return [_append(one, words) for one in body]
    return f"{body} {words}" if isinstance(body, str) else body


@pytest.mark.parametrize("slug", SLUGS)
async def test_respx_fits_the_same_seam(slug: str) -> None:
    fixture = load_fixture(slug)
    kind: type[ExchangeAdapter] = KINDS[slug]
    fake = FakeExchange(kind, fixture["replies"])
    async with respx.MockRouter(assert_all_called=False) as router:
        router.route(host=httpx.URL(kind.exchange.sites[0].api_url).host).mock(side_effect=fake.answer)
        adapter = make_adapter(kind, fixture, httpx.MockTransport(router.async_handler))
        assert read_report(await adapter.check()) == fixture["report"]
        assert len(fake.seen) == len(router.calls)


@pytest.mark.parametrize("slug", SLUGS)
async def test_a_slow_exchange_meets_the_total_deadline(slug: str) -> None:
    async def answer(request: httpx.Request) -> httpx.Response:
        await anyio.sleep(5)  # the deadline covers in-process transports too
        return make_response({"body": {}})

    adapter = make_adapter(KINDS[slug], load_fixture(slug), httpx.MockTransport(answer), deadline_seconds=0.02)
    with pytest.raises(ExchangeError) as caught:
        await adapter.check()
    assert caught.value.code == "unreachable"
