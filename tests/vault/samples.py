"""Fixed key rings and contexts for the vault's tests. The sample keys are public, so the ring loader refuses them."""

from collections.abc import Sequence
from datetime import UTC, datetime

from app.vault.envelope import SealingContext, Vault
from app.vault.keyring import KeyRing, KeyState, RootKey

MOMENT = datetime(2026, 11, 21, tzinfo=UTC)
INSTANCE = "vlt_000000000000000000000000"
SAMPLE_A = bytes(range(32))
SAMPLE_B = bytes(range(32, 64))


def make_root(kid: str, *, key: bytes = SAMPLE_A, state: KeyState = KeyState.ACTIVE) -> RootKey:
    return RootKey(kid, state=state, created_at=MOMENT, key=bytearray(key))


def make_vault(keys: Sequence[RootKey] = (), *, instance_id: str = INSTANCE) -> Vault:
    ring = KeyRing(keys or [make_root("k2026a")])
    return Vault(ring=ring, instance_id=instance_id, fingerprint_key=bytearray(b"\x17" * 32))


def make_context(number: int = 1, **changes: str | int) -> SealingContext:
    parts: dict[str, str | int] = {
        "instance_id": INSTANCE,
        "credential_id": f"crd_{number}",
        "user_id": "usr_1",
        "exchange": "htx",
        "environment": "live",
        "secret_version": 1,
    }
    return SealingContext(**{**parts, **changes})  # type: ignore[arg-type]  # the test names valid parts
