"""The headers of our answers over https, rated by MDN HTTP Observatory itself, run offline."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.accounts.setup import ensure_setup_link
from app.main import Outside
from app.masking import Secret
from app.sandbox.keys import list_keys
from app.settings import Settings
from tests.databases import copy_sqlite
from tests.people import EMAIL, PASSWORD
from tests.security.https_server import HttpsServer, run_https

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / ".venv/observatory/node_modules/@mdn/mdn-http-observatory"
LEAST = 135


@pytest.fixture(scope="module")
def package() -> Path:
    """The installed package, with its two lists in place of those it would download: no site is preloaded here."""
    assert (PACKAGE / "package.json").exists(), "run: sh tests/install-packages.sh"
    assert json.loads((PACKAGE / "package.json").read_text())["version"] == "1.4.8"
    (PACKAGE / "conf/hsts-preload.json").write_text("{}")
    (PACKAGE / "conf/tld-list.json").write_text('["org", "com"]')
    return PACKAGE


@pytest.fixture
def server(tmp_path: Path, sqlite_template: Path, outside: Outside) -> Iterator[HttpsServer]:
    url = Secret(copy_sqlite(sqlite_template, tmp_path / "keydeck.db").reveal())
    with run_https(Settings(database_url=url, data_dir=tmp_path, sandbox="on"), outside, folder=tmp_path) as running:
        yield running


def rate(package: Path, server: HttpsServer, pages: list[dict[str, str]]) -> dict[str, Any]:
    node = shutil.which("node") or shutil.which("nodejs")
    assert node, "run: sh tests/install-packages.sh"
    line = [node, str(ROOT / "tests/security/observatory/rate.mjs"), str(package), str(server.port)]
    plain = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    environment = {**plain, "NODE_EXTRA_CA_CERTS": str(server.authority_file)}
    ended = subprocess.run(
        line, input=json.dumps(pages), env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert ended.returncode == 0, ended.stderr + ended.stdout
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def sign_up(server: HttpsServer) -> list[str]:
    """Make the first account over https; returns the cookies its browser was given, as the answer set them."""
    state = server.app.state
    link = server.call(ensure_setup_link(state.database, clock=state.clock, public_url=state.settings.public_url))
    assert link is not None
    with server.make_client() as client:
        answer = client.post("/setup", data={"email": EMAIL, "password": PASSWORD, "token": link.split("token=")[1]})
        assert answer.status_code == 303, answer.text
        key = next(key for key in list_keys() if (key.exchange, key.scenario) == ("htx", "read-only"))
        form = {"environment": "sandbox", "plan": key.plan, "label": "Rated", **key.show_secrets()}
        assert client.post("/credentials/connect/htx", data=form).status_code == 303
        theme = client.post("/theme", data={"theme": "dark"})
    return [*answer.headers.get_list("set-cookie"), *theme.headers.get_list("set-cookie")]


def test_every_kind_of_answer_is_rated_a_plus(package: Path, server: HttpsServer) -> None:
    cookies = sign_up(server)
    assert any(line.startswith("__Host-") and "Secure" in line and "HttpOnly" in line for line in cookies)
    with server.make_client() as client:
        script = client.get("/sign-in").text.split('type="module" src="')[1].split('"')[0]
    signed_in = [
        ("/credentials", 200),
        ("/credentials/connect", 200),
        ("/credentials/crd_nothing", 404),
        ("/nowhere", 404),
        (script, 200),
        ("/static/css/keydeck.css", 200),
        ("/static/nothing.css", 404),
    ]
    anonymous = [("/sign-in", 200), ("/nowhere", 404), ("/setup?token=wrong", 404)]
    asked = [
        *({"path": path, "cookies": cookies} for path, _ in signed_in),
        *({"path": path} for path, _ in anonymous),
    ]
    found = rate(package, server, asked)
    rated = found["rated"]
    assert [(page["path"], page["status"]) for page in rated] == [*signed_in, *anonymous]
    assert [page for page in rated if page["score"] < LEAST or page["grade"] != "A+"] == []
    assert (found["whole"]["score"], found["whole"]["testsFailed"]) == (rated[len(signed_in)]["score"], 0)


def test_every_refusal_carries_the_same_headers_as_what_was_rated(server: HttpsServer) -> None:
    """403, 405, 413, 422 and the API's problems cannot be rated as pages, so their headers are compared with a rated page's."""
    rated = (
        "content-security-policy",
        "strict-transport-security",
        "referrer-policy",
        "x-content-type-options",
        "x-frame-options",
    )
    isolating = (
        "cross-origin-resource-policy",
        "cross-origin-opener-policy",
        "cross-origin-embedder-policy",
        "permissions-policy",
    )
    with server.make_client() as client:
        page = client.get("/sign-in")
        refusals = [
            client.post("/sign-in", headers={"Sec-Fetch-Site": "cross-site"}),
            client.get("/metrics", headers={"Via": "x"}),
            client.put("/sign-in"),
            client.post("/sign-in", content=b"x" * 70_000),
            client.post("/setup", data={"token": "wrong"}),
            client.get("/api/v1/credentials"),
            client.get("/api/v1/nowhere"),
        ]
    assert {answer.status_code for answer in refusals} >= {401, 403, 404, 405, 413}
    for answer in refusals:
        assert {name: answer.headers[name] for name in rated + isolating} == {
            name: page.headers[name] for name in rated + isolating
        }
        assert answer.headers["cache-control"] == "no-store"


def test_what_a_script_comes_to_is_written_beside_it() -> None:
    """The browser runs a script only if its bytes are those the page was drawn for."""
    for path in (ROOT / "templates").rglob("*.html"):
        for tag in re.findall(r"<script[^>]*>", path.read_text()):
            name = re.search(r"static\('([^']+)'\)", tag)
            assert name, tag
            assert f"integrity=\"{{{{ integrity('{name[1]}') }}}}\"" in tag, f"{path.name}: {tag}"
