"""Check now as a stream: its steps as they happen, a reason where it cannot be, and no end when the page is left."""

import json
from typing import Any

import httpx
import pytest

from app.credentials.views import StepName
from tests.live.test_streams import connect_key
from tests.people import SignedIn

STREAM = {"Accept": "text/event-stream"}


async def read(client: httpx.AsyncClient, path: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the events of a whole stream."""
    answer = await client.post(path, headers=STREAM)
    assert answer.headers["content-type"].startswith("text/event-stream")
    blocks = [dict(line.split(": ", 1) for line in block.split("\n")) for block in answer.text.strip().split("\n\n")]
    return [(block["event"], json.loads(block["data"])) for block in blocks]


async def test_a_check_tells_every_step_and_where_to_go(app: Any, signed_in: SignedIn) -> None:
    credential_id = await connect_key(app, signed_in.client)
    events = await read(signed_in.client, f"/credentials/{credential_id}/check")
    told = {data["name"]: data["state"] for name, data in events if name == "step"}
    assert set(told) == {step.value for step in StepName}
    assert events[-1] == ("done", {"location": f"/credentials/{credential_id}"})
    page = await signed_in.client.get(f"/credentials/{credential_id}")
    assert "asked by you" in page.text


async def test_a_key_that_is_not_there_is_told_as_such(signed_in: SignedIn) -> None:
    ((name, data),) = await read(signed_in.client, "/credentials/crd_nothing/check")
    assert (name, data["who_acts"]) == ("refused", "trader")


async def test_too_much_at_once_is_told_and_mended_by_waiting(
    app: Any, signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    credential_id = await connect_key(app, signed_in.client)
    monkeypatch.setattr("app.errands.MOST", 0)
    ((name, data),) = await read(signed_in.client, f"/credentials/{credential_id}/check")
    assert (name, data["cause"]) == ("refused", "This server has too much to do.")
    monkeypatch.undo()
    assert (await read(signed_in.client, f"/credentials/{credential_id}/check"))[-1][0] == "done"
