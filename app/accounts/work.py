"""What every part of the accounts service works with: one unit of work, the clock, and the audit trail."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import factor_repository, repository
from app.accounts.current_user import Principal
from app.accounts.entry import EntryRefused, Visit
from app.accounts.models import User
from app.accounts.passwords import Passwords
from app.accounts.roles import Role
from app.accounts.tokens import create_token, hash_token
from app.audit import record_event
from app.clock import Clock
from app.identifiers import create_id
from app.masking import Secret
from app.settings import Settings
from app.vault.envelope import Vault
from app.vault.values import SealedValues
from app.web.errors import SignInNeeded

TAKEN = "There is an account with this e-mail already."


def is_like_an_id(text: str) -> bool:
    """Tell whether the text can be an id at all; one with other characters is not even looked up."""
    return text.isascii() and text.replace("_", "").isalnum()


class AccountWork:
    """One unit of work on accounts. The caller owns the transaction; nothing is written before everything is judged."""

    def __init__(
        self, session: AsyncSession, *, clock: Clock, passwords: Passwords, settings: Settings, vault: Vault | None = None
    ) -> None:
        self._session = session
        self._clock = clock
        self._passwords = passwords
        self._settings = settings
        self._vault = vault

    @property
    def _values(self) -> SealedValues:
        """Sealed values on this unit of work. The command line, which sets no factors up, works without them."""
        if self._vault is None:
            raise RuntimeError("second factors need the vault")
        return SealedValues(self._session, vault=self._vault, clock=self._clock)

    def _record(
        self,
        action: str,
        *,
        owner_id: str | None,
        actor: Principal | None = None,
        visit: Visit | None = None,
        by_owner: bool = True,
        object_id: str | None = None,
        detail: Mapping[str, str] | None = None,
    ) -> None:
        """Record an event: done by a signed-in person, by whoever opens a way in (`visit`), or by the server itself.

        `by_owner` is false while nothing proves that the one at the door is the account's owner.
        """
        own = owner_id if visit and by_owner else None
        address = actor.ip if actor else (visit.ip if visit else None)
        record_event(
            self._session,
            action,
            at=self._clock(),
            actor_id=actor.user_id if actor else own,
            owner_id=owner_id,
            object_id=object_id,
            actor_ip=address,
            detail=detail,
        )

    async def _insert_user(self, email: str, *, password_hash: str, roles: frozenset[Role], now: datetime) -> User:
        """Write a new person. Raises EntryRefused, with everything undone, when the address is taken."""
        words = [role.value for role in Role if role in roles]
        user = User(id=create_id("usr"), email=email, password_hash=password_hash, roles=words, created_at=now, disabled_at=None)
        self._session.add(user)
        try:
            await self._session.flush()
        except IntegrityError:
            await self._session.rollback()
            raise EntryRefused("email", TAKEN) from None
        return user

    async def _end_others(self, principal: Principal) -> int:
        """End all sessions of the one who asks but the asking one, and sign-ins that are half open; returns how many."""
        return await repository.revoke_sessions(
            self._session, user_id=principal.user_id, now=self._clock(), keep_id=principal.session_id
        )

    async def _renew(self, principal: Principal, *, proved_at: datetime | None = None) -> Secret:
        """Give the asking session a new token; the old one opens nothing from now on. Raises SignInNeeded when it has ended."""
        token = create_token()
        is_open = principal.session_id is not None and await factor_repository.renew_session(
            self._session,
            principal.session_id,
            user_id=principal.user_id,
            token_hash=hash_token(token),
            proved_at=proved_at or principal.proved_at,
        )
        if not is_open:
            raise SignInNeeded
        return token
