"""Where a person is known: browsers and networks they signed in from before. Strangers cannot use up what is counted there."""

import hashlib
from datetime import timedelta

from app.accounts import familiar_repository
from app.accounts.entry import Visit
from app.accounts.limits import group_address
from app.accounts.work import AccountWork

FAMILIAR_FOR = timedelta(days=90)
BROWSER, NETWORK = "device", "address"
_NOBODY = "nobody"


class Places(AccountWork):
    """Tells the places of a person from anybody else's."""

    async def _list_known(self, visit: Visit, *, user_id: str | None) -> list[str]:
        """Return by what this visit is known to be from where the person signed in before: BROWSER, NETWORK, both or nothing."""
        marks = {BROWSER: visit.device_mark, NETWORK: mark_address(user_id or _NOBODY, visit.ip)}
        known = await familiar_repository.list_familiar(
            self._session, list(marks.values()), user_id=user_id or _NOBODY, since=self._clock() - FAMILIAR_FOR
        )
        return [kind for kind, mark in marks.items() if mark in known]


def mark_address(user_id: str, ip: str) -> str:
    """Return the hash under which a person's network is remembered: nobody reads addresses out of it."""
    return hashlib.sha256(f"address\0{user_id}\0{group_address(ip)}".encode()).hexdigest()
