"""The key ring file: made once and privately, read strictly, and every refusal names kids and check values only."""

import copy
import json
import os
import pickle
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.vault.errors import KeyUnavailable
from app.vault.keyring import KeyRing, KeyRingError, KeyState, create_keyring, load_keyring
from tests.vault.samples import MOMENT, SAMPLE_A, SAMPLE_B, make_root

Change = Callable[[dict[str, Any]], object]
FIRST = bytes.fromhex("9b" + "51c3" * 15 + "07")
SECOND = bytes.fromhex("a4" + "0f7e" * 15 + "d2")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keyring.json"


def make_document() -> dict[str, Any]:
    keys = [make_root("k2026b", key=SECOND), make_root("k2026a", key=FIRST, state=KeyState.DECRYPT)]
    return {"v": 1, "keys": [key.export_entry() for key in keys]}


def write(path: Path, content: str | bytes, *, mode: int = 0o600) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)
    return path


def refusal(path: Path, content: str | bytes) -> str:
    """Return the loader's one line, after making sure that it holds nothing of any key."""
    with pytest.raises(KeyRingError) as caught:
        load_keyring(write(path, content))
    line = str(caught.value)
    assert "\n" not in line
    assert not any(entry["key"] in line for entry in make_document()["keys"])
    return line


def test_a_new_ring_is_private_and_reads_back(path: Path) -> None:
    made = create_keyring(path, created_at=datetime(2027, 3, 1, tzinfo=UTC))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    read = load_keyring(path)
    assert read.list_lines() == made.list_lines()
    assert (read.active.kid, read.active.state, len(read.active.check)) == ("k2027a", KeyState.ACTIVE, 8)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_new_ring_is_private_whatever_the_umask(path: Path) -> None:
    previous = os.umask(0)
    try:
        create_keyring(path, created_at=MOMENT)
    finally:
        os.umask(previous)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_existing_file_is_never_replaced(path: Path) -> None:
    write(path, "precious")
    with pytest.raises(FileExistsError):
        create_keyring(path, created_at=MOMENT)
    assert path.read_text() == "precious"
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_file_system_without_hard_links_still_gets_a_ring(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse_link(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse_link)
    create_keyring(path, created_at=MOMENT)
    assert load_keyring(path).active.kid == "k2026a"
    with pytest.raises(FileExistsError):
        create_keyring(path, created_at=MOMENT)


def test_of_many_makers_one_wins_and_readers_see_a_whole_file(path: Path) -> None:
    barrier, made, refused = Barrier(8), [], []

    def race() -> None:
        barrier.wait()
        try:
            made.append(create_keyring(path, created_at=MOMENT))
        except FileExistsError:
            refused.append(load_keyring(path))

    threads = [Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert {ring.active.check for ring in refused} == {made[0].active.check}


def test_a_missing_file_is_told_apart(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_keyring(path)


def test_states_decide_what_a_key_may_do(path: Path) -> None:
    document = make_document()
    document["keys"].append(make_root("k2025z", key=FIRST[::-1], state=KeyState.RETIRED).export_entry())
    ring = load_keyring(write(path, json.dumps(document)))
    assert ring.active.kid == "k2026b"
    assert ring.get("k2026a").state is KeyState.DECRYPT
    for kid in ("k2025z", "k1999a", ""):
        with pytest.raises(KeyUnavailable):
            ring.get(kid)


def set_key(name: str, value: object, *, of: int = 0) -> Change:
    return lambda document: document["keys"][of].__setitem__(name, value)


def encode_entry(key: bytes, *, state: KeyState = KeyState.ACTIVE) -> Change:
    return lambda document: document["keys"].__setitem__(0, make_root("k2026b", key=key, state=state).export_entry())


REFUSALS: list[tuple[Change, str]] = [
    (lambda d: d.update(v=2), "version"),
    (lambda d: d.update(v="1"), "version"),
    (lambda d: d.update(v=True), "version"),
    (lambda d: d.update(note="x"), "the key ring must have exactly the names keys, v"),
    (lambda d: d.pop("v"), "exactly the names keys, v"),
    (lambda d: d.update(keys={}), "must be a list"),
    (lambda d: d.update(keys=[]), "active now: none"),
    (lambda d: d["keys"].append("x"), "key 3 of the key ring must be a JSON object"),
    (
        lambda d: d["keys"][0].pop("check"),
        "key 1 of the key ring must have exactly the names alg, check, created, key, kid, state",
    ),
    (set_key("note", "x"), "exactly the names"),
    (set_key("kid", 7), "text for every name"),
    (set_key("kid", "K2026"), "kid must be 1 to 32 characters"),
    (set_key("kid", "k" * 33), "kid must be 1 to 32 characters"),
    (set_key("kid", "k2026a"), "does not match its check value"),
    (set_key("state", "asleep"), "state other than pending, active, decrypt, retired"),
    (set_key("alg", "A128"), "alg other than A256"),
    (set_key("created", "yesterday"), "say when it was created"),
    (set_key("created", "2026-11-21T00:00:00"), "say when it was created"),
    (set_key("check", "00000000"), "key k2026b does not match its check value: its bytes give"),
    (set_key("key", "AAAA"), "32 bytes as base64url"),
    (set_key("key", "é" * 43), "32 bytes as base64url"),
    (lambda d: d["keys"][0].update(key=d["keys"][0]["key"] + "="), "without padding"),
    (lambda d: d["keys"][0].update(key=d["keys"][1]["key"]), "does not match its check value"),
    (encode_entry(bytes(32)), "one byte repeated"),
    (encode_entry(b"\xff" * 32), "one byte repeated"),
    (encode_entry(SAMPLE_A), "k2026b is a sample key"),
    (encode_entry(SAMPLE_B), "k2026b is a sample key"),
    (encode_entry(FIRST), "keys k2026b and k2026a are the same key under two names"),
    (encode_entry(SECOND, state=KeyState.DECRYPT), "active now: none"),
    (set_key("state", "active", of=1), "active now: k2026b, k2026a"),
    (lambda d: d["keys"].append(d["keys"][1]), "key k2026a stands in the key ring twice"),
]


@pytest.mark.parametrize(("change", "words"), REFUSALS, ids=lambda value: value if isinstance(value, str) else "")
def test_the_loader_refuses(path: Path, change: Change, words: str) -> None:
    document = make_document()
    change(document)
    assert words in refusal(path, json.dumps(document))


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"null", b"{", b"\xff\xfe{", b"[" * 30_000, b'{"v": 1, "v": 1, "keys": []}', b'{"v": ' + b"9" * 5000 + b"}"],
    ids=["empty", "list", "null", "cut", "bytes", "deep", "repeated", "number"],
)
def test_what_is_no_json_object_is_refused_without_quoting_it(path: Path, content: bytes) -> None:
    assert "is not a JSON object" in refusal(path, content)


def test_a_huge_file_is_refused(path: Path) -> None:
    assert "larger than" in refusal(path, b" " * 70_000)


def test_what_is_no_file_is_refused_and_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(KeyRingError, match=r"is not a file|Is a directory"):
            load_keyring(path)


@pytest.mark.parametrize(
    ("mode", "words"), [(0o640, "read by others (mode 0640)"), (0o604, "read by"), (0o620, "changed by"), (0o666, "changed by")]
)
def test_a_file_that_others_could_use_is_refused(path: Path, mode: int, words: str) -> None:
    write(path, json.dumps(make_document()), mode=mode)
    with pytest.raises(KeyRingError) as caught:
        load_keyring(path)
    assert words in str(caught.value)
    assert "chmod 600" in str(caught.value)


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o700])
def test_a_private_file_is_taken(path: Path, mode: int) -> None:
    assert load_keyring(write(path, json.dumps(make_document()), mode=mode)).active.kid == "k2026b"


