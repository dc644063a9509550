"""Programs and forms choose a way out by its address, and read the same verdicts and notices as pages show."""

from typing import Any

import httpx

from tests.credentials.bench import Bench
from tests.credentials.test_api import Program, program
from tests.credentials.test_ways import WAYS, use
from tests.people import SignedIn

__all__ = ["program"]


async def test_a_program_names_the_address_its_key_is_bound_to(app: Any, program: Program) -> None:
    use(app, *(way.name for way in WAYS))
    offered = (await program.client.get("/api/v1/exchanges")).json()["egress"]
    assert offered == ["203.0.113.10", "203.0.113.11", "203.0.113.12"]
    bound = await program.connect(egress="203.0.113.12")
    assert bound["egress"] == ["203.0.113.12"]
    free = await program.connect("htx", "read-trade", plan="balances")
    assert free["egress"] == ["203.0.113.10"]
    assert (free["verdict"], [notice["code"] for notice in free["notices"]]) == (None, ["excess_trade"])
    assert free["notices"][0]["box"] == "Trade"
    unknown = await program.connect("htx", "read-only", egress="192.0.2.1", label="Other")
    assert unknown["egress"] == ["203.0.113.11"], "an address that is none of ours is no wish"


async def test_a_refusal_and_a_dead_key_carry_their_verdict(app: Any, program: Program) -> None:
    refused = await program.client.post("/api/v1/credentials", json=program.body("hitbtc", "wrong-secret"))
    assert refused.status_code == 422
    assert refused.json()["verdict"]["whose"] == "unclear"
    other = await Bench.open(app, "other@example.org")
    await other.connect("hitbtc", "read-only")
    refused = await program.client.post("/api/v1/credentials", json=program.body("hitbtc", "wrong-secret"))
    assert refused.json()["verdict"] == {
        "whose": "only_this_key",
        "sentence": "Only this key: the one other HitBTC key here works.",
    }
    stored = await program.connect("hitbtc", "read-trade", plan="balances")
    app.state.sandbox.state.sandbox.find_key("hitbtc", "read-trade").active = False
    dead = (await program.client.post(f"/api/v1/credentials/{stored['id']}/check")).json()
    assert (dead["status"], dead["verdict"]["whose"]) == ("invalid_key", "only_this_key")
    app.state.sandbox.state.sandbox.find_key("hitbtc", "read-trade").active = True
    healed = (await program.client.post(f"/api/v1/credentials/{stored['id']}/check")).json()
    assert (healed["status"], healed["verdict"]) == ("connected", None)


async def post_key(client: httpx.AsyncClient, bench: Bench, scenario: str, **fields: str) -> httpx.Response:
    secrets = {name: secret.reveal() for name, secret in bench.key("hitbtc", scenario).secrets.items()}
    form = {"environment": "sandbox", "plan": "balances", "label": "", **fields, **secrets}
    return await client.post("/credentials/connect/hitbtc", data=form)


async def test_the_form_keeps_the_way_whose_address_it_showed(app: Any, signed_in: SignedIn) -> None:
    use(app, *(way.name for way in WAYS))
    bench = await Bench.open(app, "other@example.org")
    client = signed_in.client
    again = await post_key(client, bench, "wrong-secret", way="203.0.113.11")
    assert again.status_code == 422
    assert 'name="way" value="203.0.113.11"' in again.text
    assert "203.0.113.10" not in again.text, "the guide still shows the one address"
    done = await post_key(client, bench, "read-only", way="203.0.113.11")
    assert done.status_code == 303
    page = (await client.get(done.headers["location"].partition("?")[0])).text
    assert "203.0.113.11" in page
    assert "203.0.113.10" not in page
    odd = await post_key(client, bench, "read-trade", way="<script>")
    assert odd.status_code == 303
