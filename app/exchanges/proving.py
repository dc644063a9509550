"""Proves Read by a call, without losing what the exchange has told of the other rights when that call fails."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from app.exchanges.errors import ExchangeError, PermissionMissing
from app.exchanges.types import Answer, Grant, Permission

Answered = TypeVar("Answered")


async def prove_read(
    ask: Callable[[], Awaitable[Answered]], *, told: Mapping[Permission, Grant]
) -> tuple[bool | None, Answered | None]:
    """Return whether a reading call passes (None where it told nothing), and what it answered.

    Raises what the call ends with, unless what was told must be reported all the same.
    """
    try:
        return True, await ask()
    except ExchangeError as error:
        if not must_be_told(told, although=error):
            raise
        return (False if isinstance(error, PermissionMissing) else None), None


def must_be_told(told: Mapping[Permission, Grant], *, although: ExchangeError) -> bool:
    """Return whether the rights an exchange told are to be reported although reading then failed.

    A key that can move funds out must not pass for one that met bad weather or lost another right; one that may transfer
    but not read is no working key, so that is reported only of a refusal.
    """
    able = {right for right, grant in told.items() if grant.answer is Answer.YES}
    return Permission.WITHDRAW in able or (Permission.TRANSFER in able and isinstance(although, PermissionMissing))
