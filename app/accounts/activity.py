"""What happened to a person's account and keys, in sentences: newest first, a page at a time."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby

from app.accounts import activity_repository
from app.accounts.activity_query import ActivityQuery
from app.accounts.current_user import Principal
from app.accounts.devices import describe_device
from app.accounts.roles import Role
from app.accounts.work import AccountWork, is_like_an_id
from app.audit import AuditEvent

PAGE_SIZE = 50  # events
SEARCHED_AT_ONCE = 500
MOST_SEARCHED = 5_000  # per page: what is older is searched by the next one
MOST_EXPORTED = 10_000
_SESSION_PREFIX = "ses_"
_PLAIN = ActivityQuery()


@dataclass(frozen=True, slots=True)
class Sentence:
    """How an action reads; `tone` is ok, warn, danger or idle; `by` is who did it when nobody was signed in."""

    words: str
    icon: str
    tone: str = "idle"
    by: str = "Keydeck"


@dataclass(frozen=True, slots=True)
class ActivityView:
    """One line of the activity page."""

    id: str
    at: datetime
    action: str
    title: str
    detail: str
    who: str
    ip: str | None
    icon: str
    tone: str

    def holds(self, words: Iterable[str]) -> bool:
        """Tell whether every word stands somewhere in the line, in lower case."""
        line = f"{self.title} {self.detail} {self.who} {self.ip or ''}".lower()
        return all(word in line for word in words)


@dataclass(frozen=True, slots=True)
class ActivityPage:
    """Events, newest first; `older` is the cursor of the next page, or None at the end.

    `total` counts all of the kind and period; None where only a search can tell.
    """

    events: tuple[ActivityView, ...]
    older: str | None
    total: int | None

    @property
    def days(self) -> list[tuple[date, list[ActivityView]]]:
        """The events by UTC day, newest day first."""
        return [(day, list(events)) for day, events in groupby(self.events, key=lambda event: event.at.date())]


SENTENCES: Mapping[str, Sentence] = {
    "user.created": Sentence("Account created", "user", "ok"),
    "user.signed_in": Sentence("Signed in", "check", "ok"),
    "user.sign_in_failed": Sentence("Sign-in with a wrong password", "alert", "warn", by="Someone"),
    "user.sign_in_refused": Sentence("Too many tries to sign in, refused for a while", "alert", "warn", by="Someone"),
    "user.reset_link_made": Sentence("One-time link made to choose a new password", "lock", "warn"),
    "user.factor_link_made": Sentence("One-time link made to remove lost second factors", "lock", "warn"),
    "user.password_reset": Sentence(
        "Password reset by one-time link, all sessions ended", "lock", "warn", by="Who held the link"
    ),
    "session.all_revoked": Sentence("All sessions ended", "lock", "warn"),
    "user.signed_out": Sentence("Signed out", "check"),
    "user.password_changed": Sentence("Password changed, all other sessions ended", "lock", "ok"),
    "user.password_change_failed": Sentence("Wrong current password when changing it", "alert", "warn"),
    "user.proof_failed": Sentence("Wrong code, or wrong password when asked to confirm", "alert", "warn", by="Someone"),
    "user.passkey_refused": Sentence("Passkey refused", "alert", "warn", by="Someone"),
    "user.confirmed": Sentence("Confirmed to be you", "check"),
    "factor.totp_added": Sentence("Authenticator app set up, all other sessions ended", "shield", "ok"),
    "factor.totp_removed": Sentence("Authenticator app removed, all other sessions ended", "shield", "warn"),
    "factor.passkey_added": Sentence("Passkey added, all other sessions ended", "passkey", "ok"),
    "factor.passkey_renamed": Sentence("Passkey renamed", "passkey"),
    "factor.passkey_removed": Sentence("Passkey removed, all other sessions ended", "passkey", "warn"),
    "factor.recovery_codes_made": Sentence("New recovery codes made, the old ones ended", "shield", "ok"),
    "factor.recovery_code_used": Sentence("Recovery code used", "shield", "warn", by="Someone"),
    "factor.all_removed": Sentence("All second factors removed, all sessions ended", "alert", "warn"),
    "user.roles_changed": Sentence("Roles changed", "user"),
    "user.disabled": Sentence("Account disabled", "alert", "warn"),
    "user.enabled": Sentence("Account enabled again", "check", "ok"),
    "user.viewed": Sentence("Operator looked at your account: how you get in, no secrets, no keys", "eye"),
    "user.looked_up": Sentence("Person's account looked at", "eye"),
    "session.revoked": Sentence("Session ended", "lock"),
    "session.others_revoked": Sentence("All other sessions ended", "lock"),
    "token.created": Sentence("API token made", "key", "ok"),
    "token.revoked": Sentence("API token revoked", "key"),
    "invitation.created": Sentence("Invitation made", "user"),
    "invitation.cancelled": Sentence("Invitation cancelled", "user"),
    "credential.connected": Sentence("Key connected", "key", "ok"),
    "credential.checked": Sentence("Key re-checked", "refresh"),
    "credential.replaced": Sentence("Key replaced", "key", "ok"),
    "credential.moved": Sentence("Another address chosen for a key, because its own is gone", "globe"),
    "credential.renamed": Sentence("Key renamed", "key"),
    "credential.plan_changed": Sentence("Access plan changed", "key"),
    "credential.paused": Sentence("Key paused", "pause"),
    "credential.resumed": Sentence("Key resumed", "play"),
    "credential.disconnected": Sentence("Key disconnected and erased", "key"),
    "credential.stopped_working": Sentence("Key no longer accepted", "alert", "danger"),
    "credential.works_again": Sentence("Key works again", "check", "ok"),
    "credential.right_lost": Sentence("Key lost a right", "alert", "warn"),
    "credential.right_back": Sentence("Key has its right back", "check", "ok"),
    "credential.expiring": Sentence("Key ends soon", "alert", "warn"),
    "credential.addresses_changed": Sentence("Other addresses on the key's list", "globe", "warn"),
    "credential.shared_key": Sentence("Key that another account holds, too", "alert", "warn"),
    "credential.quarantined": Sentence("Key put in quarantine: it gained a right", "alert", "danger"),
    "credential.released": Sentence("Key out of quarantine", "check", "ok"),
    "alerts.channel_added": Sentence("Way to be told of alerts added", "bell", "ok"),
    "alerts.channel_changed": Sentence("Way to be told of alerts changed", "bell"),
    "alerts.channel_removed": Sentence("Way to be told of alerts removed", "bell"),
    "alerts.secret_renewed": Sentence("New signing secret for a webhook", "lock", "ok"),
    "alerts.quiet_hours_changed": Sentence("Quiet hours changed", "bell"),
    "alerts.calendar_made": Sentence("Private calendar link made", "key", "ok"),
    "alerts.calendar_revoked": Sentence("Private calendar link revoked", "key"),
    "support.searched": Sentence("Customer's keys looked up", "eye"),
    "support.viewed_status": Sentence("Support looked at the status of your keys: no balances, no secrets", "eye"),
    "support.limited": Sentence("Look-up refused: too many in one hour", "alert", "warn"),
}
_SHOWN = (
    "label",
    "exchange",
    "environment",
    "name",
    "email",
    "roles",
    "scopes",
    "code",
    "status",
    "plan",
    "sessions",
    "credentials",
    "ticket",
    "way",
    "device",
)
_SPOKEN = {"way": "by {}", "credentials": "keys: {}", "ticket": "ticket {}", "sessions": "sessions: {}", "days": "days left: {}"}


class Activity(AccountWork):
    """A person's own events."""

    async def list_activity(
        self, principal: Principal, *, query: ActivityQuery = _PLAIN, before: str | None = None, limit: int = PAGE_SIZE
    ) -> ActivityPage:
        """Return a page of events of one's own account, those older than the cursor if one is given."""
        if before is not None and not is_like_an_id(before):
            return ActivityPage((), None, None)
        events, older = await self._collect(principal, query, before=before, limit=limit)
        total = None if query.text else await self._count(principal, query)
        return ActivityPage(tuple(events), older, total)

    async def export_activity(self, principal: Principal, *, query: ActivityQuery) -> list[ActivityView]:
        """Return all events that the question finds, newest first, at most MOST_EXPORTED."""
        events, _ = await self._collect(principal, query, before=None, limit=MOST_EXPORTED)
        return events

    async def _count(self, principal: Principal, query: ActivityQuery) -> int:
        since = query.since(self._clock())
        return await activity_repository.count_events(self._session, user_id=principal.user_id, since=since, kind=query.kind)

    async def _collect(
        self, principal: Principal, query: ActivityQuery, *, before: str | None, limit: int
    ) -> tuple[list[ActivityView], str | None]:
        """Read on until enough events hold the words, or enough were searched; the cursor says where to go on from."""
        found: list[ActivityView] = []
        cursor, searched, size = before, 0, SEARCHED_AT_ONCE if query.text or limit > SEARCHED_AT_ONCE else limit + 1
        while searched < max(MOST_SEARCHED, limit):
            views = await self._read(principal, query, before=cursor, limit=size)
            for view in views:
                cursor = view.id
                if query.words and not view.holds(query.words):
                    continue
                if len(found) == limit:
                    return found, found[-1].id
                found.append(view)
            if len(views) < size:
                return found, None
            searched += len(views)
        return found, cursor

    async def _read(self, principal: Principal, query: ActivityQuery, *, before: str | None, limit: int) -> list[ActivityView]:
        rows = await activity_repository.list_events(
            self._session,
            user_id=principal.user_id,
            limit=limit,
            before_id=before,
            since=query.since(self._clock()),
            kind=query.kind,
        )
        ids = {event.object_id for event, _ in rows if event.object_id and event.object_id.startswith(_SESSION_PREFIX)}
        agents = await activity_repository.list_user_agents(self._session, ids, user_id=principal.user_id) if ids else {}
        return [_view(event, roles, principal, agents=agents) for event, roles in rows]


