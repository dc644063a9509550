"""The record layout: strict parsing, padding, and every flipped bit refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.vault.errors import KeyUnavailable, VaultError
from app.vault.keyring import KeyRing, KeyState
from app.vault.records import RESERVED_ALGORITHMS, open_field, pad, parse_wrapped_key, seal_field, unpad, unwrap_key, wrap_key
from tests.vault.samples import SAMPLE_B, make_root

RING = KeyRing([make_root("k2026a")])
DATA_KEY = bytes(range(100, 132))
CONTEXT = b"context"
WRAPPED = wrap_key(RING.active, key=DATA_KEY, context=CONTEXT)
FIELD = seal_field(DATA_KEY, value=b"value", context=CONTEXT)


def test_the_layout_is_the_documented_one() -> None:
    parsed = parse_wrapped_key(WRAPPED)
    assert WRAPPED[:5] == b"KD\x01\x01\x06"
    assert (parsed.kid, len(parsed.salt), len(parsed.nonce), len(parsed.body)) == ("k2026a", 32, 12, 48)
    assert parsed.header == b"KD\x01\x01\x06k2026a" + parsed.salt + parsed.nonce
    assert FIELD[:4] == b"KD\x02\x01"
    assert len(FIELD) == 4 + 12 + 64 + 16


def test_what_was_sealed_opens() -> None:
    assert unwrap_key(RING, WRAPPED, context=CONTEXT) == DATA_KEY
    assert bytes(unpad(open_field(DATA_KEY, FIELD, context=CONTEXT))) == b"value"


def test_every_flipped_bit_of_a_wrapped_key_is_refused() -> None:
    for bit in range(len(WRAPPED) * 8):
        with pytest.raises(VaultError):
            unwrap_key(RING, flip(WRAPPED, bit), context=CONTEXT)


def test_every_flipped_bit_of_a_field_is_refused() -> None:
    for bit in range(len(FIELD) * 8):
        with pytest.raises(VaultError):
            open_field(DATA_KEY, flip(FIELD, bit), context=CONTEXT)


def test_every_other_length_is_refused() -> None:
    for end in range(len(WRAPPED)):
        with pytest.raises(VaultError, match="malformed"):
            unwrap_key(RING, WRAPPED[:end], context=CONTEXT)
    for end in range(len(FIELD)):
        with pytest.raises(VaultError, match="malformed"):
            open_field(DATA_KEY, FIELD[:end], context=CONTEXT)
    for record in (WRAPPED + b"\x00", WRAPPED * 2):
        with pytest.raises(VaultError, match="malformed"):
            unwrap_key(RING, record, context=CONTEXT)
    for record in (FIELD + b"\x00", FIELD + bytes(64 * 2)):
        with pytest.raises(VaultError, match="malformed"):
            open_field(DATA_KEY, record, context=CONTEXT)


@pytest.mark.parametrize("algorithm", [0, *RESERVED_ALGORITHMS, 4, 255])
def test_other_algorithms_are_refused_before_any_cryptography(algorithm: int) -> None:
    with pytest.raises(VaultError, match="malformed"):
        unwrap_key(RING, WRAPPED[:3] + bytes((algorithm,)) + WRAPPED[4:], context=CONTEXT)
    with pytest.raises(VaultError, match="malformed"):
        open_field(DATA_KEY, FIELD[:3] + bytes((algorithm,)) + FIELD[4:], context=CONTEXT)


@pytest.mark.parametrize("kid", ["K2026A", "k2026 ", "-2026a", "k2026\n", "k2026\x00", "k2026\xff"])
def test_a_malformed_kid_is_refused(kid: str) -> None:
    with pytest.raises(VaultError, match="malformed"):
        parse_wrapped_key(WRAPPED.replace(b"k2026a", kid.encode("latin-1"), 1))


def test_a_root_key_that_is_not_here_or_retired_is_named_as_unavailable() -> None:
    elsewhere = KeyRing([make_root("k2026b", key=SAMPLE_B)])
    retired = KeyRing([make_root("k2026b", key=SAMPLE_B), make_root("k2026a", state=KeyState.RETIRED)])
    for ring in (elsewhere, retired):
        with pytest.raises(KeyUnavailable):
            unwrap_key(ring, WRAPPED, context=CONTEXT)


def test_a_root_key_of_the_same_name_but_other_bytes_is_refused() -> None:
    with pytest.raises(VaultError) as caught:
        unwrap_key(KeyRing([make_root("k2026a", key=SAMPLE_B)]), WRAPPED, context=CONTEXT)
    assert not isinstance(caught.value, KeyUnavailable)


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
def test_only_whole_keys_are_wrapped(length: int) -> None:
    with pytest.raises(VaultError):
        wrap_key(RING.active, key=bytes(length), context=CONTEXT)


@pytest.mark.parametrize(
    ("length", "bucket"),
    [(0, 64), (1, 64), (60, 64), (61, 128), (124, 128), (125, 256), (252, 256), (253, 512), (65_532, 65_536)],
)
def test_values_are_padded_to_buckets(length: int, bucket: int) -> None:
    padded = pad(b"v" * length)
    assert len(padded) == bucket
    assert bytes(unpad(padded)) == b"v" * length


def test_a_value_beyond_the_largest_bucket_is_refused() -> None:
    with pytest.raises(VaultError, match="too long"):
        pad(bytes(65_533))


@pytest.mark.parametrize(
    "padded",
    [
        b"\xff" * 64,
        b"\x00\x00\x00\x3d" + bytes(60),  # one byte more than there is
        b"\x00\x00\x00\x01v" + bytes(123),  # in a larger bucket than it needs
        b"\x00\x00\x00\x01v" + bytes(58) + b"\x01",  # padding that is not zero
    ],
)
def test_other_padding_is_refused(padded: bytes) -> None:
    with pytest.raises(VaultError, match="malformed"):
        unpad(bytearray(padded))


def test_salts_and_nonces_never_repeat() -> None:
    seals = 20_000
    wrapped = [parse_wrapped_key(wrap_key(RING.active, key=DATA_KEY, context=b"")) for _ in range(seals)]
    assert len({record.salt for record in wrapped}) == seals
    assert len({record.nonce for record in wrapped}) == seals
    assert len({seal_field(DATA_KEY, value=b"v", context=b"")[4:16] for _ in range(seals)}) == seals


def alter(record: bytes, *, position: int, replacement: bytes, tail: bytes) -> bytes:
    place = position % (len(record) + 1)
    return record[:place] + replacement + record[place + len(replacement) :] + tail


MUTATIONS = st.lists(
    st.tuples(
        st.integers(0, 200), st.binary(min_size=0, max_size=8), st.sampled_from([b"", b"", b"", b"\x00", bytes(16), bytes(64)])
    ),
    min_size=50,
    max_size=60,
)


@settings(max_examples=500, deadline=None)
@given(mutations=MUTATIONS, noise=st.lists(st.binary(max_size=160), min_size=20, max_size=25))
def test_no_input_gives_anything_but_a_vault_error(mutations: list[tuple[int, bytes, bytes]], noise: list[bytes]) -> None:
    """About 60,000 altered or random inputs per run: each is refused, by one type of error."""
    altered = [
        (original, alter(original, position=p, replacement=r, tail=t)) for original in (WRAPPED, FIELD) for p, r, t in mutations
    ]
    for original, record in [*altered, *((b"", record) for record in noise)]:
        if record == original:
            continue
        with pytest.raises(VaultError):
            unwrap_key(RING, record, context=CONTEXT)
        with pytest.raises(VaultError):
            open_field(DATA_KEY, record, context=CONTEXT)


def flip(record: bytes, bit: int) -> bytes:
    changed = bytearray(record)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)
