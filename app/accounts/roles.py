"""The words of access: what a person is (roles) and what an API token may do (scopes)."""

from collections.abc import Iterable
from enum import StrEnum


class Role(StrEnum):
    """What a person is. A person may be several at once."""

    TRADER = "trader"
    SUPPORT = "support"
    OPERATOR = "operator"


class Scope(StrEnum):
    """What an API token may do, within the roles of its owner."""

    STATUS_READ = "status:read"
    BALANCES_READ = "balances:read"
    CREDENTIALS_MANAGE = "credentials:manage"
    SUPPORT_READ = "support:read"


STAFF = frozenset({Role.SUPPORT, Role.OPERATOR})
ROLE_WORDS = {
    Role.TRADER: ("Trader", "Links keys and sees their balances."),
    Role.SUPPORT: ("Support", "Sees the status of any trader's keys, never a secret or a balance."),
    Role.OPERATOR: ("Operator", "Runs this server: invites people, sets roles, sees its health."),
}
SCOPE_WORDS = {
    Scope.STATUS_READ: ("Read status", "Your keys, what they may do and their checks."),
    Scope.BALANCES_READ: ("Read balances", "What your keys hold."),
    Scope.CREDENTIALS_MANAGE: ("Manage keys", "Connect, re-check, replace, pause and disconnect."),
    Scope.SUPPORT_READ: ("Support", "Look up the status of any trader's keys."),
}
_SCOPE_ROLES = {
    Scope.STATUS_READ: frozenset({Role.TRADER}),
    Scope.BALANCES_READ: frozenset({Role.TRADER}),
    Scope.CREDENTIALS_MANAGE: frozenset({Role.TRADER}),
    Scope.SUPPORT_READ: STAFF,
}


def roles_for_scope(scope: Scope) -> frozenset[Role]:
    """Return the roles of which a token's owner must hold at least one."""
    return _SCOPE_ROLES[scope]


def list_scopes_for(roles: Iterable[Role]) -> tuple[Scope, ...]:
    """Return the scopes that mean something for a person with these roles."""
    held = frozenset(roles)
    return tuple(scope for scope in Scope if _SCOPE_ROLES[scope] & held)


def parse_roles(words: Iterable[str]) -> frozenset[Role]:
    """Read stored words; one that a newer version wrote is left out, so it grants nothing."""
    given = frozenset(words)
    return frozenset(role for role in Role if role.value in given)


def parse_scopes(words: Iterable[str]) -> frozenset[Scope]:
    """Read stored words; one that a newer version wrote is left out, so it grants nothing."""
    given = frozenset(words)
    return frozenset(scope for scope in Scope if scope.value in given)


def find_landing(roles: Iterable[Role]) -> str:
    """Return the page a person starts on."""
    held = frozenset(roles)
    if Role.TRADER in held:
        return "/credentials"
    return "/support" if Role.SUPPORT in held else "/operations"
