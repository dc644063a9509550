"""One problem type for pages and API: what is wrong, who must act, what to do next. Never echoes input."""

from collections.abc import Mapping
from typing import Any


class Problem(Exception):
    """An answer that is not what the person asked for. `code` is stable, the rest is written for people."""

    def __init__(
        self,
        code: str,
        *,
        status: int,
        title: str,
        detail: str = "",
        who_acts: str = "trader",
        next_step: str = "",
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.status = status
        self.title = title
        self.detail = detail
        self.who_acts = who_acts
        self.next_step = next_step
        self.extra = dict(extra or {})


class NotFound(Problem):
    """The same answer for an id that never existed and for another user's."""

    def __init__(self, what: str = "page") -> None:
        super().__init__(
            "not_found",
            status=404,
            title=f"There is no such {what}",
            detail="It was removed, or it never existed.",
            next_step="Go back to the list.",
        )


class SignInNeeded(Problem):
    """No valid session or token. Pages answer with a redirect to the sign-in page, the API with 401."""

    def __init__(self) -> None:
        super().__init__("sign_in_needed", status=401, title="Sign in first", next_step="Sign in, or send a valid API token.")


class Forbidden(Problem):
    """Signed in, but the role or the token's scope does not allow this."""

    def __init__(self, needed: str) -> None:
        super().__init__(
            "forbidden",
            status=403,
            title="You may not open this",
            detail=f"It needs {needed}.",
            who_acts="operator",
            next_step="Ask your operator if you should have it.",
        )
