"""The sidebar: which links a person sees by role, and which one is current. Support sees no trading pages."""

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Link:
    """One link of the sidebar. A page may show a number beside it: `nav_counts={name: number}`."""

    name: str
    text: str
    href: str
    icon: str
    current: bool = False
    counted: str = "need attention"
    tone: str = "warn"


@dataclass(frozen=True, slots=True)
class Group:
    """Links under one heading; the traders' group needs none."""

    name: str
    label: str
    links: tuple[Link, ...]


_TRADER = (
    ("balances", "Balances", "/balances", "portfolio"),
    ("credentials", "Credentials", "/credentials", "key"),
    ("alerts", "Alerts", "/alerts", "bell"),
    ("activity", "Activity", "/activity", "activity"),
    ("security", "Security", "/security", "shield"),
)
_SUPPORT = (("support", "Customer credentials", "/support", "life"),)
_OPERATOR = (("operations", "Operations", "/operations", "server"), ("people", "People", "/people", "user"), *_SUPPORT)
_COUNTED = {"alerts": "unread"}
_REFERENCE = (("exchanges", "What exchanges are asked", "/exchanges", "book"),)
_SANDBOX = (("sandbox", "Sandbox", "/sandbox", "flask"),)
_OWN = (("activity", "Activity", "/activity", "activity"), ("security", "Security", "/security", "shield"))


def list_groups(roles: Collection[str], *, path: str, has_sandbox: bool = False) -> list[Group]:
    """Return the groups of links a person with these roles sees, with the link to the given path marked current.

    `has_sandbox` tells whether this server has the sandbox's pages; the last group is everybody's.
    """
    chosen: list[tuple[str, str, tuple[tuple[str, str, str, str], ...]]] = []
    if "trader" in roles:
        chosen.append(("trader", "", _TRADER))
    if "support" in roles and "operator" not in roles:
        chosen.append(("support", "Support", _SUPPORT))
    if "operator" in roles:
        chosen.append(("operator", "Operator", _OPERATOR))
    if chosen and "trader" not in roles:
        chosen.append(("own", "Your account", _OWN))
    if chosen:
        chosen.append(("reference", "Reference", (*_REFERENCE, *(_SANDBOX if has_sandbox else ()))))
    return [Group(name, label, tuple(_make_link(link, path) for link in links)) for name, label, links in chosen]


def _make_link(link: tuple[str, str, str, str], path: str) -> Link:
    return Link(*link, current=_is_current(link[2], path), counted=_COUNTED.get(link[0], "need attention"))


def _is_current(href: str, path: str) -> bool:
    return path == href or path.startswith(href + "/")
