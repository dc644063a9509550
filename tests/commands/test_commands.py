"""The `keydeck` command as an operator uses it: real processes, real exit codes, one clear line on failure."""

import json
import os
import socket
import subprocess
import sys
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PASSWORD = "canary-correct-horse-battery"


def run_keydeck(*words: str, data_dir: Path, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("KEYDECK_")}
    env = {**plain, "KEYDECK_DATA_DIR": str(data_dir), **environment}
    line = [sys.executable, "-m", "app", *words]
    return subprocess.run(line, cwd=ROOT, env=env, input=stdin, capture_output=True, text=True, timeout=60, check=False)


def test_people_and_tokens_from_the_command_line(tmp_path: Path) -> None:
    assert run_keydeck("migrate", data_dir=tmp_path).returncode == 0
    words = ("users", "add", "trader@example.org", "--role", "trader", "--password-file", "-")

    short = run_keydeck(*words, data_dir=tmp_path, stdin="short\n")
    assert short.returncode == 64
    assert "12 characters" in short.stderr
    assert len(short.stderr.strip().splitlines()) == 1

    added = run_keydeck(*words, "--json", data_dir=tmp_path, stdin=f"{PASSWORD}\n")
    assert added.returncode == 0, added.stderr
    assert json.loads(added.stdout)["roles"] == ["trader"]

    token = run_keydeck("tokens", "add", "trader@example.org", "--name", "ci", "--json", data_dir=tmp_path)
    made = json.loads(token.stdout)
    assert made["token"].startswith("kd_")
    assert made["scopes"] == ["status:read"], "no more than was asked for"
    ends = datetime.fromisoformat(made["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=89) < ends <= timedelta(days=90)
    wide = ("--scope", "credentials:manage", "--scope", "balances:read", "--days", "7")
    shown = run_keydeck("tokens", "add", "trader@example.org", "--name", "bot", *wide, data_dir=tmp_path)
    assert "balances:read, credentials:manage, until 20" in shown.stdout
    for days in ("0", "3651"):
        assert (
            run_keydeck("tokens", "add", "trader@example.org", "--name", "x", "--days", days, data_dir=tmp_path).returncode == 2
        )

    listed = run_keydeck("tokens", "list", "trader@example.org", "--json", data_dir=tmp_path)
    assert made["id"] in [one["id"] for one in json.loads(listed.stdout)]
    assert made["token"] not in listed.stdout

    assert run_keydeck("users", "set-role", "trader@example.org", "--role", "support", data_dir=tmp_path).returncode == 0
    assert run_keydeck("tokens", "revoke", "trader@example.org", made["id"], data_dir=tmp_path).returncode == 0
    assert run_keydeck("users", "disable", "trader@example.org", data_dir=tmp_path).returncode == 0
    people = json.loads(run_keydeck("users", "list", "--json", data_dir=tmp_path).stdout)
    assert people[0]["disabled"] is True
    assert people[0]["roles"] == ["support"]

    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert PASSWORD.encode() not in stored
    assert made["token"].encode() not in stored


def test_a_dead_database_gives_one_line_and_no_start(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"postgresql://keydeck:canary-password@127.0.0.1:{port}/keydeck"
    for command in (("serve",), ("migrate",), ("users", "list")):
        ended = run_keydeck(*command, data_dir=tmp_path, KEYDECK_DATABASE_URL=url)
        assert ended.returncode == 69
        assert len(ended.stderr.strip().splitlines()) == 1, ended.stderr
        assert "KEYDECK_DATABASE_URL" in ended.stderr
        assert "canary-password" not in ended.stderr + ended.stdout


def test_an_unknown_setting_is_one_line(tmp_path: Path) -> None:
    ended = run_keydeck("users", "list", data_dir=tmp_path, KEYDECK_SANBOX="on")
    assert ended.returncode == 78
    assert "KEYDECK_SANBOX" in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("KEYDECK_DATABASE_URL", "mysql://u:hush-hush@h/x", "must start with postgresql://"),
        ("KEYDECK_DATABASE_URL", "postgresql+asyncpg://u:hush-hush@h/x", "must start with postgresql://"),
        ("KEYDECK_DATABASE_URL", "hush-hush", "must start with postgresql://"),
        ("KEYDECK_EXCHANGES", "hitbtc,htk", "unknown exchange htk"),
        ("KEYDECK_EXCHANGE_HITBT_URL", "https://x.example", "unknown exchange hitbt"),
    ],
)
def test_a_setting_that_cannot_be_used_is_one_line(tmp_path: Path, name: str, value: str, words: str) -> None:
    ended = run_keydeck("serve", data_dir=tmp_path, **{name: value})
    assert ended.returncode == 78
    assert words in ended.stderr
    assert "hush" not in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


def test_an_old_database_is_not_served(tmp_path: Path) -> None:
    ended = run_keydeck("serve", data_dir=tmp_path)
    assert ended.returncode == 78
    assert "keydeck migrate" in ended.stderr


def test_a_missing_key_ring_refuses_to_start(tmp_path: Path) -> None:
    run_keydeck("migrate", data_dir=tmp_path)
    assert run_keydeck("vault", "init", data_dir=tmp_path).returncode == 0
    ring = tmp_path / "keyring.json"
    assert ring.stat().st_mode & 0o777 == 0o600
    assert run_keydeck("doctor", data_dir=tmp_path).returncode == 0
    ring.rename(tmp_path / "elsewhere.json")

    for command in (("serve",), ("doctor",), ("vault", "init")):
        ended = run_keydeck(*command, data_dir=tmp_path)
        assert ended.returncode == 78
        assert len(ended.stderr.strip().splitlines()) == 1, ended.stderr
    assert not ring.exists(), "a lost ring must never be replaced by a new one"


def test_sandbox_keys_tell_what_connecting_gives(tmp_path: Path) -> None:
    listed = json.loads(run_keydeck("sandbox", "keys", "--json", data_dir=tmp_path).stdout)
    assert {key["exchange"] for key in listed} >= {"hitbtc", "htx", "bitexbit"}
    assert all(set(key) >= {"exchange", "scenario", "secrets", "plan", "status", "code", "stored"} for key in listed)


@pytest.mark.parametrize("stop", ["terminate", "kill"])
def test_serve_prints_one_link_answers_and_stops(tmp_path: Path, stop: str) -> None:
    run_keydeck("migrate", data_dir=tmp_path)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("KEYDECK_")}
    env = {**plain, "KEYDECK_DATA_DIR": str(tmp_path), "KEYDECK_PORT": str(port), "PYTHONUNBUFFERED": "1"}
    line = [sys.executable, "-m", "app", "serve"]
    with subprocess.Popen(line, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        first = server.stdout.readline()
        assert f"http://127.0.0.1:{port}/setup?token=" in first
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/livez", timeout=5) as reply:
            assert reply.status == 200
        second = run_keydeck("serve", data_dir=tmp_path, KEYDECK_PORT=str(port))
        assert second.returncode == 69
        assert f"port {port}" in second.stderr
        for host in ("127.0.0.1", "0.0.0.0"):
            around = {"http_proxy": "http://127.0.0.1:9", "KEYDECK_HOST": host, "KEYDECK_PUBLIC_URL": "https://keydeck.example"}
            assert run_keydeck("healthcheck", data_dir=tmp_path, KEYDECK_PORT=str(port), **around).returncode == 0
        getattr(server, stop)()
        assert server.wait(timeout=25) == (0 if stop == "terminate" else -9)
