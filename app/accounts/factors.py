"""A person's second factors: authenticator app and recovery codes, and what any change of factors does to sessions."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from app.accounts import factor_repository, repository
from app.accounts.current_user import Principal
from app.accounts.entry import Visit
from app.accounts.factor_codes import (
    SEED_FIELD,
    TotpSetUp,
    create_recovery_codes,
    create_seed,
    draw_set_up,
    find_step,
    parse_recovery,
    parse_totp,
    write_recovery_codes,
)
from app.accounts.factor_models import Passkey, RecoveryCode, TotpFactor
from app.accounts.factor_tries import FactorRefused, FactorTries
from app.accounts.roles import STAFF
from app.accounts.tokens import hash_token
from app.accounts.work import AccountWork
from app.identifiers import create_id
from app.masking import Secret
from app.vault.errors import VaultError
from app.web.errors import NotFound, Problem

PURPOSE = "totp"
SET_UP_LASTS = timedelta(hours=1)
_NO_CODE = "Enter the six digits the app shows now, or one of your recovery codes."
_WRONG_CODE = "That code is not right. Enter the one the app shows now."
_USED_CODE = "That code was already used. Enter the one the app shows now."
_WRONG_RECOVERY = "That is not one of your unused recovery codes."


@dataclass(frozen=True, slots=True)
class PasskeyView:
    """A passkey as its owner sees it."""

    id: str
    name: str
    is_synced: bool
    created_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class FactorsView:
    """The factors of one person. `recovery_codes_left` counts unused ones."""

    totp_since: datetime | None
    recovery_codes_left: int
    passkeys: tuple[PasskeyView, ...]


@dataclass(frozen=True, slots=True)
class FactorChange:
    """What a change gives back: the session's new token, and recovery codes to show once where new ones were made."""

    token: Secret
    recovery_codes: tuple[str, ...] = ()


class LastFactor(Problem):
    """Removing this would leave somebody with a role that needs a second factor without one."""

    def __init__(self) -> None:
        super().__init__(
            "conflict",
            status=409,
            title="Your role needs a second factor",
            detail="This is the only one you have set up.",
            next_step="Set up another one first, then remove this one.",
        )


class FactorLocked(Problem):
    """The seed of an authenticator app cannot be opened with this server's key ring."""

    def __init__(self) -> None:
        super().__init__(
            "locked",
            status=503,
            title="Codes cannot be checked on this server now",
            detail="Its key ring does not open what your authenticator app was set up with.",
            who_acts="operator",
            next_step="Use a passkey or a recovery code, and tell the operator: keydeck doctor names what is missing.",
        )


def view_passkey(row: Passkey) -> PasskeyView:
    return PasskeyView(row.id, row.name, row.is_synced, row.created_at, row.last_used_at)


