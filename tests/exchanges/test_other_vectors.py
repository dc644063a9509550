"""Vectors of signatures that Keydeck does not send today: websocket logins, and bitexbit's older API.

Whoever adds one of these forms starts from a text to sign that is known to be right. HitBTC's window (vectors E and F)
is verified by the sandbox in tests/sandbox.
"""

import base64
import hashlib
import hmac

import pytest

HTX_KEY, HTX_SECRET = "b1rkuf4drg-7f3a9c21-5d8e0b46-a1c2e", "0f1e2d3c-4b5a6978-8796a5b4-c3d2e"
HTX_QUERY = f"accessKey={HTX_KEY}&signatureMethod=HmacSHA256&signatureVersion=2.1&timestamp=2026-03-01T08%3A09%3A10"


def make_mac(secret: str, text: str) -> bytes:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()


@pytest.mark.parametrize(
    ("window", "signature"),
    [
        ("", "03248f50a392b916b54798bd9a9ef832f54f4dab3ac83232caf3d6c3f4e478f1"),
        ("10000", "ee325894bf0e3b1a096b673e9a6c166dc6fb55c249793b1402477005dcee15ba"),
    ],
    ids=["J", "K"],
)
def test_hitbtc_signs_a_websocket_login_over_time_and_window(window: str, signature: str) -> None:
    assert make_mac("hb-test-secret", f"1760000000000{window}").hex() == signature


def test_htx_signs_a_websocket_login_over_its_own_parameter_names() -> None:
    text = f"GET\napi.huobi.pro\n/ws/v2\n{HTX_QUERY}"
    assert base64.b64encode(make_mac(HTX_SECRET, text)).decode() == "45HltKMIkJc1BCj8GqDQRF6bjkNlS/JprorrtZaOdrE="


def test_bitexbits_older_api_signs_the_key_alone_on_a_get() -> None:
    expected = "f57e57998afacc84a1b4d259ef8442e33371729704ec10e15fc7e61b0ca6e177"
    assert make_mac("bxb-secret-0001", "bxb-key-0001").hex() == expected
