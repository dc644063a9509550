"""A person's passkeys: asking a browser for one, and taking its answer. Every challenge is remembered here and good once."""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy.exc import IntegrityError

from app.accounts import factor_repository
from app.accounts.current_user import Principal
from app.accounts.entry import Visit, demand_name
from app.accounts.factor_models import Passkey, PasskeyChallenge
from app.accounts.factor_tries import FactorRefused
from app.accounts.factors import FactorChange, Factors
from app.accounts.limits import group_address
from app.accounts.models import User
from app.accounts.passkey_ceremonies import (
    PasskeyAnswer,
    RelyingParty,
    UnusablePasskey,
    ask_to_create,
    ask_to_use,
    find_relying_party,
    read_answer,
    verify_creation,
    verify_use,
)
from app.accounts.tokens import hash_challenge
from app.accounts.work import is_like_an_id
from app.identifiers import create_id
from app.web.errors import NotFound, Problem

CHALLENGE_LASTS = timedelta(minutes=5)
MOST_PASSKEYS = 20
_MOST_UNANSWERED = 100  # challenges of one purpose per address: more is nobody's hand
_REFUSED = "This passkey was not accepted. Try again, or use another way."
_NOBODY = ""


@dataclass(frozen=True, slots=True)
class Ceremony:
    """What a challenge is for, and whom it was handed to: a session, a half-open sign-in, or nobody known yet."""

    purpose: str
    bearer_id: str = _NOBODY


SIGN_IN = Ceremony("sign_in")


def second_factor_of(pending_id: str) -> Ceremony:
    return Ceremony("second_factor", pending_id)


def confirmation_of(principal: Principal) -> Ceremony:
    return Ceremony("confirm", principal.session_id or _NOBODY)


def creation_by(principal: Principal) -> Ceremony:
    return Ceremony("create", principal.session_id or _NOBODY)


class PasskeysUnavailable(Problem):
    """Browsers bind passkeys to a name under https; this installation is opened by something else."""

    def __init__(self) -> None:
        super().__init__(
            "passkeys_unavailable",
            status=409,
            title="Passkeys do not work at this address",
            detail="Browsers bind a passkey to a name with https, or to localhost.",
            who_acts="operator",
            next_step="Set KEYDECK_PUBLIC_URL to a name under https. Until then an authenticator app does the same service.",
        )


