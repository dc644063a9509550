"""Everything about people as one service; each part lives in the file of its noun."""

from app.accounts.activity import Activity
from app.accounts.api_tokens import ApiTokens
from app.accounts.entrances import Entrances
from app.accounts.people import People
from app.accounts.resets import Resets
from app.accounts.sessions import Sessions
from app.accounts.step_up import StepUp


class Accounts(Entrances, StepUp, Resets, Sessions, People, ApiTokens, Activity):
    """`Accounts(session, clock=…, passwords=…, settings=…, vault=…)`.

    Ways in and back in, second factors and fresh proofs, sessions, people, API tokens, own activity.
    """
