"""`keydeck serve` refuses to start in ways that leak: one line each, exit code 78; with the setting repaired it starts."""

import os
import re
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from app.commands.unsafe_starts import find_danger, is_sample
from app.masking import Secret
from app.settings import Settings
from tests.databases import copy_sqlite

ROOT = Path(__file__).resolve().parents[2]
HTTPS = {"KEYDECK_PUBLIC_URL": "https://keydeck.example.org"}
BEYOND = {"KEYDECK_HOST": "0.0.0.0"}
# what is wrong with it, the settings, words of the line, what repairs it (None: taken away)
UNSAFE: list[tuple[str, dict[str, str], str, dict[str, str | None]]] = [
    ("beyond loopback without https", BEYOND, "KEYDECK_HOST=0.0.0.0 listens beyond this machine", HTTPS),
    ("a public address on http", {"KEYDECK_PUBLIC_URL": "http://keydeck.example.org"}, "KEYDECK_PUBLIC_URL is not https", HTTPS),
    (
        "not said that plain http is meant",
        {**BEYOND, "KEYDECK_ALLOW_PLAIN_HTTP": "off"},
        "KEYDECK_ALLOW_PLAIN_HTTP=on starts all the same",
        {"KEYDECK_ALLOW_PLAIN_HTTP": "on"},
    ),
    ("a public sandbox", {**HTTPS, "KEYDECK_SANDBOX": "on"}, "KEYDECK_SANDBOX=on with a public", {"KEYDECK_SANDBOX": "off"}),
    ("debug lines", {**HTTPS, "KEYDECK_LOG_LEVEL": "DEBUG"}, "KEYDECK_LOG_LEVEL=DEBUG", {"KEYDECK_LOG_LEVEL": "INFO"}),
    ("Python's development mode", {**HTTPS, "PYTHONDEVMODE": "1"}, "development mode", {"PYTHONDEVMODE": None}),
    (
        "a sample token",
        {"KEYDECK_METRICS_TOKEN": "Change-Me"},
        "KEYDECK_METRICS_TOKEN holds a sample",
        {"KEYDECK_METRICS_TOKEN": "k7Q0mB2v9xW4"},
    ),
]
SAMPLE_RING = re.compile(r"```json\n(\{\"v\": 1.*?)```", re.DOTALL)


def prepare(data_dir: Path, changes: dict[str, str]) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("KEYDECK_", "PYTHON"))}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return {**plain, "KEYDECK_DATA_DIR": str(data_dir), "KEYDECK_PORT": str(port), **changes}


def expect_refusal(environment: dict[str, str], words: str) -> None:
    """The command ends at once with one line, before it touched anything."""
    line = [sys.executable, "-m", "app", "serve", "--migrate"]
    ended = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=110, check=False)
    assert ended.returncode == 78, ended.stderr
    assert ended.stdout == ""
    assert len(ended.stderr.strip().splitlines()) == 1, ended.stderr
    assert words in ended.stderr