class Factors(FactorTries, AccountWork):
    """Setting up, using and removing factors. Each change ends the person's other sessions and renews the one that asks."""

    async def list_factors(self, user_id: str) -> FactorsView:
        """Return what the person has set up."""
        totp = await factor_repository.get_totp(self._session, user_id=user_id, confirmed=True)
        codes = await factor_repository.list_recovery_codes(self._session, user_id=user_id)
        passkeys = await factor_repository.list_passkeys(self._session, user_id=user_id)
        left = sum(1 for code in codes if code.used_at is None)
        return FactorsView(totp.confirmed_at if totp else None, left, tuple(view_passkey(row) for row in passkeys))

    async def close_factor_offer(self, principal: Principal) -> None:
        """Put the offer of a second factor off; the Security page keeps it."""
        await factor_repository.close_factor_offer(self._session, user_id=principal.user_id, now=self._clock())

    async def start_totp(self, principal: Principal) -> None:
        """Make a fresh seed for an app to be set up; one that was begun before is dropped, one in use stays in use."""
        await self._drop_totps(principal.user_id, confirmed=False)
        seed = {SEED_FIELD: create_seed()}
        value_id = await self._values.put(PURPOSE, owner_id=principal.user_id, values=seed)
        self._session.add(
            TotpFactor(
                id=create_id("tfa"),
                user_id=principal.user_id,
                value_id=value_id,
                created_at=self._clock(),
                confirmed_at=None,
                last_step=None,
            )
        )

    async def get_totp_set_up(self, principal: Principal) -> TotpSetUp | None:
        """Return QR code and seed of the app being set up, for an hour; None when there is none."""
        row = await self._get_begun(principal.user_id)
        if row is None:
            return None
        host = urlsplit(self._settings.public_url).netloc
        return draw_set_up(await self._open_seed(row), email=principal.email, host=host)

    async def confirm_totp(self, principal: Principal, text: str) -> FactorChange:
        """Take the app into use once it shows a right code. Raises FactorRefused, or NotFound when none is being set up."""
        await factor_repository.lock_person(self._session, principal.user_id)
        row = await self._get_begun(principal.user_id)
        if row is None:
            raise NotFound("set-up")
        code = parse_totp(text)
        step = find_step(await self._open_seed(row), code, now=self._clock()) if code else None
        if step is None:
            raise FactorRefused("code", f"{_WRONG_CODE} If it stays wrong, let the phone set its time by itself.")
        await self._drop_totps(principal.user_id, confirmed=True)
        row.confirmed_at, row.last_step = self._clock(), step
        await self._session.flush()
        return await self._conclude(principal, "factor.totp_added")

    async def remove_totp(self, principal: Principal) -> FactorChange:
        """Stop using the app. Raises NotFound, or LastFactor when the person's role needs one."""
        await factor_repository.lock_person(self._session, principal.user_id)
        if await factor_repository.get_totp(self._session, user_id=principal.user_id, confirmed=True) is None:
            raise NotFound("authenticator app")
        _, has_passkey = await factor_repository.has_factors(self._session, user_id=principal.user_id)
        self._demand_other_factor(principal, has_other=has_passkey)
        await self._drop_totps(principal.user_id, confirmed=True)
        return await self._conclude(principal, "factor.totp_removed")

    async def renew_recovery_codes(self, principal: Principal) -> FactorChange:
        """Make ten new recovery codes; the old ones stop working. Raises NotFound without any factor."""
        await factor_repository.lock_person(self._session, principal.user_id)
        if not any(await factor_repository.has_factors(self._session, user_id=principal.user_id)):
            raise NotFound("second factor")
        await factor_repository.delete_recovery_codes(self._session, user_id=principal.user_id)
        return await self._conclude(principal, "factor.recovery_codes_made")

    async def remove_factors(self, user_id: str, *, actor: Principal | None = None, visit: Visit | None = None) -> None:
        """Remove everything a person has set up and sign them out: the way back for who lost phone and codes."""
        await factor_repository.lock_person(self._session, user_id)
        await self._drop_totps(user_id, confirmed=True)
        await self._drop_totps(user_id, confirmed=False)
        for passkey in await factor_repository.list_passkeys(self._session, user_id=user_id):
            await factor_repository.delete_passkey(self._session, passkey.id, user_id=user_id)
        await factor_repository.delete_recovery_codes(self._session, user_id=user_id)
        await repository.revoke_sessions(self._session, user_id=user_id, now=self._clock())
        self._record("factor.all_removed", owner_id=user_id, actor=actor, visit=visit)

    async def _demand_code(self, user_id: str, text: str, *, asker: Principal | Visit, field: str = "code") -> str:
        """Use a code up, of the app or a recovery code, and say which. Raises FactorRefused, with the try counted."""
        if (recovery := parse_recovery(text)) is not None:
            await self._admit_recovery(user_id, asker=asker, field=field)
            if not await self._use_recovery_code(user_id, recovery, asker=asker):
                raise await self._refuse_recovery(user_id, asker=asker, field=field, words=_WRONG_RECOVERY)
            await self._forget_tries(user_id, asker=asker)
            return "recovery code"
        pool = await self._find_pool(user_id, asker=asker)
        await self._admit_try(user_id, pool, field=field)
        if (code := parse_totp(text)) is None:
            raise FactorRefused(field, _NO_CODE)
        if fault := await self._find_totp_fault(user_id, code):
            raise await self._refuse_try(user_id, pool, asker=asker, field=field, words=fault)
        await self._forget_tries(user_id, asker=asker)
        return "app code"

    async def _find_totp_fault(self, user_id: str, code: Secret) -> str:
        row = await factor_repository.get_totp(self._session, user_id=user_id, confirmed=True)
        step = find_step(await self._open_seed(row), code, now=self._clock()) if row else None
        if row is None or step is None:
            return _WRONG_CODE
        is_new = await factor_repository.use_step(self._session, row.id, user_id=user_id, step=step)
        return "" if is_new else _USED_CODE

    async def _use_recovery_code(self, user_id: str, code: Secret, *, asker: Principal | Visit) -> bool:
        used = await factor_repository.use_recovery_code(self._session, hash_token(code), user_id=user_id, now=self._clock())
        if used:
            self._note("factor.recovery_code_used", user_id=user_id, asker=asker)
        return used

    async def _conclude(self, principal: Principal, action: str, *, name: str = "") -> FactorChange:
        """End what the old factors opened, and keep recovery codes in step: ten with the first factor, none without any."""
        user_id = principal.user_id
        shown: tuple[str, ...] = ()
        if not any(await factor_repository.has_factors(self._session, user_id=user_id)):
            await factor_repository.delete_recovery_codes(self._session, user_id=user_id)
        elif not await factor_repository.list_recovery_codes(self._session, user_id=user_id):
            shown = self._add_recovery_codes(user_id)
        self._record(action, owner_id=user_id, actor=principal, detail={"name": name} if name else None)
        await self._end_others(principal)
        return FactorChange(await self._renew(principal), shown)

    def _add_recovery_codes(self, user_id: str) -> tuple[str, ...]:
        codes, now = create_recovery_codes(), self._clock()
        for code in codes:
            row = RecoveryCode(id=create_id("rec"), user_id=user_id, code_hash=hash_token(code), created_at=now, used_at=None)
            self._session.add(row)
        return tuple(write_recovery_codes(codes))

    def _demand_other_factor(self, principal: Principal, *, has_other: bool) -> None:
        """Raise LastFactor when the person's role needs a factor and this one is the last."""
        if not self._settings.is_loopback_only and principal.has_any(STAFF) and not has_other:
            raise LastFactor

    async def _get_begun(self, user_id: str) -> TotpFactor | None:
        row = await factor_repository.get_totp(self._session, user_id=user_id, confirmed=False)
        return row if row and self._clock() - row.created_at < SET_UP_LASTS else None

    async def _open_seed(self, row: TotpFactor) -> Secret:
        try:
            opened = await self._values.open(row.value_id, purpose=PURPOSE, owner_id=row.user_id)
        except VaultError:
            raise FactorLocked from None
        return opened[SEED_FIELD]

    async def _drop_totps(self, user_id: str, *, confirmed: bool) -> None:
        for row in await factor_repository.list_totps(self._session, user_id=user_id):
            if (row.confirmed_at is not None) is confirmed:
                await self._values.delete(row.value_id, owner_id=user_id)
                await self._session.delete(row)
        await self._session.flush()
