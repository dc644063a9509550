"""Ways back in for who forgot the password or lost the second factor: one-time links that never open a session.

A password link leaves the second factor asked for; a factor link asks for the password. So that no operator can become
somebody by making both, an operator's second kind has to wait until the person has signed in by password, however long.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.accounts import factor_repository, familiar_repository, repository, reset_repository
from app.accounts.attempt_models import ResetLink
from app.accounts.current_user import Principal
from app.accounts.entry import EntryRefused, Visit, demand_password, parse_email
from app.accounts.factors import Factors
from app.accounts.gate import Gate
from app.accounts.limits import HOUR, Budget, Limit, Limits, Refused, Trickle, group_address
from app.accounts.models import User
from app.accounts.people import RoleRefused
from app.accounts.tokens import build_link, create_token, hash_token
from app.accounts.work import is_like_an_id
from app.db import release
from app.identifiers import create_id
from app.masking import Secret
from app.web.errors import NotFound, Problem

PASSWORD_LINK, FACTOR_LINK = "password", "factors"
BY_MAIL, BY_OPERATOR, BY_COMMAND = "mail", "operator", "command"
PATHS = {PASSWORD_LINK: "/reset", FACTOR_LINK: "/factor-reset"}
LASTS = timedelta(hours=1)
_KEPT = timedelta(days=7)
RESET_REQUEST = Limit("reset_request", (Budget(("place",), most=10, seconds=HOUR), Budget((), most=200, seconds=HOUR)))
RESET_LETTER = Limit("reset_letter", (Trickle(("account",), most=3, each=2 * HOUR),))
WRONG_PASSWORD = "This is not the password of the account."  # noqa: S105  # a sentence


@dataclass(frozen=True, slots=True)
class IssuedLink:
    """A new one-time link; its text is shown or sent once."""

    kind: str
    link: str
    email: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ResetView:
    """A one-time link that can still be used, as its page shows it."""

    id: str
    user_id: str
    email: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ResetDone:
    """What a password reset leaves: whose it was, and the token that makes this browser a familiar one."""

    email: str
    device_token: Secret | None


class LinksApart(Problem):
    """An operator who holds both kinds of link of one person could become that person."""

    def __init__(self) -> None:
        super().__init__(
            "conflict",
            status=409,
            title="Not both links for one person",
            detail="After one kind was made or used, operators make the other only once the person has signed in by password.",
            who_acts="operator",
            next_step="Let the person sign in by password; an unused link is out of the way after an hour. "
            "Whoever runs the server can make the other one on the command line.",
        )


class Resets(Factors, Gate):
    """Making and using one-time links. `actor` is None when the server's own command acts, or a letter is asked for."""

    async def make_link(self, user_id: str, *, kind: str, way: str, actor: Principal | None = None) -> IssuedLink:
        """Make a one-time link for a person. Raises NotFound, or LinksApart for an operator's second kind."""
        user = await repository.get_user(self._session, user_id) if is_like_an_id(user_id) else None
        if user is None or user.disabled_at is not None:
            raise NotFound("person")
        if actor is not None and actor.user_id == user.id:
            raise RoleRefused("That is yourself", "Your own password and factors are changed on the Security page.")
        await factor_repository.lock_person(self._session, user.id)  # both kinds asked for at once come one after the other
        if way == BY_OPERATOR:
            await self._demand_apart(user.id, kind=kind)
        token, now = create_token(), self._clock()
        await reset_repository.sweep_links(self._session, before=now - _KEPT, but_used=BY_OPERATOR)
        row = ResetLink(
            id=create_id("rst"),
            kind=kind,
            user_id=user.id,
            token_hash=hash_token(token),
            way=way,
            created_at=now,
            expires_at=now + LASTS,
            ended_at=None,
            used_at=None,
        )
        self._session.add(row)
        action = "user.reset_link_made" if kind == PASSWORD_LINK else "user.factor_link_made"
        self._record(action, owner_id=user.id, actor=actor, object_id=row.id, detail={"way": way})
        await self._session.flush()
        link = build_link(self._settings.public_url, PATHS[kind], token=token)
        return IssuedLink(kind, link, user.email, row.expires_at)

    async def admit_reset_request(self, visit: Visit) -> None:
        """Count a request for a letter by where it comes from only. Raises Problem (429)."""
        await Limits(self._session, clock=self._clock).demand(RESET_REQUEST, place=group_address(visit.ip))

    async def make_letter_link(self, email: str) -> IssuedLink | None:
        """Make the link for a letter, or None: no such account, or it was sent enough of them. Nobody waits for this."""
        address = parse_email(email)
        if address is None:
            return None
        taken = await Limits(self._session, clock=self._clock).take(RESET_LETTER, account=address)
        user = await repository.get_user_by_email(self._session, address)
        if isinstance(taken, Refused) or user is None or user.disabled_at is not None:
            return None
        return await self.make_link(user.id, kind=PASSWORD_LINK, way=BY_MAIL)

    async def find_reset(self, token: Secret, *, kind: str) -> ResetView:
        """Return the link. Raises NotFound when it was used, ran out, or died with a sign-in or change of password."""
        row, user = await self._find(token, kind=kind)
        return ResetView(row.id, user.id, user.email, row.expires_at)

    async def reset_password(self, token: Secret, *, new: Secret, visit: Visit) -> ResetDone:
        """Store a new password, end all sessions and links. It opens no session. Raises NotFound or EntryRefused."""
        link = await self.find_reset(token, kind=PASSWORD_LINK)
        demand_password(new, email=link.email, field="new_password")
        await release(self._session)
        new_hash = await self._passwords.hash(new)
        now = self._clock()
        await factor_repository.lock_person(self._session, link.user_id)
        if not await reset_repository.use_link(self._session, link.id, user_id=link.user_id, now=now):
            raise NotFound
        await reset_repository.replace_hash(self._session, link.user_id, new=new_hash)
        await self._shut(link.user_id, now=now)
        await self._forget_all_tries(link.user_id)
        await self._begin_anew(link.email)
        self._record("user.password_reset", owner_id=link.user_id, visit=visit, by_owner=False)
        return ResetDone(link.email, await self._note_arrival(link.user_id, visit))

    async def reset_factors(self, token: Secret, *, password: Secret, visit: Visit) -> str:
        """Remove lost factors for who knows the password; returns the e-mail. Raises NotFound, EntryRefused, Problem."""
        link = await self.find_reset(token, kind=FACTOR_LINK)
        user = await repository.get_user(self._session, link.user_id)
        known_hash = user.password_hash if user else None
        tried = await self._ask_gate(visit, email=link.email, user_id=link.user_id)
        if isinstance(tried, Refused):
            raise tried.as_problem()
        if not (await self._passwords.verify(password, known_hash)).is_right:
            await self._note_failure(visit, user_id=link.user_id)
            raise EntryRefused("password", WRONG_PASSWORD)
        now = self._clock()
        await factor_repository.lock_person(self._session, link.user_id)
        await self._return_try(tried)
        if not await reset_repository.use_link(self._session, link.id, user_id=link.user_id, now=now):
            raise NotFound
        await self.remove_factors(link.user_id, visit=visit)
        await self._shut(link.user_id, now=now)
        return link.email

    async def _shut(self, user_id: str, *, now: datetime) -> None:
        """End what the old password opened."""
        await repository.revoke_sessions(self._session, user_id=user_id, now=now)
        await reset_repository.end_links(self._session, user_id=user_id, now=now)
        await familiar_repository.forget_places(self._session, user_id=user_id)

    async def _find(self, token: Secret, *, kind: str) -> tuple[ResetLink, User]:
        found = await reset_repository.get_link(self._session, hash_token(token), kind=kind, now=self._clock())
        if found is None:
            raise NotFound("link")
        return found

    async def _demand_apart(self, user_id: str, *, kind: str) -> None:
        other = FACTOR_LINK if kind == PASSWORD_LINK else PASSWORD_LINK
        now = self._clock()
        if await reset_repository.has_standing_link(self._session, user_id=user_id, kind=other, way=BY_OPERATOR, now=now):
            raise LinksApart
