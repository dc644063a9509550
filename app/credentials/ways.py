"""Which way out a credential's calls leave by: chosen evenly when a key is connected, kept, chosen anew when it is gone. Pure."""

from collections.abc import Mapping, Sequence

from app.exchanges.ways import WayOut, find_way, list_addresses


def choose_way(ways: Sequence[WayOut], *, used: Mapping[str, int], wanted: str = "") -> WayOut:
    """Return the way that was asked for (the guide showed it), or the one with the fewest keys; the first of equals."""
    return find_way(ways, wanted) or min(ways, key=lambda way: used.get(way.name, 0))


def list_allowed(ways: Sequence[WayOut], name: str | None) -> tuple[str, ...]:
    """Return the addresses to allow for a key on this way; all of them while it is not decided or the way is gone."""
    way = find_way(ways, name)
    return list_addresses(ways) if way is None else way.addresses


def find_name(ways: Sequence[WayOut], address: str) -> str:
    """Return the name of the way that exchanges see as this address; empty where there is none."""
    return next((way.name for way in ways if address in way.addresses), "")


def find_first_address(ways: Sequence[WayOut], name: str | None) -> str:
    """Return how a way is called in sentences: by the first address that exchanges see of it, else by its name."""
    way = find_way(ways, name)
    return way.addresses[0] if way is not None and way.addresses else name or ""
