"""What is worth mending on a key that works: rights it does not need, and an address that changed. Pure."""

from collections.abc import Mapping

from app.credentials.views import Notice
from app.exchanges.types import AccessPlan, Answer, Exchange, Grant, Permission

_EXCESS: Mapping[Permission, tuple[str, str, str]] = {
    Permission.TRADE: (
        "excess_trade",
        "This key may trade, and balances only need no trading.",
        "At {exchange}, edit the key, untick {box} and save. Or use the key for balances and trading.",
    ),
    Permission.TRANSFER: (
        "excess_transfer",
        "This key may move funds between your accounts, which nothing here needs.",
        "At {exchange}, edit the key, untick {box} and save.",
    ),
}


def list_notices(
    exchange: Exchange,
    plan: AccessPlan,
    grants: Mapping[Permission, Grant],
    *,
    egress: tuple[str, ...] = (),
    former: str = "",
    link: str = "",
) -> tuple[Notice, ...]:
    """Return what the owner should mend; `former` is the address that calls came from before, empty where none changed."""
    notices = [
        _write_excess(exchange, permission, box, link=link)
        for permission in _EXCESS
        if grants.get(permission, Grant()).answer is Answer.YES and (box := _find_needless(exchange, permission, plan))
    ]
    if former:
        notices.append(_write_moved(exchange, egress=egress, former=former, link=link))
    return tuple(notices)


def _find_needless(exchange: Exchange, permission: Permission, plan: AccessPlan) -> str | None:
    """Return the box that gives the right and should be off for the plan; None where there is none, or it must be on."""
    boxes = [box for box in exchange.boxes if box.permission is permission and not box.always]
    if not boxes or any(plan in box.on_for for box in boxes) or permission in exchange.needs.get(plan, frozenset()):
        return None
    return boxes[0].label


def _write_excess(exchange: Exchange, permission: Permission, box: str, *, link: str) -> Notice:
    code, cause, remedy = _EXCESS[permission]
    return Notice(code, cause, remedy.format(exchange=exchange.name, box=box), box=box, link=link or None)


def _write_moved(exchange: Exchange, *, egress: tuple[str, ...], former: str, link: str) -> Notice:
    known = " and ".join(egress) or "another address (your operator knows it)"
    cause = f"This server now calls {exchange.name} from {known} instead of {former}."
    remedy = f"If the key is bound to addresses, add the new one at {exchange.name} and take {former} off."
    return Notice("address_changed", cause, remedy, copy=egress, link=link or None)
