"""A fresh proof of who is asking: password and second factor, or a passkey. It gives the session a new token."""

from dataclasses import dataclass
from typing import Any

from app.accounts import factor_repository, repository
from app.accounts.current_user import Principal
from app.accounts.factor_tries import PASSWORD, FactorRefused
from app.accounts.passkeys import Passkeys, confirmation_of
from app.db import release
from app.masking import Secret
from app.web.errors import SignInNeeded

_NOT_YOURS = "This is not your password."


@dataclass(frozen=True, slots=True)
class Proof:
    """What a person gave: a passkey's answer, or a password with the code that goes with it."""

    password: Secret
    code: str = ""
    passkey: str = ""


class StepUp(Passkeys):
    """Taking proofs from people who are signed in."""

    async def ask_to_confirm(self, principal: Principal) -> dict[str, Any]:
        """Return the options for confirming by one of one's own passkeys. Raises Problem."""
        return await self.ask_for_passkey(confirmation_of(principal), ip=principal.ip, user_id=principal.user_id)

    async def prove(self, principal: Principal, proof: Proof) -> Secret:
        """Take the proof and return the session's new token. Raises FactorRefused, with the try counted, or SignInNeeded."""
        if proof.passkey:
            ceremony = confirmation_of(principal)
            await self._demand_passkey(proof.passkey, ceremony, asker=principal, user_id=principal.user_id)
        else:
            await self._demand_password(principal, proof.password)
            await self._demand_second(principal, proof.code)
        self._record("user.confirmed", owner_id=principal.user_id, actor=principal)
        return await self._renew(principal, proved_at=self._clock())

    async def _demand_password(self, principal: Principal, password: Secret) -> None:
        """Judge the password between two looks at the tries: of many sent at once only the first few learn anything."""
        await self._admit_try(principal.user_id, PASSWORD, field="confirm_password")
        user = await repository.get_user(self._session, principal.user_id)
        if user is None:
            raise SignInNeeded
        stored = user.password_hash
        await release(self._session)
        verdict = await self._passwords.verify(password, stored)
        await self._admit_try(principal.user_id, PASSWORD, field="confirm_password")
        if not verdict.is_right:
            raise await self._refuse_try(principal.user_id, PASSWORD, asker=principal, field="confirm_password", words=_NOT_YOURS)

    async def _demand_second(self, principal: Principal, code: str) -> None:
        if not any(await factor_repository.has_factors(self._session, user_id=principal.user_id)):
            await self._forget_tries(principal.user_id, asker=principal)
            return
        if not code.strip():
            raise FactorRefused("confirm_code", "Your second factor is needed too.")
        await self._demand_code(principal.user_id, code, asker=principal, field="confirm_code")
