"""What is said to people whose proof of who they are does not reach: a second factor to set up, or a proof grown old."""

from app.web.errors import Problem


class FactorNeeded(Problem):
    """A role that needs a second factor, and none is set up yet: nothing opens but the page that sets one up."""

    def __init__(self) -> None:
        super().__init__(
            "factor_needed",
            status=403,
            title="Set up a second factor first",
            detail="Your role opens other people's accounts: a password alone is not enough for it.",
            next_step="Set up an authenticator app or a passkey on the Security page.",
        )


class ProofNeeded(Problem):
    """The last proof of who is asking is too old for what is asked. `kept` are the form's fields that may be shown again."""

    def __init__(self, kept: list[tuple[str, str]] | None = None) -> None:
        super().__init__(
            "proof_needed",
            status=403,
            title="Confirm that it is you",
            detail="This needs your password and second factor, or a passkey, given within the last five minutes.",
            next_step="Confirm it, then do it again.",
        )
        self.kept = kept or []
