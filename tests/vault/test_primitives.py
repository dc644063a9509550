"""Known answers through our own functions: HKDF of RFC 5869, AES-256-GCM of the GCM specification's test case 16."""

import pytest

from app.vault.errors import VaultError
from app.vault.primitives import decode_text, decrypt, derive, encode_text, encrypt, length_prefixed, wipe

GCM_KEY = bytes.fromhex("feffe9928665731c6d6a8f9467308308" * 2)
GCM_NONCE = bytes.fromhex("cafebabefacedbaddecaf888")
GCM_PLAIN = bytes.fromhex(
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
)
GCM_ASSOCIATED = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
GCM_BODY = bytes.fromhex(
    "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
    "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
    "76fc6ece0f4e1768cddf8853bb2d551b"
)


def test_hkdf_gives_rfc_5869_case_1() -> None:
    derived = derive(
        bytes.fromhex("0b" * 22),
        salt=bytes.fromhex("000102030405060708090a0b0c"),
        info=bytes.fromhex("f0f1f2f3f4f5f6f7f8f9"),
        length_bytes=42,
    )
    assert derived.hex() == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"


def test_hkdf_gives_rfc_5869_case_3_without_salt() -> None:
    derived = derive(bytes.fromhex("0b" * 22), salt=None, info=b"", length_bytes=42)
    assert derived.hex() == "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"


def test_aes_gcm_gives_test_case_16() -> None:
    assert encrypt(GCM_KEY, nonce=GCM_NONCE, plain=GCM_PLAIN, associated=GCM_ASSOCIATED) == GCM_BODY
    assert decrypt(GCM_KEY, nonce=GCM_NONCE, body=GCM_BODY, associated=GCM_ASSOCIATED) == GCM_PLAIN


@pytest.mark.parametrize("body", [b"", GCM_BODY[:15], GCM_BODY[:-1], GCM_BODY[:-1] + b"\x00", GCM_BODY + b"\x00"])
def test_a_wrong_tag_or_length_is_refused(body: bytes) -> None:
    with pytest.raises(VaultError, match="cannot be opened"):
        decrypt(GCM_KEY, nonce=GCM_NONCE, body=body, associated=GCM_ASSOCIATED)


def test_other_associated_data_is_refused() -> None:
    with pytest.raises(VaultError):
        decrypt(GCM_KEY, nonce=GCM_NONCE, body=GCM_BODY, associated=GCM_ASSOCIATED + b"\x00")


def test_length_prefixes_keep_different_lists_apart() -> None:
    lists = [("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""), ("", "abc"), (), ("",), ("a", "b", "c")]
    assert len({length_prefixed(parts) for parts in lists}) == len(lists)
    assert length_prefixed(("é", "")) == b"\x00\x00\x00\x02\xc3\xa9\x00\x00\x00\x00"


def test_wiping_overwrites_in_place() -> None:
    buffer = bytearray(b"hunter2")
    view = memoryview(buffer)
    wipe(buffer)
    assert bytes(view) == bytes(7)


def test_text_that_is_no_unicode_is_refused_without_carrying_it() -> None:
    with pytest.raises(VaultError) as caught:
        encode_text("hunter2\ud800")
    assert caught.value.__context__ is None
    with pytest.raises(VaultError) as caught:
        decode_text(memoryview(b"hunter2\xff"))
    assert caught.value.__context__ is None
