"""What every answer carries, who may change things, and how much may be sent."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.web.same_origin import read_origin
from app.web.security import _PERMISSIONS_POLICY
from tests.web.small_app import ORIGIN, make_app, make_client

pytestmark = pytest.mark.anyio
PAIRS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'; report-uri /policy-reports"
    ),
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "permissions-policy": _PERMISSIONS_POLICY,
}
ANSWERS = [
    ("GET", "/dev/components", 200),
    ("GET", "/stream", 200),
    ("GET", "/no-such-page", 404),
    ("GET", "/fail/boom", 500),
    ("GET", "/fail/private", 303),
    ("GET", "/static/css/none.css", 404),
    ("GET", "/api/v1/fail/boom", 500),
    ("GET", "/api/v1/things?limit=x", 422),
    ("DELETE", "/api/v1/things", 405),
    ("POST", "/form", 415),
]


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with make_client(make_app()) as opened:
        yield opened


@pytest.fixture
async def program() -> AsyncIterator[httpx.AsyncClient]:
    """A client that says nothing of where its requests come from."""
    async with make_client(make_app()) as opened:
        del opened.headers["origin"]
        yield opened


@pytest.mark.parametrize(("method", "path", "status"), ANSWERS)
async def test_every_answer_carries_the_headers(client: httpx.AsyncClient, method: str, path: str, status: int) -> None:
    answer = await client.request(method, path, content=b"x" if method == "POST" else None)
    assert answer.status_code == status
    assert {name: answer.headers.get_list(name) for name in PAIRS} == {name: [value] for name, value in PAIRS.items()}
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-request-id"].startswith("req_")
    assert "strict-transport-security" not in answer.headers


@pytest.mark.parametrize("headers", [{"host": "evil.example"}, {"sec-fetch-site": "cross-site"}, {"content-length": "70000"}])
async def test_refusals_carry_them_too(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    answer = await client.post("/form", headers=headers)
    assert answer.status_code in (400, 403, 413)
    assert all(answer.headers[name] == value for name, value in PAIRS.items())
    assert answer.headers["cache-control"] == "no-store"


async def test_https_is_remembered_only_where_it_is_used() -> None:
    async with make_client(make_app("https://keydeck.example.org"), base_url="https://keydeck.example.org") as client:
        assert (await client.get("/livez")).headers["strict-transport-security"] == "max-age=63072000; includeSubDomains"


async def test_request_ids_differ_and_are_not_taken_from_outside(client: httpx.AsyncClient) -> None:
    first, second = [await client.get("/livez", headers={"x-request-id": "req_forged"}) for _ in range(2)]
    assert len({"req_forged", first.headers["x-request-id"], second.headers["x-request-id"]}) == 3


async def test_static_files_are_cached_for_good_under_their_version(client: httpx.AsyncClient) -> None:
    page = (await client.get("/dev/components")).text
    address = page.split('rel="stylesheet" href="')[1].split('"')[0]
    styled = await client.get(address)
    assert styled.status_code == 200
    assert styled.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert styled.headers["content-security-policy"] == PAIRS["content-security-policy"]
    old = await client.get("/static/v000000000000/css/keydeck.css")
    assert (old.status_code, old.headers["cache-control"]) == (200, "no-cache")
    assert (await client.get("/static/css/keydeck.css")).headers["cache-control"] == "no-cache"
    module = address.replace("css/keydeck.css", "js/keydeck.js")
    assert "javascript" in (await client.get(module)).headers["content-type"]


@pytest.mark.parametrize(
    "path", ["/../pyproject.toml", "/%2e%2e/pyproject.toml", "//etc/passwd", "/v000000000000/../../pyproject.toml"]
)
async def test_static_files_stay_in_their_folder(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(f"/static{path}")).status_code == 404


# method is POST; every line: headers of the request, whether it may pass
SAME, COOKIE, BEARER = "same-origin", {"cookie": "keydeck_session=x"}, {"authorization": "Bearer kd_x"}
MATRIX: list[tuple[dict[str, str], bool]] = [
    ({"sec-fetch-site": SAME, **COOKIE}, True),
    ({"sec-fetch-site": SAME, "origin": ORIGIN, **COOKIE}, True),
    ({"sec-fetch-site": SAME, "origin": "null", **COOKIE}, False),
    ({"sec-fetch-site": SAME, "origin": "", **COOKIE}, False),
    ({"sec-fetch-site": SAME, "origin": "http://evil.example", **COOKIE}, False),
    ({"sec-fetch-site": SAME, "origin": "http://evil.example"}, False),
    ({"sec-fetch-site": "same-site", **COOKIE}, False),
    ({"sec-fetch-site": "cross-site", **COOKIE}, False),
    ({"sec-fetch-site": "none", **COOKIE}, False),
    ({"sec-fetch-site": "", **COOKIE}, False),
    ({"sec-fetch-site": "cross-site"}, False),
    ({"sec-fetch-site": "cross-site", "origin": ORIGIN, **COOKIE}, False),
    ({"origin": ORIGIN, **COOKIE}, True),
    ({"origin": "http://localhost:8000", "host": "localhost:8000", **COOKIE}, True),
    ({"origin": "http://localhost:8000", **COOKIE}, False),
    ({"origin": "https://127.0.0.1:8000", **COOKIE}, False),
    ({"origin": "http://127.0.0.1:8001", **COOKIE}, False),
    ({"origin": "http://127.0.0.1", **COOKIE}, False),
    ({"origin": "http://127.0.0.1:8000.evil.example", **COOKIE}, False),
    ({"origin": "http://127.0.0.1:8000@evil.example", **COOKIE}, False),
    ({"origin": "null", **COOKIE}, False),
    ({"origin": "", **COOKIE}, False),
    ({"origin": "http://evil.example"}, False),
    ({"origin": "http://evil.example", **BEARER, **COOKIE}, False),
    (COOKIE, False),
    ({**BEARER, **COOKIE}, False),
    (BEARER, False),
    ({**BEARER, "origin": ORIGIN}, True),
    ({**BEARER, "origin": "http://evil.example"}, False),
    ({**BEARER, "sec-fetch-site": "cross-site"}, False),
    ({"authorization": "Basic eA==", "origin": "http://evil.example"}, False),
    ({}, False),
]


@pytest.mark.parametrize(("headers", "passes"), MATRIX)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_changes_come_from_our_own_pages(
    program: httpx.AsyncClient, method: str, headers: dict[str, str], passes: bool
) -> None:
    answer = await program.request(method, "/stream", headers=headers)
    assert answer.status_code == ((200 if method == "POST" else 405) if passes else 403)
    assert passes or "another site" in answer.text


# what of this the API takes, where a token decides: method is POST
API_MATRIX: list[tuple[dict[str, str], bool]] = [
    ({}, True),
    (BEARER, True),
    ({**BEARER, "origin": "http://evil.example"}, True),
    ({**BEARER, "sec-fetch-site": "cross-site", "origin": "null"}, True),
    ({**BEARER, **COOKIE}, False),
    ({**BEARER, "origin": "http://evil.example", **COOKIE}, False),
    ({"sec-fetch-site": SAME, "origin": "http://evil.example"}, False),
    ({"authorization": "Basic eA==", "origin": "http://evil.example"}, False),
]


@pytest.mark.parametrize(("headers", "passes"), API_MATRIX)
async def test_the_api_leaves_it_to_the_token(program: httpx.AsyncClient, headers: dict[str, str], passes: bool) -> None:
    answer = await program.post("/api/v1/things", headers=headers, json={"kind": "a"})
    assert (answer.status_code == 403) is not passes


async def test_a_repeated_header_is_no_way_round(program: httpx.AsyncClient) -> None:
    for name, good, bad in (("sec-fetch-site", SAME, "cross-site"), ("origin", ORIGIN, "http://evil.example")):
        for pair in ((good, bad), (bad, good)):
            answer = await program.post("/stream", headers=[(name, value) for value in pair] + list(COOKIE.items()))
            assert answer.status_code == 403


async def test_reading_needs_no_origin(program: httpx.AsyncClient) -> None:
    assert (await program.get("/livez", headers={"sec-fetch-site": "cross-site", **COOKIE})).status_code == 200


async def test_the_refusal_is_a_problem_document_for_programs(program: httpx.AsyncClient) -> None:
    answer = await program.post("/api/v1/things", headers={"origin": "http://evil.example"}, json={"kind": "a"})
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "cross_site"


async def test_behind_a_proxy_the_public_address_counts() -> None:
    async with make_client(make_app("https://keydeck.example.org"), base_url="http://keydeck.example.org") as client:
        for origin, status in (
            ("https://keydeck.example.org", 200),
            ("https://keydeck.example.org:443", 200),
            ("https://example.org", 403),
        ):
            assert (await client.post("/stream", headers={"origin": origin, **COOKIE})).status_code == status


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://a.example", ("http", "a.example", 80)),
        ("https://A.Example:8443/", ("https", "a.example", 8443)),
        ("http://[::1]:8000", ("http", "::1", 8000)),
        ("null", None),
        ("", None),
        ("http://", None),
        ("file:///etc", None),
        ("http://a.example/path", None),
        ("http://u@a.example", None),
        ("http://a.example:x", None),
        ("http://[", None),
    ],
)
def test_origins_are_read_strictly(url: str, origin: tuple[str, str, int] | None) -> None:
    assert read_origin(url) == origin


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "LOCALHOST:1", "[::1]:8000"])
async def test_its_own_names_are_answered(client: httpx.AsyncClient, host: str) -> None:
    assert (await client.get("/dev/components", headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "", "127.0.0.1:x", "[", "a b"]
)
async def test_other_names_are_not(client: httpx.AsyncClient, host: str) -> None:
    answer = await client.get("/dev/components", headers={"host": host})
    assert answer.status_code == 400
    assert "under this name" in answer.text


@pytest.mark.parametrize("path", ["/things/%00", "/api/v1/things/a%00b", "/api/v1/things?cursor=%00", "/dev/components?q=a%00"])
async def test_an_address_with_a_nul_character_is_nowhere(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 404
    assert "x-request-id" in answer.headers


async def test_probes_may_come_by_address(client: httpx.AsyncClient) -> None:
    assert (await client.get("/livez", headers={"host": "10.0.0.7:8000"})).status_code == 200
    assert (await client.get("/metrics", headers={"host": "keydeck:8000"})).status_code == 400
    assert (await client.get("/metrics", headers={"host": "keydeck:8000", **BEARER})).status_code == 200


async def send_chunks(count: int, size: int = 1024) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"a" * size


FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize("path", ["/form", "/api/v1/things"])
@pytest.mark.parametrize(("size", "refused"), [(64 * 1024, False), (64 * 1024 + 1, True), (100_000, True)])
async def test_large_bodies_are_refused(client: httpx.AsyncClient, path: str, size: int, refused: bool) -> None:
    answer = await client.post(
        path, content=b"a" * size, headers=FORM if path == "/form" else {"content-type": "application/json"}
    )
    assert (answer.status_code == 413) is refused
    if refused and path != "/form":
        assert answer.json()["code"] == "body_too_large"


@pytest.mark.parametrize("path", ["/form", "/api/v1/things"])
async def test_a_body_without_a_told_length_is_counted(client: httpx.AsyncClient, path: str) -> None:
    headers = FORM if path == "/form" else {"content-type": "application/json"}
    answer = await client.post(path, content=send_chunks(100), headers=headers)
    assert answer.status_code == 413
    assert "64 KiB" in answer.text
    multipart = {"content-type": "multipart/form-data; boundary=b"}
    assert path != "/form" or (await client.post(path, content=send_chunks(100), headers=multipart)).status_code in (400, 413)
    assert (await client.post(path, content=send_chunks(64), headers=headers)).status_code != 413


async def test_streamed_answers_pass_piece_by_piece() -> None:
    """Each piece leaves as it is made: nothing on the way gathers them."""
    sent: list[dict[str, Any]] = []

    coming = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if not coming:
            await asyncio.sleep(60)  # the person stays; the answer ends first
            return {"type": "http.disconnect"}
        return coming.pop()

    async def send(message: Any) -> None:
        sent.append(dict(message))

    headers = [(b"host", b"127.0.0.1:8000")]
    scope = {
        "type": "http", "method": "GET", "path": "/stream", "raw_path": b"/stream", "query_string": b"", "headers": headers,
        "scheme": "http", "server": ("127.0.0.1", 8000), "client": ("127.0.0.1", 1), "http_version": "1.1", "root_path": "",
    }  # fmt: skip
    await make_app()(scope, receive, send)
    assert [message["body"] for message in sent[1:4]] == [b"data: 0\n\n", b"data: 1\n\n", b"data: 2\n\n"]