def expect_start(environment: dict[str, str]) -> None:
    line = [sys.executable, "-u", "-m", "app", "serve", "--migrate", "--no-worker"]
    with subprocess.Popen(line, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert "/setup?token=" in server.stdout.readline()
        own = "[::1]" if environment.get("KEYDECK_HOST") == "::1" else "127.0.0.1"
        with urllib.request.urlopen(f"http://{own}:{environment['KEYDECK_PORT']}/livez", timeout=20) as reply:
            assert reply.status == 200
        server.terminate()
        assert server.wait(timeout=60) in (0, -15)


@pytest.mark.parametrize(("changes", "words", "repair"), [case[1:] for case in UNSAFE], ids=[case[0] for case in UNSAFE])
def test_an_unsafe_start_is_refused_and_a_repaired_one_is_not(
    tmp_path: Path, sqlite_template: Path, changes: dict[str, str], words: str, repair: dict[str, str | None]
) -> None:
    environment = prepare(tmp_path, changes)
    expect_refusal(environment, words)
    assert list(tmp_path.iterdir()) == [], "refused before anything was made"
    for name, value in repair.items():
        environment.pop(name, None)
        if value is not None:
            environment[name] = value
    copy_sqlite(sqlite_template, tmp_path / "keydeck.db")  # spares the migrations
    expect_start(environment)


def test_the_key_ring_of_the_documentation_is_refused(tmp_path: Path, sqlite_template: Path) -> None:
    copy_sqlite(sqlite_template, tmp_path / "keydeck.db")
    found = SAMPLE_RING.search((ROOT / "docs/operators/key-ring.md").read_text())
    assert found is not None
    ring = tmp_path / "keyring.json"
    ring.write_text(found[1])
    ring.chmod(0o600)
    environment = prepare(tmp_path, {})
    expect_refusal(environment, "a sample key from the documentation")
    ring.unlink()
    expect_start(environment)


@pytest.mark.parametrize(
    ("values", "environ", "words"),
    [
        ({"host": "::"}, {}, "listens beyond this machine"),
        ({"host": "192.0.2.7", "public_url": "http://192.0.2.7:8000"}, {}, "listens beyond this machine"),
        ({"public_url": "https://keydeck.example.org"}, {"PYTHONASYNCIODEBUG": "1"}, "development mode"),
        ({"host": "0.0.0.0", "allow_plain_http": "on", "log_level": "DEBUG"}, {}, "LOG_LEVEL=DEBUG"),
        ({"public_url": "http://keydeck.lan", "allow_plain_http": "on", "sandbox": "on"}, {}, "SANDBOX=on"),
    ],
)
def test_other_unsafe_settings_are_found(values: dict[str, str], environ: dict[str, str], words: str) -> None:
    danger = find_danger(Settings(**values), environ=environ, is_dev_mode=False)
    assert danger is not None
    assert words in danger
    assert find_danger(Settings(), environ=environ, is_dev_mode=False) is None


def test_a_worker_is_judged_by_all_but_what_it_does_not_do() -> None:
    """It listens to nobody, so the image's HOST and a missing PUBLIC_URL are no danger."""
    image = Settings(host="0.0.0.0")
    assert find_danger(image, environ={}, is_dev_mode=False) is not None
    assert find_danger(image, environ={}, is_dev_mode=False, listens=False) is None
    for values in ({"sandbox": "on"}, {"log_level": "DEBUG"}, {"metrics_token": "change-me"}):
        settings = Settings(host="0.0.0.0", public_url="https://keydeck.example.org", **values)
        assert find_danger(settings, environ={}, is_dev_mode=False, listens=False) is not None


def test_a_debug_switch_is_no_setting_of_ours(tmp_path: Path) -> None:
    expect_refusal(prepare(tmp_path, {"KEYDECK_DEBUG": "on"}), "unknown setting KEYDECK_DEBUG")


def test_loopback_needs_nothing_set(tmp_path: Path, sqlite_template: Path) -> None:
    """`make run` and a developer's machine: sandbox on, debug lines on, plain http."""
    copy_sqlite(sqlite_template, tmp_path / "keydeck.db")
    expect_start(prepare(tmp_path, {"KEYDECK_SANDBOX": "on", "KEYDECK_LOG_LEVEL": "DEBUG"}))


def test_no_example_secret_of_the_documentation_is_taken() -> None:
    """What docs, README and the compose file show as a secret's value must be on the list of samples, or be no value."""
    files = [*ROOT.glob("docs/**/*.md"), ROOT / "README.md", ROOT / "compose.yaml"]
    shown: set[tuple[str, str]] = set()
    secrets = [name for name, field in Settings.model_fields.items() if "Secret" in str(field.annotation)]
    assert "metrics_token" in secrets
    for file in files:
        for name, value in re.findall(r"KEYDECK_([A-Z_]+)[=:] *[\"'`]?([^\s\"'`|)]+)", file.read_text(encoding="utf-8")):
            if name.lower() in secrets and not re.search(r"[$…<]", value):
                shown.add((name.lower(), value))
    passed = [name for name, value in shown if find_danger(Settings(**{name: value}), environ={}, is_dev_mode=False) is None]
    assert passed == [], "add the example's words to SAMPLE_WORDS, or show `…` in its place"


@pytest.mark.parametrize(
    "value",
    [
        *("changeme123", "CHANGE_ME", "secret", "my-secret-token", "Password1", "password2026", "test-token", "example"),
        *("your_secret", "xxxxxxxxxxxx", "00000000", "12121212", "aaaabbbbcccc", "test1234", "secret-key-xxxx"),
    ],
)
def test_words_anybody_would_try_are_samples(value: str) -> None:
    assert is_sample(Secret(value))


@pytest.mark.parametrize(
    "value",
    [
        "",
        "k7Q0mB2v9xW4",
        "test-3f9a8c71d2",
        "secretary of the harbour",
        "9b1c6e0f4d",
        "keydeck",
        "tr0ub4dor&3",
        "password-manager-made-this-91kz",
    ],
)
def test_what_was_drawn_or_is_not_set_is_none(value: str) -> None:
    """Of a database's password nobody here knows how it is guarded: what is short is not refused, only what is printed."""
    assert not is_sample(Secret(value))


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "value", ["31415926535897932384626433832795028z", "0123456789" * 500, "x1" * 2000 + "qz", "keymy" * 900 + "q"]
)
def test_a_long_secret_is_judged_at_once(value: str) -> None:
    """A start must not hang on a value that is nearly made of samples, for there are very many ways to take it apart."""
    assert not is_sample(Secret(value))


@pytest.mark.parametrize(
    "url", ["postgresql://keydeck:change-me@db/keydeck", "postgresql://keydeck:CHANGEME@127.0.0.1:5432/keydeck"]
)
def test_a_sample_password_inside_an_address_is_found(url: str) -> None:
    line = find_danger(Settings(database_url=Secret(url)), environ={}, is_dev_mode=False)
    assert line is not None
    assert "KEYDECK_DATABASE_URL" in line
    assert "hange" not in line
    repaired = Settings(database_url=Secret("postgresql://keydeck:k7Q0mB2v9xW4@db/keydeck"))
    assert find_danger(repaired, environ={}, is_dev_mode=False) is None
