"""Records written once and kept: every later Keydeck must open them, and a reader written from the decision record agrees."""

import base64
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.masking import Secret
from app.vault.envelope import SealedSecrets, SealingContext, Vault
from app.vault.keyring import KeyRing, KeyState
from tests.vault.samples import make_root

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parent / "golden.json").read_text())
RECORDS: list[dict[str, Any]] = GOLDEN["records"]


@pytest.fixture
def golden_vault() -> Vault:
    ring = KeyRing([make_root(key["kid"], key=bytes.fromhex(key["key"]), state=KeyState(key["state"])) for key in GOLDEN["keys"]])
    fingerprint_key = bytearray.fromhex(GOLDEN["fingerprint_key"])
    return Vault(ring=ring, instance_id=GOLDEN["instance_id"], fingerprint_key=fingerprint_key)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record["note"])
def test_golden_records_open(golden_vault: Vault, record: dict[str, Any]) -> None:
    sealed = SealedSecrets.from_row(record["kid"], wrapped_key=base64.b64decode(record["wrapped_key"]), fields=record["fields"])
    opened = golden_vault.open(sealed, context=SealingContext(**record["context"]))
    assert {name: value.reveal() for name, value in opened.items()} == record["values"]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record["note"])
def test_a_reader_written_from_the_decision_record_opens_them_too(record: dict[str, Any]) -> None:
    """No code of app/vault: what docs/decisions/0002-vault-format.md says is enough."""
    root = bytes.fromhex(next(key["key"] for key in GOLDEN["keys"] if key["kid"] == record["kid"]))
    context = record["context"]
    parts = [
        "keydeck/cred/1",
        *(str(context[name]) for name in ("instance_id", "credential_id", "user_id", "exchange", "environment")),
    ]
    associated = b"".join(prefix(part) for part in [*parts, str(context["secret_version"])])

    wrapped = base64.b64decode(record["wrapped_key"])
    start = 5 + wrapped[4]
    one_time = HKDF(hashes.SHA256(), 32, salt=wrapped[start : start + 32], info=b"keydeck/v1/wrap").derive(root)
    head = start + 32 + 12
    data_key = AESGCM(one_time).decrypt(wrapped[head - 12 : head], wrapped[head:], wrapped[:head] + associated)
    for name, text in record["fields"].items():
        field = base64.b64decode(text)
        padded = AESGCM(data_key).decrypt(field[4:16], field[16:], field[:16] + associated + prefix(name))
        assert padded[4 : 4 + int.from_bytes(padded[:4], "big")].decode() == record["values"][name]


def test_golden_fingerprints_and_check_values_hold(golden_vault: Vault) -> None:
    for known in GOLDEN["fingerprints"]:
        api_key = Secret(known["api_key"])
        assert (
            golden_vault.fingerprint(exchange=known["exchange"], environment=known["environment"], api_key=api_key)
            == known["print"]
        )
    assert {line.kid: line.check for line in golden_vault.list_keys()} == {key["kid"]: key["check"] for key in GOLDEN["keys"]}


def test_check_values_are_what_the_decision_record_says() -> None:
    for key in GOLDEN["keys"]:
        derived = HKDF(hashes.SHA256(), 32, salt=None, info=b"keydeck/v1/check").derive(bytes.fromhex(key["key"]))
        assert hmac.digest(derived, key["kid"].encode(), "sha256")[:4].hex() == key["check"]


def prefix(part: str) -> bytes:
    return len(part.encode()).to_bytes(4, "big") + part.encode()
