"""Makes what support sees of a credential: only what a test cares about is named."""

from dataclasses import replace
from datetime import UTC, datetime

from app.accounts.current_user import Principal
from app.accounts.roles import Role
from app.credentials.views import Status, SupportCredentialView
from app.exchanges.types import AccessPlan, Answer, Environment, Grant, Permission, Proof

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
AGENT = Principal("usr_agent", "support@example.org", frozenset({Role.SUPPORT}), None, "ses_1", None, "192.0.2.4")


def make_case(identifier: str = "crd_1", **changes: object) -> SupportCredentialView:
    case = SupportCredentialView(
        id=identifier,
        owner_email="trader@example.org",
        exchange_name="HTX",
        exchange_slug="htx",
        environment=Environment.LIVE,
        plan=AccessPlan.BALANCES,
        status=Status.CONNECTED,
        code=None,
        cause="",
        who_acts="nobody",
        reply="Everything works.",
        grants={Permission.READ: Grant(Answer.YES, Proof.TOLD, NOW, "GET /x")},
        checked_at=NOW,
        next_check_at=None,
        expires_at=None,
        created_at=NOW,
        checks=({"code": "ok", "started_at": NOW},),
    )
    return replace(case, **changes)  # type: ignore[arg-type]  # the field names are checked by replace itself


class KnownCases:
    """Stands for the credentials service: gives these cases and remembers what was asked."""

    def __init__(self, *cases: SupportCredentialView) -> None:
        self.cases = list(cases)
        self.asked: list[str] = []

    async def find_for_support(self, query: str) -> list[SupportCredentialView]:
        self.asked.append(query)
        return self.cases
