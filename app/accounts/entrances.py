"""The ways in: the first set-up, an invitation, open sign-up where it is on, and signing in."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app.accounts import factor_repository, repository, reset_repository
from app.accounts.entry import EntryRefused, Visit, demand_email, demand_password, parse_email
from app.accounts.factor_models import PendingSignIn
from app.accounts.gate import Gate
from app.accounts.limits import HOUR, Budget, Limit, Limits, Refused, group_address
from app.accounts.models import Invitation, UserSession
from app.accounts.passkeys import SIGN_IN, Passkeys, second_factor_of
from app.accounts.roles import Role, parse_roles
from app.accounts.tokens import create_token, hash_token
from app.accounts.work import TAKEN
from app.db import release
from app.identifiers import create_id
from app.masking import Secret
from app.web.errors import NotFound, SignInNeeded

_PASSKEY = "passkey"
SETUP = "setup"
INVITATION = "invitation"
PENDING_LASTS = timedelta(minutes=10)
FIRST_ROLES = frozenset({Role.TRADER, Role.OPERATOR})
SIGN_UP = Limit("sign_up", (Budget(("place",), most=10, seconds=HOUR), Budget((), most=200, seconds=HOUR)))


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """A browser that was just signed in. The tokens go into its cookies and are kept nowhere else.

    `device_token` is what the browser is known by from now on; None when it is known already.
    """

    token: Secret
    session_id: str
    user_id: str
    roles: frozenset[Role]
    device_token: Secret | None = None


@dataclass(frozen=True, slots=True)
class HalfOpen:
    """A browser that gave the right password and owes the second factor. The token opens the page for it, nothing else."""

    token: Secret


@dataclass(frozen=True, slots=True)
class PendingView:
    """Whose second factor a half-open sign-in waits for, and which kinds the person has."""

    id: str
    user_id: str
    email: str
    has_totp: bool
    has_passkey: bool


@dataclass(frozen=True, slots=True)
class InvitationView:
    """A one-time link that can still be used; `email` is set when it is for one address only."""

    id: str
    email: str | None
    roles: frozenset[Role]
    created_at: datetime
    expires_at: datetime


def view_invitation(row: Invitation) -> InvitationView:
    return InvitationView(row.id, row.email, parse_roles(row.roles), row.created_at, row.expires_at)


class Entrances(Passkeys, Gate):
    """Creating one's account and signing in."""

    async def is_waiting_for_setup(self) -> bool:
        """Tell whether nobody has an account yet."""
        return not await repository.has_users(self._session)

    async def find_setup(self, token: Secret) -> InvitationView:
        """Return the set-up link. Raises NotFound when it is not the newest, was used, or an account exists."""
        if await repository.has_users(self._session):
            raise NotFound
        return await self._find_link(token, SETUP)

    async def find_invitation(self, token: Secret) -> InvitationView:
        """Return the invitation. Raises NotFound when it was used, cancelled or ran out."""
        return await self._find_link(token, INVITATION)

    async def create_first_user(self, token: Secret, *, email: str, password: Secret, visit: Visit) -> OpenedSession:
        """Create the first account, trader and operator, and sign it in. Raises NotFound or EntryRefused."""
        await self.find_setup(token)
        return await self._create(email, password=password, roles=FIRST_ROLES, visit=visit, link=(token, SETUP))

    async def accept_invitation(self, token: Secret, *, email: str, password: Secret, visit: Visit) -> OpenedSession:
        """Create an invited person's account and sign it in. Raises NotFound or EntryRefused."""
        found = await self.find_invitation(token)
        address = found.email or email
        return await self._create(address, password=password, roles=found.roles, visit=visit, link=(token, INVITATION))

    def demand_open_sign_up(self) -> None:
        """Raise NotFound unless the operator lets anyone create an account."""
        if self._settings.open_sign_up != "on":
            raise NotFound

    async def sign_up(self, visit: Visit, *, email: str, password: Secret) -> OpenedSession:
        """Create a trader's account where that is open, and sign it in. Raises NotFound, EntryRefused or Problem (429)."""
        self.demand_open_sign_up()
        await Limits(self._session, clock=self._clock).demand(SIGN_UP, place=group_address(visit.ip))
        return await self._create(email, password=password, roles=frozenset({Role.TRADER}), visit=visit, link=None)

    async def sign_in(self, visit: Visit, *, email: str, password: Secret) -> OpenedSession | HalfOpen | Refused | None:
        """Open a session, or half of one where a second factor is set up.

        Returns None for wrong credentials, Refused for too many of them. The work and the answer are the same whatever
        is wrong. Nothing is raised for a failure, so that the caller's transaction commits the event of it.
        """
        address = parse_email(email)
        user = await repository.get_user_by_email(self._session, address) if address else None
        known_id = user.id if user else None
        known_hash = user.password_hash if user and user.disabled_at is None else None
        tried = await self._ask_gate(visit, email=email, user_id=known_id)
        if isinstance(tried, Refused):
            return tried
        await release(self._session)  # hashing takes long; nobody else's writing waits for it
        verdict = await self._passwords.verify(password, known_hash)
        if verdict.is_right and known_id:
            await factor_repository.lock_person(self._session, known_id)  # a change of password comes before this, or after
        fresh = await repository.get_user(self._session, known_id) if known_id else None
        if not verdict.is_right or fresh is None or fresh.disabled_at is not None or fresh.password_hash != known_hash:
            await self._note_failure(visit, user_id=known_id)
            return None
        await self._return_try(tried)
        if verdict.new_hash is not None and known_hash is not None:
            await repository.change_hash(self._session, fresh.id, old=known_hash, new=verdict.new_hash)
        if any(await factor_repository.has_factors(self._session, user_id=fresh.id)):
            return await self._open_half(fresh.id)
        return await self._open(fresh.id, roles=parse_roles(fresh.roles), visit=visit)

    async def ask_to_sign_in(self, visit: Visit) -> dict[str, Any]:
        """Return the options for signing in by passkey; they are the same for everybody. Raises Problem."""
        return await self.ask_for_passkey(SIGN_IN, ip=visit.ip)

    async def sign_in_by_passkey(self, visit: Visit, *, answer: str) -> OpenedSession:
        """Open a session for whoever's passkey answered: it stands for password and second factor. Raises FactorRefused."""
        user = await self._demand_passkey(answer, SIGN_IN, asker=visit)
        return await self._open(user.id, roles=parse_roles(user.roles), visit=visit, way=_PASSKEY)

    async def find_pending(self, token: Secret) -> PendingView:
        """Return the half-open sign-in. Raises SignInNeeded when it ran out, was finished, or ended with a change of password."""
        found = await factor_repository.get_pending(self._session, hash_token(token), now=self._clock())
        if found is None:
            raise SignInNeeded
        pending, user = found
        has_totp, has_passkey = await factor_repository.has_factors(self._session, user_id=user.id)
        return PendingView(pending.id, user.id, user.email, has_totp=has_totp, has_passkey=has_passkey)

    async def ask_for_second_factor(self, token: Secret, visit: Visit) -> dict[str, Any]:
        """Return the options for one of the waiting person's own passkeys. Raises SignInNeeded or Problem."""
        pending = await self.find_pending(token)
        return await self.ask_for_passkey(second_factor_of(pending.id), ip=visit.ip, user_id=pending.user_id)

    async def finish_sign_in(self, token: Secret, visit: Visit, *, code: str = "", passkey: str = "") -> OpenedSession:
        """Open the session once the second factor is right. Raises SignInNeeded, or FactorRefused with the try counted."""
        pending = await self.find_pending(token)
        await factor_repository.lock_person(self._session, pending.user_id)
        way = "passkey"
        if passkey:
            await self._demand_passkey(passkey, second_factor_of(pending.id), asker=visit, user_id=pending.user_id)
        else:
            way = await self._demand_code(pending.user_id, code, asker=visit)
        user = await repository.get_user(self._session, pending.user_id)
        if user is None or not await factor_repository.use_pending(self._session, pending.id, user_id=pending.user_id):
            raise SignInNeeded
        return await self._open(user.id, roles=parse_roles(user.roles), visit=visit, way=f"password and {way}")

    async def _open_half(self, user_id: str) -> HalfOpen:
        now, token = self._clock(), create_token()
        await factor_repository.delete_old_pendings(self._session, now=now)
        pending = PendingSignIn(
            id=create_id("psi"),
            user_id=user_id,
            token_hash=hash_token(token),
            created_at=now,
            expires_at=now + PENDING_LASTS,
        )
        self._session.add(pending)
        return HalfOpen(token)

    async def _find_link(self, token: Secret, kind: str) -> InvitationView:
        row = await repository.get_invitation(self._session, hash_token(token), kind=kind, now=self._clock())
        if row is None:
            raise NotFound
        return view_invitation(row)

    async def _create(
        self, email: str, *, password: Secret, roles: frozenset[Role], visit: Visit, link: tuple[Secret, str] | None
    ) -> OpenedSession:
        """Judge what was typed, hash outside of any transaction, then use the link up and write the person."""
        address = demand_email(email)
        demand_password(password, email=address)
        await release(self._session)
        password_hash = await self._passwords.hash(password)
        if await repository.get_user_by_email(self._session, address) is not None:
            raise EntryRefused("email", TAKEN)
        now = self._clock()
        if link is not None:
            await self._use_link(*link, now=now)
        user = await self._insert_user(address, password_hash=password_hash, roles=roles, now=now)
        self._record("user.created", owner_id=user.id, visit=visit, object_id=user.id, detail={"roles": ", ".join(user.roles)})
        return await self._open(user.id, roles=roles, visit=visit)

    async def _use_link(self, token: Secret, kind: str, *, now: datetime) -> None:
        """Use the link up. Raises NotFound for whoever comes second."""
        if not await repository.use_invitation(self._session, hash_token(token), kind=kind, now=now):
            raise NotFound
        if kind == SETUP:
            await repository.delete_invitations(self._session, kind=SETUP)
            if await repository.has_users(self._session):
                raise NotFound

    async def _open(self, user_id: str, *, roles: frozenset[Role], visit: Visit, way: str = "password") -> OpenedSession:
        """Open a session under a fresh token; the one the browser had before ends, so none can be planted."""
        now = self._clock()
        if visit.session_id is not None:
            await repository.end_replaced_session(self._session, visit.session_id, now=now)
        token = create_token()
        opened = UserSession(
            id=create_id("ses"),
            user_id=user_id,
            token_hash=hash_token(token),
            created_at=now,
            last_seen_at=now,
            expires_at=now + repository.LASTS_FOR,
            revoked_at=None,
            ip=visit.ip,
            user_agent=visit.user_agent,
            proved_at=now,
        )
        self._session.add(opened)
        self._record("user.signed_in", owner_id=user_id, visit=visit, object_id=opened.id, detail={"way": way})
        if way == _PASSKEY:  # opens whatever the password is: it does not tell that the one chosen by a link is the person's own
            await reset_repository.end_links(self._session, user_id=user_id, now=now)
        else:
            await reset_repository.forget_links(self._session, user_id=user_id)
        return OpenedSession(token, opened.id, user_id, roles, await self._note_arrival(user_id, visit))