class Passkeys(Factors):
    """Making, using, renaming and removing passkeys."""

    async def ask_for_passkey(self, ceremony: Ceremony, *, ip: str, user_id: str | None = None) -> dict[str, Any]:
        """Return the options for using a passkey: any of ours, or one of this person's. Raises Problem."""
        party = self._find_party()
        known = await factor_repository.list_passkeys(self._session, user_id=user_id) if user_id else ()
        challenge = await self._hand_out(ceremony, ip=ip)
        return ask_to_use(party, challenge=challenge, known=[row.credential_id for row in known])

    async def ask_for_new_passkey(self, principal: Principal) -> dict[str, Any]:
        """Return the options for making a passkey. Raises Problem."""
        party = self._find_party()
        known = await factor_repository.list_passkeys(self._session, user_id=principal.user_id)
        if len(known) >= MOST_PASSKEYS:
            raise FactorRefused("passkey", f"You have {MOST_PASSKEYS} passkeys. Remove one first.")
        challenge = await self._hand_out(creation_by(principal), ip=principal.ip)
        rows = [(row.credential_id, row.transports) for row in known]
        return ask_to_create(party, challenge=challenge, user_id=principal.user_id, email=principal.email, known=rows)

    async def add_passkey(self, principal: Principal, *, name: str, answer: str) -> FactorChange:
        """Store the passkey that was just made. Raises EntryRefused; the challenge is used up in any case."""
        party, label = self._find_party(), demand_name(name)
        await factor_repository.lock_person(self._session, principal.user_id)
        try:
            read = read_answer(answer)
            await self._use_up(read, creation_by(principal))
            made = verify_creation(party, read)
        except UnusablePasskey:
            raise FactorRefused("passkey", "The passkey could not be made. Try again.") from None
        row = Passkey(
            id=create_id("pky"),
            user_id=principal.user_id,
            name=label,
            credential_id=made.credential_id,
            public_key=made.public_key,
            sign_count=made.sign_count,
            is_synced=made.is_synced,
            transports=made.transports,
            created_at=self._clock(),
            last_used_at=None,
        )
        self._session.add(row)
        try:
            await self._session.flush()
        except IntegrityError:
            await self._session.rollback()
            raise FactorRefused("passkey", "This passkey is in use already.") from None
        return await self._conclude(principal, "factor.passkey_added", name=label)

    async def rename_passkey(self, principal: Principal, passkey_id: str, *, name: str) -> None:
        """Give one of one's own passkeys another name. Raises NotFound or EntryRefused."""
        label = demand_name(name)
        if not is_like_an_id(passkey_id) or not await factor_repository.rename_passkey(
            self._session, passkey_id, user_id=principal.user_id, name=label
        ):
            raise NotFound("passkey")
        self._record("factor.passkey_renamed", owner_id=principal.user_id, actor=principal, detail={"name": label})

    async def remove_passkey(self, principal: Principal, passkey_id: str) -> FactorChange:
        """Forget one of one's own passkeys. Raises NotFound, or LastFactor when the person's role needs one."""
        await factor_repository.lock_person(self._session, principal.user_id)
        known = await factor_repository.list_passkeys(self._session, user_id=principal.user_id)
        if passkey_id not in [row.id for row in known]:
            raise NotFound("passkey")
        has_app, _ = await factor_repository.has_factors(self._session, user_id=principal.user_id)
        self._demand_other_factor(principal, has_other=has_app or len(known) > 1)
        name = await factor_repository.delete_passkey(self._session, passkey_id, user_id=principal.user_id)
        return await self._conclude(principal, "factor.passkey_removed", name=name or "")

    async def _demand_passkey(
        self, answer: str, ceremony: Ceremony, *, asker: Principal | Visit, user_id: str | None = None
    ) -> User:
        """Return whose passkey answered: anybody's of ours, or `user_id`'s. Raises FactorRefused; the challenge is used up."""
        party = self._find_party()
        owner: User | None = None
        try:
            read = read_answer(answer)
            await self._use_up(read, ceremony)
            passkey, owner = await self._find_passkey(read, user_id=user_id)
            await factor_repository.lock_person(self._session, owner.id)
            count = verify_use(party, read, public_key=passkey.public_key, sign_count=passkey.sign_count)
            if not await factor_repository.use_passkey(self._session, passkey, sign_count=count, now=self._clock()):
                raise UnusablePasskey
        except UnusablePasskey:
            if owner is not None:
                self._note("user.passkey_refused", user_id=owner.id, asker=asker)
            raise FactorRefused("passkey", _REFUSED) from None
        await self._forget_tries(owner.id, asker=asker)
        return owner

    async def _find_passkey(self, read: PasskeyAnswer, *, user_id: str | None) -> tuple[Passkey, User]:
        found = await factor_repository.get_passkey_with_person(self._session, read.credential_id)
        if found is None or (user_id is not None and found[1].id != user_id):
            raise UnusablePasskey
        if (read.user_id is not None or user_id is None) and read.user_id != found[1].id:
            raise UnusablePasskey
        return found

    def _find_party(self) -> RelyingParty:
        party = find_relying_party(self._settings.public_url)
        if party is None:
            raise PasskeysUnavailable
        return party

    async def _hand_out(self, ceremony: Ceremony, *, ip: str) -> bytes:
        """Return a fresh challenge for this ceremony. Raises Problem when an address holds far too many."""
        now, challenge, place = self._clock(), secrets.token_bytes(32), group_address(ip)
        await factor_repository.delete_old_challenges(self._session, now=now)
        if (
            await factor_repository.count_challenges(self._session, ip=place, purpose=ceremony.purpose, now=now)
            >= _MOST_UNANSWERED
        ):
            raise Problem(
                "rate_limited",
                status=429,
                title="Too many passkeys were asked for and not used",
                next_step="Wait five minutes, then try again.",
                extra={"retry_after_seconds": int(CHALLENGE_LASTS.total_seconds())},
            )
        self._session.add(
            PasskeyChallenge(
                id=create_id("chl"),
                challenge_hash=hash_challenge(challenge),
                purpose=ceremony.purpose,
                bearer_id=ceremony.bearer_id,
                ip=place,
                expires_at=now + CHALLENGE_LASTS,
            )
        )
        return challenge

    async def _use_up(self, read: PasskeyAnswer, ceremony: Ceremony) -> None:
        """Use the challenge up. Raises UnusablePasskey when it is not one of ours, not for this, too old or used before."""
        is_ours = await factor_repository.use_challenge(
            self._session,
            hash_challenge(read.challenge),
            purpose=ceremony.purpose,
            bearer_id=ceremony.bearer_id,
            now=self._clock(),
        )
        if not is_ours:
            raise UnusablePasskey
