"""Random, prefixed identifiers: usr_ crd_ chk_ tok_ req_ and their kin."""

import secrets

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's: no i, l, o, u to misread aloud
_LENGTH = 26  # 130 random bits


def create_id(prefix: str) -> str:
    """Return a fresh id such as `crd_3f…`; the prefix names the kind, the rest is random (130 bits)."""
    return f"{prefix}_{''.join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))}"
