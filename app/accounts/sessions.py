"""A person's own browser sessions and password."""

from dataclasses import dataclass
from datetime import datetime

from app.accounts import repository, reset_repository
from app.accounts.current_user import Principal
from app.accounts.devices import describe_device
from app.accounts.entry import EntryRefused, demand_password
from app.accounts.factor_tries import PASSWORD, FactorTries
from app.accounts.gate import Gate
from app.accounts.work import is_like_an_id
from app.db import release
from app.masking import Secret
from app.web.errors import NotFound, SignInNeeded


@dataclass(frozen=True, slots=True)
class SessionView:
    """A signed-in browser as its owner sees it; `is_mobile` picks the picture, `is_current` marks the one asking."""

    id: str
    device: str
    is_mobile: bool
    ip: str
    created_at: datetime
    last_seen_at: datetime
    is_current: bool


class Sessions(FactorTries, Gate):
    """Ending sessions and changing the password."""

    async def sign_out(self, principal: Principal) -> None:
        """End the session that asks."""
        if principal.session_id and await self._end(principal, principal.session_id):
            self._record("user.signed_out", owner_id=principal.user_id, actor=principal, object_id=principal.session_id)

    async def list_sessions(self, principal: Principal) -> list[SessionView]:
        """Return the sessions that are open now, the one asking first."""
        rows = await repository.list_sessions(self._session, user_id=principal.user_id, now=self._clock())
        views = []
        for row in rows:
            device = describe_device(row.user_agent)
            is_current = row.id == principal.session_id
            views.append(SessionView(row.id, device.name, device.is_mobile, row.ip, row.created_at, row.last_seen_at, is_current))
        return sorted(views, key=lambda view: not view.is_current)

    async def end_session(self, principal: Principal, session_id: str) -> None:
        """End one of one's own sessions. Raises NotFound."""
        if not is_like_an_id(session_id) or not await self._end(principal, session_id):
            raise NotFound("session")
        self._record("session.revoked", owner_id=principal.user_id, actor=principal, object_id=session_id)

    async def end_other_sessions(self, principal: Principal) -> int:
        """End all of one's own sessions but the one asking; returns how many."""
        ended = await self._end_others(principal)
        if ended:
            self._record("session.others_revoked", owner_id=principal.user_id, actor=principal, detail={"sessions": str(ended)})
        return ended

    async def change_password(self, principal: Principal, *, current: Secret, new: Secret) -> Secret:
        """Change the password, end all other sessions and return the asking one's new token.

        Raises EntryRefused; a wrong current password is counted with those of fresh proofs and on record then. Both passwords
        are hashed whatever is wrong, and between two looks at the tries: of many sent at once only the first few learn anything.
        """
        demand_password(new, email=principal.email, field="new_password")
        user_id = principal.user_id
        await self._admit_try(user_id, PASSWORD, field="current_password")
        user = await repository.get_user(self._session, user_id)
        if user is None:
            raise SignInNeeded
        old_hash = user.password_hash
        await release(self._session)
        verdict, new_hash = await self._passwords.verify(current, old_hash), await self._passwords.hash(new)
        await self._admit_try(user_id, PASSWORD, field="current_password")
        if not verdict.is_right:
            words, action = "This is not your current password.", "user.password_change_failed"
            raise await self._refuse_try(user_id, PASSWORD, asker=principal, field="current_password", words=words, action=action)
        if not await repository.change_hash(self._session, principal.user_id, old=old_hash, new=new_hash):
            raise EntryRefused("current_password", "The password was changed elsewhere meanwhile.")
        await self._end_others(principal)
        await reset_repository.end_links(self._session, user_id=principal.user_id, now=self._clock())
        await self._forget_all_tries(user_id)
        await self._begin_anew(principal.email)
        self._record("user.password_changed", owner_id=principal.user_id, actor=principal)
        return await self._renew(principal)

    async def _end(self, principal: Principal, session_id: str) -> bool:
        return await repository.revoke_session(self._session, session_id, user_id=principal.user_id, now=self._clock())