def _view(event: AuditEvent, actor_roles: str | None, principal: Principal, *, agents: Mapping[str, str]) -> ActivityView:
    sentence = SENTENCES.get(event.action) or Sentence(event.action.replace(".", " ").replace("_", " ").capitalize(), "activity")
    agent = agents.get(event.object_id or "")
    detail = dict(event.detail) if agent is None else {**event.detail, "device": describe_device(agent).name}
    return ActivityView(
        id=event.id,
        at=event.at,
        action=event.action,
        title=sentence.words,
        detail=_describe(detail),
        who=_name_actor(event.actor_id, actor_roles, principal) or sentence.by,
        ip=event.actor_ip,
        icon=sentence.icon,
        tone=sentence.tone,
    )


def _describe(detail: Mapping[str, str]) -> str:
    """Return the telling parts of an event in one line."""
    parts = [_SPOKEN.get(name, "{}").format(detail[name]) for name in _SHOWN if detail.get(name)]
    for old, new in (("from", "to"), ("before", "after")):
        if old in detail and new in detail:
            parts.append(f"{detail[old]} → {detail[new]}")
    return " · ".join(parts)


def _name_actor(actor_id: str | None, roles: str | None, principal: Principal) -> str | None:
    """Say who acted without naming staff: You, Support, Operator; None when nobody was signed in."""
    if actor_id is None:
        return None
    if actor_id == principal.user_id:
        return "You"
    return "Operator" if roles and Role.OPERATOR.value in roles else "Support"
