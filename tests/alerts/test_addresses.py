"""Which addresses a webhook may reach; every known way to mean "inside" is refused."""

import pytest

from app.accounts.entry import EntryRefused
from app.alerts.addresses import HostRule, check_url, is_public

INSIDE = [
    "127.0.0.1", "127.1.2.3", "10.0.0.1", "172.16.5.4", "192.168.1.1", "169.254.169.254",
    "100.64.0.1", "0.0.0.0", "192.0.0.8", "192.88.99.1", "198.18.0.1", "224.0.0.1",
    "240.0.0.1", "255.255.255.255", "203.0.113.5", "::1", "::", "fe80::1",
    "fe80::1%eth0", "fc00::1", "fd12::1", "fec0::1", "ff02::1", "::ffff:127.0.0.1",
    "::ffff:10.0.0.1", "::ffff:8.8.8.8", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1", "::7f00:1", "3fff::1", "nothing",
]  # fmt: skip
NOT_URLS = [
    "", "example.org", "ftp://example.org/", "file:///etc/passwd", "https://", "https:///x", "https://exa mple.org/", "https://example.org:x/",
    "https://example.org/\\", "https://user@example.org/", "https://user:x@example.org/", "https://example.org/#x", "https://exämple.org/",
    "https://example.org/\n", "https://[::1/", "gopher://example.org",
]  # fmt: skip
REFUSED = [
    "http://example.org/hook", "https://example.org:22/", "https://example.org:80/", "https://localhost/", "https://127.0.0.1/",
    "https://[::1]/", "https://10.1.2.3/", "https://169.254.169.254/latest/meta-data", "https://[::ffff:127.0.0.1]/", "https://intranet/",
    "https://printer.local/", "https://db.internal/", "https://2130706433/", "https://app.localhost/",
]  # fmt: skip


@pytest.mark.parametrize("text", INSIDE)
def test_inside(text: str) -> None:
    assert not is_public(text)


@pytest.mark.parametrize("text", ["8.8.8.8", "1.1.1.1", "93.184.215.14", "2606:4700::1111", "2a00:1450:4001:81b::200e"])
def test_outside(text: str) -> None:
    assert is_public(text)


@pytest.mark.parametrize("text", [*NOT_URLS, *REFUSED, "https://example.org/" + "x" * 2000])
def test_what_is_not_called(text: str) -> None:
    with pytest.raises(EntryRefused) as refused:
        check_url(text, rule=HostRule())
    assert refused.value.field == "url"
    assert check_url("https://example.org/hook?token=1", rule=HostRule()) == "example.org"


def test_hosts_the_operator_vouches_for_and_this_machine_in_development() -> None:
    rule = HostRule(frozenset({"intranet"}))
    assert check_url("http://intranet:8080/x", rule=rule) == "intranet"
    assert check_url("http://INTRANET/x", rule=rule) == "intranet"
    with pytest.raises(EntryRefused):
        check_url("http://127.0.0.1:9/", rule=rule)
    assert check_url("http://127.0.0.1:9/", rule=HostRule(allows_loopback=True)) == "127.0.0.1"
    with pytest.raises(EntryRefused):
        check_url("http://10.0.0.1/", rule=HostRule(allows_loopback=True))
