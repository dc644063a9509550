"""Browsers in words."""

import pytest

from app.accounts.devices import describe_device


@pytest.mark.parametrize(
    ("user_agent", "name", "is_mobile"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux", False),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows", False),
        ("Mozilla/5.0 (Linux; Android 16) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36", "Chrome on Android", True),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1", "Safari on iOS", True),
        ("curl/8.0", "Unknown browser", False),
        ("", "Unknown browser", False),
    ],
)
def test_a_device_in_words(user_agent: str, name: str, is_mobile: bool) -> None:
    device = describe_device(user_agent)
    assert (device.name, device.is_mobile) == (name, is_mobile)
