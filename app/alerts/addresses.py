"""Which addresses a webhook may reach: public ones by https, so that no one uses this server to look into its own network.

Judged twice: by the URL when it is entered, and by the address when the socket is made. The second time counts: a name may
point elsewhere by then.
"""

from dataclasses import dataclass
from ipaddress import IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from app.accounts.entry import EntryRefused
from app.settings import is_loopback

LONGEST_URL = 2000
_HTTPS_PORT = 443
_FIRST_FREE_PORT = 1024
_PUBLIC_V6 = IPv6Network("2000::/3")
_NEVER = tuple(
    ip_network(text) for text in ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)


@dataclass(frozen=True, slots=True)
class HostRule:
    """`allowed`: hosts the operator vouches for, on any address, by http too. `allows_loopback`: for development only."""

    allowed: frozenset[str] = frozenset()
    allows_loopback: bool = False

    def vouches_for(self, host: str) -> bool:
        """Tell whether this host may be anywhere, and need not be asked by https."""
        return host.lower() in self.allowed or (self.allows_loopback and is_loopback(host))


def is_public(text: str) -> bool:
    """Tell whether an address is out on the internet: no loopback, private, link-local, shared or tunnelled one."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if address.is_multicast or address.is_reserved or not address.is_global:
        return False
    if address.version == 6 and address not in _PUBLIC_V6:
        return False
    return not any(network.version == address.version and address in network for network in _NEVER)


def check_url(text: str, *, rule: HostRule) -> str:
    """Return the host of a webhook's URL, for showing. Raises EntryRefused for one that must not be called."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise EntryRefused("url", "This is not an address. It should be like https://example.org/hook.") from None
    is_plain = len(text) <= LONGEST_URL and text.isprintable() and " " not in text and "\\" not in text
    if parts.scheme not in ("http", "https") or not host or not is_plain or not text.isascii():
        raise EntryRefused("url", "This is not an address. It should be like https://example.org/hook.")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise EntryRefused("url", "Leave out user name, password and #: put a secret part into the path instead.")
    if rule.vouches_for(host):
        return host
    if parts.scheme != "https":
        raise EntryRefused("url", "It must start with https://.")
    if port is not None and port != _HTTPS_PORT and port < _FIRST_FREE_PORT:
        raise EntryRefused("url", "Only port 443 and ports from 1024 on are called.")
    if is_loopback(host) or "." not in host or host.endswith((".local", ".internal", ".localhost")) or _is_inside(host):
        raise EntryRefused("url", "This address is inside a network. Keydeck calls public addresses only; ask your operator.")
    return host


def _is_inside(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return not is_public(host)
