"""People as operators see them: who there is, invitations, roles, disabling and enabling, ending sessions."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.accounts import familiar_repository, people_repository, repository, reset_repository
from app.accounts.current_user import Principal
from app.accounts.entrances import INVITATION, InvitationView, view_invitation
from app.accounts.entry import EntryRefused, demand_email, demand_password, parse_email
from app.accounts.factors import Factors, FactorsView
from app.accounts.models import Invitation, User
from app.accounts.roles import Role, parse_roles
from app.accounts.tokens import build_link, create_token, hash_token
from app.accounts.work import TAKEN, is_like_an_id
from app.db import release
from app.identifiers import create_id
from app.masking import Secret
from app.web.errors import NotFound, Problem

INVITATION_LASTS = timedelta(days=7)
PAGE_SIZE = 50  # people
LONGEST_QUERY = 254


class RoleRefused(Problem):
    """A change of access that would lock people out."""

    def __init__(self, title: str, detail: str) -> None:
        super().__init__(
            "conflict", status=409, title=title, detail=detail, who_acts="operator", next_step="Go back to the list."
        )


@dataclass(frozen=True, slots=True)
class UserView:
    """A person without anything that opens a door."""

    id: str
    email: str
    roles: frozenset[Role]
    created_at: datetime
    disabled_at: datetime | None
    last_seen_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PeoplePage:
    """People by e-mail; `total` is how many fit the query, `after` the cursor of the next page, None at the end."""

    people: tuple[UserView, ...]
    query: str
    total: int
    after: str | None


@dataclass(frozen=True, slots=True)
class PersonView:
    """What operators see of one person: how they get in, counted, and nothing that would open a door."""

    user: UserView
    factors: FactorsView
    sessions: int
    tokens: int


@dataclass(frozen=True, slots=True)
class IssuedInvitation:
    """A new invitation and its link, which is shown once."""

    view: InvitationView
    link: str


def _view(user: User, last_seen_at: datetime | None = None) -> UserView:
    return UserView(user.id, user.email, parse_roles(user.roles), user.created_at, user.disabled_at, last_seen_at)


def _demand_roles(roles: Iterable[Role]) -> frozenset[Role]:
    chosen = frozenset(roles)
    if not chosen:
        raise EntryRefused("roles", "Choose at least one role.")
    return chosen


class People(Factors):
    """What operators and the command line do. `actor` is None when the server's own command acts."""

    async def add_user(self, email: str, *, password: Secret, roles: Iterable[Role], actor: Principal | None = None) -> UserView:
        """Create an account. Raises EntryRefused."""
        address, chosen = demand_email(email), _demand_roles(roles)
        demand_password(password, email=address)
        await release(self._session)
        password_hash = await self._passwords.hash(password)
        if await repository.get_user_by_email(self._session, address) is not None:
            raise EntryRefused("email", TAKEN)
        user = await self._insert_user(address, password_hash=password_hash, roles=chosen, now=self._clock())
        self._record("user.created", owner_id=user.id, actor=actor, object_id=user.id, detail={"roles": ", ".join(user.roles)})
        return _view(user)

    async def list_people(self, *, query: str = "", after: str | None = None, limit: int = PAGE_SIZE) -> PeoplePage:
        """Return people whose e-mail holds the query, from the cursor on, with when each was last seen."""
        wanted = query.strip().lower()[:LONGEST_QUERY]
        cursor = after if after and is_like_an_id(after) else None
        rows = await people_repository.list_people(self._session, query=wanted, after_id=cursor, limit=limit + 1)
        shown = rows[:limit]
        seen = await people_repository.list_last_seen(self._session, [user.id for user in shown])
        total = await people_repository.count_people(self._session, query=wanted)
        views = tuple(_view(user, seen.get(user.id)) for user in shown)
        return PeoplePage(views, wanted, total, shown[-1].id if len(rows) > limit else None)

    async def show_person(self, user_id: str) -> PersonView:
        """Return one person. Raises NotFound."""
        user, now = await self._demand_user(user_id), self._clock()
        seen = await people_repository.list_last_seen(self._session, [user.id])
        sessions = await repository.list_sessions(self._session, user_id=user.id, now=now)
        tokens = await repository.list_tokens(self._session, user_id=user.id, now=now)
        return PersonView(_view(user, seen.get(user.id)), await self.list_factors(user.id), len(sessions), len(tokens))

    async def look_at_person(self, principal: Principal, user_id: str) -> PersonView:
        """Return one person, and write down that an operator looked: to the person's activity and the operator's own.

        Needs a writing unit of work: what was seen and that it was seen are one transaction. Raises NotFound.
        """
        person = await self.show_person(user_id)
        seen = person.user
        if seen.id != principal.user_id:
            self._record("user.viewed", owner_id=seen.id, actor=principal, object_id=seen.id)
            detail = {"email": seen.email}
            self._record("user.looked_up", owner_id=principal.user_id, actor=principal, object_id=seen.id, detail=detail)
        return person

    async def find_user(self, email: str) -> UserView:
        """Return the person with this e-mail. Raises NotFound."""
        address = parse_email(email)
        user = await repository.get_user_by_email(self._session, address) if address else None
        if user is None:
            raise NotFound("person")
        return _view(user)

    async def set_roles(self, user_id: str, *, roles: Iterable[Role], actor: Principal | None = None) -> UserView:
        """Give a person exactly these roles, from the next request on. Raises NotFound, EntryRefused or RoleRefused."""
        chosen = _demand_roles(roles)
        operators = await repository.list_operators_to_change(self._session)
        user = await self._demand_user(user_id)
        if Role.OPERATOR not in chosen:
            _demand_other_operator(user, operators=operators, actor=actor)
            await people_repository.delete_invitations(self._session, user_id=user.id)
        words = [role.value for role in Role if role in chosen]
        detail = {"email": user.email, "from": ", ".join(user.roles), "to": ", ".join(words)}
        user.roles = words
        self._record("user.roles_changed", owner_id=user.id, actor=actor, object_id=user.id, detail=detail)
        await self._session.flush()
        return _view(user)

    async def disable(self, user_id: str, *, actor: Principal | None = None) -> UserView:
        """Shut a person out: sessions, API tokens, links and invitations end now, for good. Raises NotFound or RoleRefused."""
        operators = await repository.list_operators_to_change(self._session)
        user = await self._demand_user(user_id)
        _demand_other_operator(user, operators=operators, actor=actor)
        if user.disabled_at is None:
            now = self._clock()
            user.disabled_at = now
            await self._session.flush()
            await self._end_all(user.id, now=now)
            await people_repository.revoke_tokens(self._session, user_id=user.id, now=now)
            await people_repository.delete_invitations(self._session, user_id=user.id)
            self._record("user.disabled", owner_id=user.id, actor=actor, object_id=user.id, detail={"email": user.email})
        return _view(user)

    async def sign_out_everywhere(self, user_id: str, *, actor: Principal | None = None) -> int:
        """End all sessions of a person, who may sign in again; API tokens stay. Returns how many. Raises NotFound."""
        user = await self._demand_user(user_id)
        ended = await self._end_all(user.id, now=self._clock())
        detail = {"email": user.email, "sessions": str(ended)}
        self._record("session.all_revoked", owner_id=user.id, actor=actor, object_id=user.id, detail=detail)
        return ended

    async def enable(self, user_id: str, *, actor: Principal | None = None) -> UserView:
        """Let a disabled person in again; they sign in anew. Raises NotFound."""
        user = await self._demand_user(user_id)
        if user.disabled_at is not None:
            now = self._clock()  # a sign-in, or a token being made, that met the disabling must not come to life
            await self._end_all(user.id, now=now)
            await people_repository.revoke_tokens(self._session, user_id=user.id, now=now)
            user.disabled_at = None
            self._record("user.enabled", owner_id=user.id, actor=actor, object_id=user.id, detail={"email": user.email})
            await self._session.flush()
        return _view(user)

    async def invite(self, principal: Principal, *, roles: Iterable[Role], email: str = "") -> IssuedInvitation:
        """Make a one-time link for a new person, for one address or for whoever holds it. Raises EntryRefused."""
        chosen = _demand_roles(roles)
        address = demand_email(email) if email.strip() else None
        if address and await repository.get_user_by_email(self._session, address) is not None:
            raise EntryRefused("email", TAKEN)
        token, now = create_token(), self._clock()
        row = Invitation(
            id=create_id("inv"),
            kind=INVITATION,
            token_hash=hash_token(token),
            email=address,
            roles=[role.value for role in Role if role in chosen],
            created_by=principal.user_id,
            created_at=now,
            expires_at=now + INVITATION_LASTS,
            used_at=None,
        )
        self._session.add(row)
        detail = {"roles": ", ".join(row.roles)} | ({"email": address} if address else {})
        self._record("invitation.created", owner_id=principal.user_id, actor=principal, object_id=row.id, detail=detail)
        await self._session.flush()
        return IssuedInvitation(view_invitation(row), build_link(self._settings.public_url, "/invitation", token=token))

    async def list_invitations(self) -> list[InvitationView]:
        """Return the invitations that can still be used, newest first."""
        rows = await repository.list_invitations(self._session, kind=INVITATION, now=self._clock())
        return [view_invitation(row) for row in rows]

    async def cancel_invitation(self, principal: Principal, invitation_id: str) -> None:
        """Make an unused invitation worthless. Raises NotFound."""
        is_known = is_like_an_id(invitation_id)
        if not is_known or not await repository.delete_invitations(self._session, kind=INVITATION, invitation_id=invitation_id):
            raise NotFound("invitation")
        self._record("invitation.cancelled", owner_id=principal.user_id, actor=principal, object_id=invitation_id)

    async def _end_all(self, user_id: str, *, now: datetime) -> int:
        """End sessions and links of a person, and forget the browsers that were known."""
        await reset_repository.end_links(self._session, user_id=user_id, now=now)
        await familiar_repository.forget_places(self._session, user_id=user_id)
        return await repository.revoke_sessions(self._session, user_id=user_id, now=now)

    async def _demand_user(self, user_id: str) -> User:
        user = await repository.get_user(self._session, user_id) if is_like_an_id(user_id) else None
        if user is None:
            raise NotFound("person")
        return user


def _demand_other_operator(user: User, *, operators: list[str], actor: Principal | None) -> None:
    """Refuse what would leave no operator, or lets an operator lock themselves out. Raises RoleRefused."""
    if actor is not None and actor.user_id == user.id:
        raise RoleRefused("You cannot take your own access away", "Another operator can do it.")
    if operators == [user.id]:
        raise RoleRefused("This is the last operator", "Make somebody else an operator first.")
