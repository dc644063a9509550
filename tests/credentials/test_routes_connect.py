"""Connecting a key with plain forms: every refusal is explained on its page, repaired there, and finished."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.conftest import FakeClock
from tests.pages import Form, Page, open_page, submit
from tests.people import SignedIn

SLUGS = ("hitbtc", "htx", "bitexbit")


def list_sandbox_keys() -> list[tuple[str, str]]:
    return [
        (slug, scenario)
        for slug in SLUGS
        for scenario in ("withdraw-enabled", "no-permissions", "ip-restricted", "revoked", "wrong-secret", "maintenance", "slow")
        if (slug, scenario) != ("bitexbit", "withdraw-enabled")
    ] + [("htx", "expired"), ("hitbtc", "account-blocked")]


def get_key(app: Any, slug: str, scenario: str) -> Any:
    return next(key for key in app.state.sandbox_keys if (key.exchange, key.scenario) == (slug, scenario))


async def enter(client: httpx.AsyncClient, app: Any, slug: str, scenario: str, **more: str) -> Page:
    """Fill the form of the page with a sandbox key and send it."""
    page = await open_page(client, f"/credentials/connect/{slug}")
    key = get_key(app, slug, scenario)
    form = page.form(f"/credentials/connect/{slug}")
    values = {"environment": "sandbox", "plan": key.plan, "label": f"My {scenario}", **key.show_secrets(), **more}
    return Page(await submit(client, form, **values))


async def count_credentials(app: Any) -> int:
    async with app.state.database.connect() as connection:
        return int((await connection.exec_driver_sql("SELECT count(*) FROM credentials")).scalar_one())


async def test_the_empty_list_leads_into_connecting(signed_in: SignedIn) -> None:
    start = await signed_in.client.get("/")
    assert start.headers["location"] == "/credentials"
    page = await open_page(signed_in.client, "/credentials")
    assert page.heading == "Credentials"
    assert "Connect your first exchange" in page.text
    assert {"/credentials/connect/hitbtc", "/credentials/connect/htx", "/credentials/connect/bitexbit"} <= set(
        page.links.values()
    )


@pytest.mark.parametrize(("asked", "found"), [("", 0), ("hitbtc", 1), ("HUOBI", 1), ("nothing like it", 0)])
async def test_an_exchange_is_found_without_scripts(signed_in: SignedIn, app: Any, asked: str, found: int) -> None:
    page = await open_page(signed_in.client, f"/credentials/connect?q={asked}")
    found = found if asked else len(app.state.exchanges.list_all()) + 1  # and the sandbox's own card
    assert len(page.find(tag="a", cls="exchange-card")) == found
    assert bool("No exchange has that name" in page.text) == (found == 0)


@pytest.mark.parametrize("slug", SLUGS)
async def test_guide_and_form_speak_the_exchanges_words(signed_in: SignedIn, app: Any, slug: str) -> None:
    exchange = app.state.exchanges.get(slug)
    page = await open_page(signed_in.client, f"/credentials/connect/{slug}")
    assert page.heading == f"Connect {exchange.name}"
    for wanted in [*exchange.fields, *exchange.boxes]:
        assert wanted.label in page.text
    for step in exchange.guide:
        assert step.title in page.text
    copied = [one.attributes["data-copy"] for one in page.find(tag="button", cls="copy")]
    assert {"203.0.113.10", "2001:db8::10", "Keydeck 127.0.0.1:8000"} <= set(copied)
    states = [one.attributes.get("data-for-plan") for one in page.find(cls="permission-checklist__state", data_for_plan="*")]
    assert set(states) == {"trading", "balances"}
    values = page.form(f"/credentials/connect/{slug}").values
    assert (values["plan"], values["environment"], values["secret_key"], values["api_key"]) == ("trading", "live", "", "")
    scenarios = {one.attributes["data-scenario"] for one in page.find(tag="li", data_scenario="*")}
    assert scenarios == {key.scenario for key in app.state.sandbox_keys if key.exchange == slug}


@pytest.mark.parametrize("slug", SLUGS)
async def test_a_key_is_connected_and_its_page_says_what_it_may_and_holds(signed_in: SignedIn, app: Any, slug: str) -> None:
    page = await enter(signed_in.client, app, slug, "read-trade")
    assert page.status == 200
    assert "Connected: My read-trade" in page.text
    badges = [one.text for one in page.find(cls="permission")]
    assert badges[:2] == ["Read granted", "Trade granted"]
    assert badges[-1] == ("Withdraw unverified" if slug == "bitexbit" else "Withdraw off")
    assert page.find(tag="table", cls="balance-table")
    assert set(page.steps().values()) <= {"passed", "warned"}
    assert len(page.steps()) == 7
    listed = await open_page(signed_in.client, "/credentials")
    assert [one.text for one in listed.find(cls="status-pill")] == ["Connected"]


@pytest.mark.parametrize(("slug", "scenario"), list_sandbox_keys())
async def test_a_refusal_is_explained_keeps_the_form_and_can_be_repaired(
    signed_in: SignedIn, app: Any, slug: str, scenario: str
) -> None:
    key = get_key(app, slug, scenario)
    page = await enter(signed_in.client, app, slug, scenario)
    assert page.status == 422
    (alert,) = page.find(role="alert")
    assert "Nothing was stored" in alert.text
    (focused,) = page.find(tag="h2", autofocus="*")
    assert focused.text
    assert await count_credentials(app) == 0
    form = page.form(f"/credentials/connect/{slug}")
    assert form.values["label"] == f"My {scenario}"
    assert form.values["api_key"] == key.show_secrets()["api_key"]
    assert (form.values["environment"], form.values["plan"]) == ("sandbox", key.plan)
    assert form.values["secret_key"] == ""
    states = list(page.steps().values())
    assert states.count("failed") == 1
    assert set(states[states.index("failed") + 1 :]) <= {"skipped"}
    repaired = await submit(signed_in.client, form, **get_key(app, slug, "read-trade").show_secrets())
    assert f"Connected: My {scenario}" in Page(repaired).text


@pytest.mark.parametrize(
    ("scenario", "words", "who"),
    [
        ("withdraw-enabled", "can move funds out of HTX", "Yours to fix"),
        ("wrong-secret", "Secret Key does not belong to it", "Yours to fix"),
        ("ip-restricted", "refuses this key from this server", "Yours to fix"),
        ("expired", "HTX has ended this key", "Yours to fix"),
        ("maintenance", "closed for maintenance", "it is the exchange’s to fix"),
        ("clock-skew", "finds this server's clock wrong", "For the operator"),
    ],
)
async def test_each_refusal_has_its_own_words(signed_in: SignedIn, app: Any, scenario: str, words: str, who: str) -> None:
    page = await enter(signed_in.client, app, "htx", scenario)
    (alert,) = page.find(role="alert")
    assert words in alert.text
    assert who in alert.text
    addresses = [
        one.attributes["data-copy"] for one in page.find(cls="copy") if one.parent and "data-addresses" in one.parent.attributes
    ]
    assert bool(addresses) == (scenario in ("ip-restricted", "expired")), "an address that is named can be copied"
    if scenario == "wrong-secret":
        assert "Secret Key" in page.form("/credentials/connect/htx").error_of("secret_key")
    if scenario == "withdraw-enabled":
        assert "Set the boxes at HTX like this" in page.text


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"api_key": ""}, "api_key"),
        ({"secret_key": "short"}, "secret_key"),
        ({"label": "x" * 41}, "label"),
        ({"api_key": "firstvalue12 secondvalue12", "secret_key": ""}, "api_key"),
    ],
)
async def test_input_that_cannot_be_used_is_marked_on_its_field(
    signed_in: SignedIn, app: Any, values: dict[str, str], field: str
) -> None:
    page = await enter(signed_in.client, app, "hitbtc", "read-only", **values)
    assert page.status == 422
    form = page.form("/credentials/connect/hitbtc")
    assert form.error_of(field)
    assert "secondvalue12" not in page.html
    again = await submit(signed_in.client, form, label="Repaired", **get_key(app, "hitbtc", "read-only").show_secrets())
    assert "Connected: Repaired" in Page(again).text


SECRET = "0123456789abcdefSecretSecret9876"


@pytest.mark.parametrize(
    "values",
    [
        {"label": SECRET, "api_key": ""},
        {"label": f"my {SECRET[:16]} {SECRET[16:]}", "environment": "mars-base"},
        {"api_key": f"kept0123456789abcdefghijklmnopqr {SECRET}"},
        {"api_key": f"kept0123456789abcdefghijklmnopqr{SECRET}", "label": "x" * 41},
    ],
)
async def test_a_secret_in_another_field_is_not_shown_again(signed_in: SignedIn, app: Any, values: dict[str, str]) -> None:
    page = await enter(signed_in.client, app, "hitbtc", "read-only", secret_key=SECRET, **values)
    assert page.status == 422
    assert SECRET not in page.html
    assert SECRET[:16] not in page.html


@pytest.mark.parametrize("values", [{"environment": "mars-base"}, {"plan": "everything"}])
async def test_an_unknown_choice_is_refused(signed_in: SignedIn, app: Any, values: dict[str, str]) -> None:
    page = await enter(signed_in.client, app, "hitbtc", "read-only", **values)
    assert page.status == 422
    assert page.form("/credentials/connect/hitbtc").values.keys() >= {"environment", "plan"}
    assert "mars-base" not in page.html


async def test_the_same_key_twice_leads_to_the_first(signed_in: SignedIn, app: Any) -> None:
    await enter(signed_in.client, app, "htx", "read-only")
    page = await enter(signed_in.client, app, "htx", "read-only")
    assert page.status == 422
    link = page.links["Open the credential that holds this key"]
    assert (await open_page(signed_in.client, link)).heading == "My read-only"
    assert await count_credentials(app) == 1


async def test_a_label_with_markup_is_text(signed_in: SignedIn, app: Any) -> None:
    page = await enter(signed_in.client, app, "hitbtc", "read-only", label="<b>bold</b>")
    assert "Connected: <b>bold</b>" in page.text
    assert "&lt;b&gt;bold" in page.html


async def test_the_traders_word_is_shown_as_such(signed_in: SignedIn, app: Any) -> None:
    page = await enter(signed_in.client, app, "bitexbit", "read-only", attested="yes")
    (withdraw,) = [one for one in page.find(cls="permission") if one.text.startswith("Withdraw")]
    assert withdraw.attributes["data-state"] == "unverified"
    assert "your word" in withdraw.text


@pytest.mark.parametrize("path", ["/credentials/connect/nope", "/credentials/connect/HITBTC%00"])
async def test_an_unknown_exchange_is_not_found(signed_in: SignedIn, path: str) -> None:
    page = await open_page(signed_in.client, path)
    assert page.status == 404
    assert (await signed_in.client.post(path, data={})).status_code == 404


async def test_strangers_are_asked_to_sign_in(client: httpx.AsyncClient) -> None:
    for path in ("/", "/credentials", "/credentials/connect", "/credentials/connect/htx", "/credentials/crd_x"):
        answer = await client.get(path)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/sign-in")


async def test_without_known_addresses_the_guide_says_so(
    signed_in: SignedIn, app: Any, clock: FakeClock, make_client: Callable[[], httpx.AsyncClient]
) -> None:
    app.state.settings = app.state.settings.model_copy(update={"egress": ()})
    page = await open_page(signed_in.client, "/credentials/connect/htx")
    assert "addresses are not set here" in page.text
    assert isinstance(page.form("/credentials/connect/htx"), Form)
