"""What is refused before any page sees it: too much, forged headers, and names that are not ours."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.conftest import ORIGIN
from tests.people import EMAIL, SignedIn
from tests.security.routes import list_readable, list_unsafe

pytestmark = pytest.mark.anyio
SPOOFED = "evil.example"
FORWARDED = {
    "X-Forwarded-Host": SPOOFED,
    "X-Forwarded-Proto": "https",
    "X-Forwarded-For": "198.51.100.66",
    "X-Forwarded-Port": "666",
    "X-Forwarded-Prefix": f"//{SPOOFED}",
    "X-Original-Url": f"http://{SPOOFED}/",
    "X-Rewrite-Url": "/operations",
    "X-Host": SPOOFED,
    "X-Http-Method-Override": "DELETE",
    "Forwarded": f"for=198.51.100.66;host={SPOOFED};proto=https",
}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
MIB = 1024 * 1024


async def pour() -> AsyncIterator[bytes]:
    """Send a megabyte without telling its length."""
    for _ in range(64):
        yield b"a" * (16 * 1024)


async def test_no_route_reads_a_body_that_is_too_large(app: Any, signed_in: SignedIn) -> None:
    """A told length is refused unread; an untold one is counted, and cut for whoever reads it."""
    wrong = []
    for method, path in list_unsafe(app):
        told = await signed_in.client.request(method, path, content=b"a" * MIB, headers=FORM)
        untold = await signed_in.client.request(method, path, content=pour(), headers=FORM)
        if told.status_code != 413 or untold.status_code >= 500:
            wrong.append((method, path, told.status_code, untold.status_code))
    assert wrong == []


@pytest.mark.parametrize("length", ["-1", "1e9", "99999999999999999999999999", "0x10", " 5 ", "12,12", ""])
async def test_odd_lengths_break_nothing(client: httpx.AsyncClient, length: str) -> None:
    answer = await client.post("/sign-in", content=b"email=a", headers={**FORM, "Content-Length": length})
    assert answer.status_code in (400, 401, 413)
    assert (await client.get("/sign-in")).status_code == 200


@pytest.mark.parametrize("path", ["/theme", "/sign-in"])
@pytest.mark.parametrize(
    "broken", ["\r\nSet-Cookie: forged=1", "\nSet-Cookie: forged=1", "%0d%0aSet-Cookie:%20forged=1", "\u2028x"]
)
async def test_nothing_typed_reaches_a_header(signed_in: SignedIn, path: str, broken: str) -> None:
    fields = {
        "theme": "dark",
        "back": f"/credentials{broken}",
        "next": f"/credentials{broken}",
        "email": EMAIL,
        "password": "x" * 12,
    }
    answer = await signed_in.client.post(path, data=fields)
    assert answer.status_code < 500
    assert "forged" not in str(answer.headers.get("set-cookie", ""))
    assert all("\r" not in value and "\n" not in value for value in answer.headers.values())


@pytest.mark.parametrize("broken", ["%0d%0aSet-Cookie:%20forged=1", "%0aX-Forged:%201", "//evil.example", "/%5Cevil.example"])
async def test_nor_does_an_address(signed_in: SignedIn, client: httpx.AsyncClient, broken: str) -> None:
    for address in (f"/credentials/{broken}", f"/sign-in?next={broken}", f"/credentials?q={broken}", f"/static/{broken}"):
        answer = await client.get(address)
        assert answer.status_code < 500
        assert "set-cookie" not in answer.headers
        assert "x-forged" not in answer.headers
        assert SPOOFED not in answer.headers.get("location", "").split("?")[0]


async def test_forged_proxy_headers_change_nothing(app: Any, signed_in: SignedIn) -> None:
    """No proxy is trusted here: pages, links, redirects and what is on record are as without them."""
    for path in list_readable(app):
        if "live" in path.split("/") or path.endswith(("/stream", "/events")):
            continue  # a stream has no end
        answer = await signed_in.client.get(path, headers=FORWARDED)
        assert answer.status_code < 500, path
        assert SPOOFED not in answer.text, path
        assert SPOOFED not in str(answer.headers), path
        assert "strict-transport-security" not in answer.headers, path
    assert "198.51.100.66" not in (await signed_in.client.get("/activity")).text


async def test_a_spoofed_host_is_in_no_link(signed_in: SignedIn) -> None:
    answer = await signed_in.client.post("/people/invitations", data={"role": "trader"}, headers={"Host": SPOOFED})
    assert answer.status_code == 400
    assert SPOOFED not in answer.text
    invited = await signed_in.client.post(
        "/people/invitations", data={"role": "trader"}, headers={**FORWARDED, "Host": "localhost:8000"}, follow_redirects=True
    )
    assert invited.status_code == 200
    assert f"{ORIGIN}/invitation?token=" in invited.text
    assert SPOOFED not in invited.text


async def test_two_hosts_are_none(signed_in: SignedIn) -> None:
    request = httpx.Request("GET", f"{ORIGIN}/sign-in")
    request.headers = httpx.Headers([(b"host", b"127.0.0.1:8000"), (b"host", SPOOFED.encode())])
    assert (await signed_in.client.send(request)).status_code == 400
