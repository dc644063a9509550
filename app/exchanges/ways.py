"""Ways out: the addresses of this machine and the proxies that calls to exchanges leave by, and what exchanges see of them.

An entry of the list is an address that exchanges see, alone or with how it is reached: `203.0.113.11=10.0.0.11` binds
calls to a local address, `203.0.113.12=http://user:password@proxy:3128` sends them through a proxy. Entries that are an
address alone belong to the direct way: nothing is bound, the operating system chooses.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit

from app.masking import Secret

DIRECT = "direct"
"""The name of the direct way. Every other way is named by the first address that exchanges see of it."""

_NAME_CAP = 64


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy that carries https by CONNECT. `url` never holds the credentials."""

    url: str
    user: Secret | None = field(default=None, repr=False)
    password: Secret | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class WayOut:
    """One way out. `addresses` is what exchanges see, empty where the operator did not say."""

    name: str = DIRECT
    addresses: tuple[str, ...] = ()
    local_address: str | None = None
    proxy: Proxy | None = None

    @property
    def words(self) -> str:
        """How operators recognise it, without any credentials."""
        if self.proxy is not None:
            return f"through {self.proxy.url}"
        return f"from {self.local_address}" if self.local_address else "direct"


def parse_ways(entries: Iterable[Secret]) -> tuple[WayOut, ...]:
    """Return the ways out, the direct one first. Raises ValueError, whose text names no entry: it may hold a password."""
    direct: list[str] = []
    others: list[WayOut] = []
    for entry in entries:
        seen, mark, way = entry.reveal().partition("=")
        addresses = tuple(part.strip() for part in seen.split("+"))
        if not all(addresses) or any(len(address) > _NAME_CAP for address in addresses):
            raise ValueError("an entry must be an address that exchanges see, or address=way")
        if not mark:
            direct += addresses
            continue
        _parse_addresses(addresses)
        others.append(_parse_way(addresses, way.strip()))
    if len({way.name for way in others}) < len(others):
        raise ValueError("two entries name the same address")
    return ((WayOut(DIRECT, tuple(direct)),) if direct or not others else ()) + tuple(others)


def find_way(ways: Sequence[WayOut], name: str | None) -> WayOut | None:
    """Return the way of that name; None where there is none any more."""
    return next((way for way in ways if way.name == name), None)


def list_addresses(ways: Iterable[WayOut]) -> tuple[str, ...]:
    """Return every address that exchanges may see."""
    return tuple(address for way in ways for address in way.addresses)


def _parse_addresses(addresses: Sequence[str]) -> None:
    for address in addresses:
        try:
            ip_address(address)
        except ValueError:
            raise ValueError("what stands before the = of an entry must be an IP address") from None


def _parse_way(addresses: tuple[str, ...], way: str) -> WayOut:
    if "://" not in way:
        try:
            return WayOut(addresses[0], addresses, local_address=str(ip_address(way)))
        except ValueError:
            raise ValueError("what stands after the = of an entry must be a local IP address or http://proxy:port") from None
    try:
        parts = urlsplit(way)
        port = parts.port
    except ValueError:
        raise ValueError("a proxy must be like http://user:password@proxy:3128") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port is None or parts.path not in ("", "/") or parts.query:
        raise ValueError("a proxy must be like http://user:password@proxy:3128 (SOCKS is not supported)")
    if ":" in unquote(parts.username or ""):
        raise ValueError("a proxy's user name must be without a colon")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    user = None if parts.username is None else Secret(unquote(parts.username))
    password = None if parts.username is None else Secret(unquote(parts.password or ""))
    return WayOut(addresses[0], addresses, proxy=Proxy(f"{parts.scheme}://{host}:{port}", user, password))
