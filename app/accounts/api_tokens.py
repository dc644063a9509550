"""Personal API tokens: made with scopes, shown once, revoked."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.accounts import repository
from app.accounts.current_user import Principal
from app.accounts.entry import EntryRefused, demand_name
from app.accounts.models import ApiToken
from app.accounts.roles import Scope, list_scopes_for, parse_roles, parse_scopes
from app.accounts.tokens import create_api_token, hash_token
from app.accounts.work import AccountWork, is_like_an_id
from app.identifiers import create_id
from app.masking import Secret
from app.web.errors import NotFound

MOST_TOKENS = 50  # per person
LONGEST_DAYS = 3650
USUAL_DAYS = 90
ENDING_SOON = timedelta(days=14)
ENDED_SHOWN = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class TokenView:
    """An API token without what opens the door."""

    id: str
    name: str
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None

    def ends_within(self, amount: timedelta, *, now: datetime) -> bool:
        """Tell whether the token's time is over, or will be by then."""
        return self.expires_at is not None and self.expires_at - now <= amount


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A new API token and its text, which is shown once."""

    view: TokenView
    token: Secret


def _view(row: ApiToken) -> TokenView:
    return TokenView(row.id, row.name, parse_scopes(row.scopes), row.created_at, row.expires_at, row.last_used_at)


class ApiTokens(AccountWork):
    """A person's API tokens. `actor` is None when the server's own command acts."""

    async def create_token(
        self,
        user_id: str,
        *,
        name: str,
        scopes: Iterable[Scope] | None = None,
        expires_in_days: int | None = None,
        actor: Principal | None = None,
    ) -> IssuedToken:
        """Make a token for a person. Without scopes it gets all that the person's roles allow. Raises NotFound, EntryRefused."""
        user = await repository.get_user(self._session, user_id)
        if user is None:
            raise NotFound("person")
        allowed = list_scopes_for(parse_roles(user.roles))
        chosen = frozenset(allowed if scopes is None else scopes)
        clean_name, now = demand_name(name), self._clock()
        if not chosen or not chosen <= frozenset(allowed):
            raise EntryRefused("scopes", "Choose at least one right that the person's own roles allow.")
        if expires_in_days is not None and not 1 <= expires_in_days <= LONGEST_DAYS:
            raise EntryRefused("expires_in_days", f"Choose 1 to {LONGEST_DAYS} days.")
        if len(await repository.list_tokens(self._session, user_id=user_id, now=now)) >= MOST_TOKENS:
            raise EntryRefused("name", f"There are {MOST_TOKENS} tokens already: revoke one that is not used any more.")
        token = create_api_token()
        row = ApiToken(
            id=create_id("tok"),
            user_id=user_id,
            name=clean_name,
            token_hash=hash_token(token),
            scopes=[scope.value for scope in Scope if scope in chosen],
            created_at=now,
            expires_at=None if expires_in_days is None else now + timedelta(days=expires_in_days),
            last_used_at=None,
            revoked_at=None,
        )
        self._session.add(row)
        detail = {"name": clean_name, "scopes": ", ".join(row.scopes)}
        self._record("token.created", owner_id=user_id, actor=actor, object_id=row.id, detail=detail)
        await self._session.flush()
        return IssuedToken(_view(row), token)

    async def list_tokens(self, user_id: str) -> list[TokenView]:
        """Return the tokens of this person that still open something, newest first."""
        return [_view(row) for row in await repository.list_tokens(self._session, user_id=user_id, now=self._clock())]

    async def list_shown_tokens(self, user_id: str) -> list[tuple[TokenView, str]]:
        """Return the tokens of the Security page with `open`, `ending` or `ended`: the last month's ended ones last."""
        now = self._clock()
        ended = await repository.list_ended_tokens(self._session, user_id=user_id, since=now - ENDED_SHOWN, now=now)
        live = await self.list_tokens(user_id)
        shown = [(view, "ending" if view.ends_within(ENDING_SOON, now=now) else "open") for view in live]
        return shown + [(_view(row), "ended") for row in ended]

    async def revoke_token(self, user_id: str, *, token_id: str, actor: Principal | None = None) -> None:
        """Make a person's token worthless from now on. Raises NotFound."""
        row = await repository.get_token(self._session, token_id, user_id=user_id) if is_like_an_id(token_id) else None
        if row is None:
            raise NotFound("token")
        row.revoked_at = self._clock()
        self._record("token.revoked", owner_id=user_id, actor=actor, object_id=token_id, detail={"name": row.name})
