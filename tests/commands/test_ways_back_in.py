"""Links from the command line, and limits that a restart of the real server does not forget."""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.commands.test_commands import PASSWORD, ROOT, run_keydeck

EMAIL = "trader@example.org"


def add_person(folder: Path) -> None:
    assert run_keydeck("migrate", data_dir=folder).returncode == 0
    words = ("users", "add", EMAIL, "--role", "trader", "--password-file", "-")
    assert run_keydeck(*words, data_dir=folder, stdin=f"{PASSWORD}\n").returncode == 0


@contextmanager
def serve(folder: Path, port: int, **environment: str) -> Iterator[httpx.Client]:
    """Run the real server and give a browser that may claim any address."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("KEYDECK_")}
    env = {**plain, "KEYDECK_DATA_DIR": str(folder), "KEYDECK_PORT": str(port), "PYTHONUNBUFFERED": "1", **environment}
    line = [sys.executable, "-m", "app", "serve", "--no-worker"]
    origin = f"http://127.0.0.1:{port}"
    with subprocess.Popen(line, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        assert origin in server.stdout.readline()
        headers = {"Origin": origin, "Sec-Fetch-Site": "same-origin"}
        with httpx.Client(base_url=origin, headers=headers, trust_env=False) as client:
            yield client
        server.terminate()
        server.wait(timeout=25)


def guess(client: httpx.Client, times: int) -> list[int]:
    codes = []
    for number in range(times):
        forged = {
            "X-Forwarded-For": f"198.51.100.{number}",
            "X-Real-IP": f"198.51.100.{number}",
            "Forwarded": f"for=10.0.0.{number}",
        }
        form = {"email": EMAIL, "password": "not the right password"}
        codes.append(client.post("/sign-in", data=form, headers=forged).status_code)
    return codes


def test_a_restart_forgets_no_try_and_no_known_browser(tmp_path: Path) -> None:
    add_person(tmp_path)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with serve(tmp_path, port) as thief:
        assert guess(thief, 10) == [401] * 8 + [429] * 2
    with serve(tmp_path, port) as thief:
        assert guess(thief, 3) == [429] * 3
        link = run_keydeck("users", "reset", EMAIL, "--json", data_dir=tmp_path, KEYDECK_PORT=str(port))
        assert link.returncode == 0, link.stderr
        with httpx.Client(base_url=thief.base_url, headers=dict(thief.headers), trust_env=False) as owner:
            token = json.loads(link.stdout)["link"].split("token=")[1]
            done = owner.post("/reset", data={"token": token, "new_password": "a new and different password"})
            assert done.status_code == 303, done.text
            form = {"email": EMAIL, "password": "a new and different password"}
            assert owner.post("/sign-in", data=form).status_code == 303, "the browser that used the link is known"
    assert token.encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())


def test_links_from_the_command_line(tmp_path: Path) -> None:
    add_person(tmp_path)
    for command, path in (("reset", "reset"), ("reset-factors", "factor-reset")):
        made = run_keydeck("users", command, EMAIL, data_dir=tmp_path)
        assert re.match(rf"http://127\.0\.0\.1:8000/{path}\?token=[\w-]{{43}}\n\(works once, for one hour", made.stdout)
        nobody = run_keydeck("users", command, "nobody@example.org", data_dir=tmp_path)
        assert nobody.returncode == 1
        assert nobody.stderr.strip() == "keydeck: There is no such person. It was removed, or it never existed."


def test_disabling_enabling_and_ending_sessions(tmp_path: Path) -> None:
    add_person(tmp_path)
    token = json.loads(run_keydeck("tokens", "add", EMAIL, "--name", "ci", "--json", data_dir=tmp_path).stdout)
    assert run_keydeck("users", "disable", EMAIL, data_dir=tmp_path).stdout == f"{EMAIL} is disabled\n"
    assert run_keydeck("users", "reset", EMAIL, data_dir=tmp_path).returncode == 1
    assert run_keydeck("users", "enable", EMAIL, data_dir=tmp_path).stdout == f"{EMAIL} is enabled\n"
    assert token["id"] not in run_keydeck("tokens", "list", EMAIL, "--json", data_dir=tmp_path).stdout
    assert run_keydeck("users", "sign-out", EMAIL, data_dir=tmp_path).stdout == f"0 sessions of {EMAIL} are ended\n"
    listed = json.loads(run_keydeck("users", "list", "--json", data_dir=tmp_path).stdout)
    assert [person["disabled"] for person in listed] == [False]


def test_a_common_password_is_refused_by_the_command_too(tmp_path: Path) -> None:
    assert run_keydeck("migrate", data_dir=tmp_path).returncode == 0
    words = ("users", "add", EMAIL, "--role", "trader", "--password-file", "-")
    refused = run_keydeck(*words, data_dir=tmp_path, stdin="password1234\n")
    assert refused.returncode == 64
    assert "first that attackers try" in refused.stderr
    assert "password1234" not in refused.stderr