def test_a_readable_file_on_a_read_only_mount_is_taken_with_a_warning(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Container secrets come so: read-only, with a mode that the operator cannot choose."""
    write(path, json.dumps(make_document()), mode=0o444)
    real = os.fstatvfs

    class ReadOnly:
        f_flag = os.ST_RDONLY | real(0).f_flag

    monkeypatch.setattr(os, "fstatvfs", lambda _: ReadOnly)
    assert load_keyring(path).active.kid == "k2026b"
    assert "read-only mount" in caplog.text
    path.chmod(0o666)
    with pytest.raises(KeyRingError, match="changed by others"):
        load_keyring(path)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 600), replacement=st.binary(max_size=4))
def test_an_altered_file_never_gives_another_key(path: Path, place: int, replacement: bytes) -> None:
    """A ring either reads as it was (white space, order of dates) or is refused by its one error type."""
    original = json.dumps(make_document()).encode()
    position = place % len(original)
    altered = original[:position] + replacement + original[position + len(replacement) :]
    try:
        ring = load_keyring(write(path, altered))
    except KeyRingError:
        return
    expected = {"k2026a": make_root("k2026a", key=FIRST).check, "k2026b": make_root("k2026b", key=SECOND).check}
    assert {line.kid: line.check for line in ring.list_lines()} == expected


def test_rings_and_keys_show_no_bytes() -> None:
    root = make_root("k2026a", key=FIRST)
    ring = KeyRing([root])
    assert repr(root) == f"RootKey('k2026a', state='active', check='{root.check}')"
    assert repr(ring) == f"KeyRing(k2026a (active, check {root.check}))"
    for thing in (root, ring):
        for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="cannot be pickled or copied"):
                attempt(thing)
        assert not hasattr(thing, "__dict__")


def test_the_check_value_depends_on_key_and_name() -> None:
    checks = {make_root("k2026a", key=FIRST).check, make_root("k2026b", key=FIRST).check, make_root("k2026a", key=SECOND).check}
    assert len(checks) == 3


def test_no_key_shown_in_the_documentation_is_accepted(path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "operators" / "key-ring.md").read_text()
    sample = text[text.index("```json") + 7 :]
    assert "is a sample key" in refusal(path, sample[: sample.index("```")])
