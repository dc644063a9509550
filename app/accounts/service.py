"""Everything about people as one service; each part lives in the file of its noun."""

from app.accounts.activity import Activity
from app.accounts.api_tokens import ApiTokens
from app.accounts.entrances import Entrances
from app.accounts.people import People
from app.accounts.sessions import Sessions


class Accounts(Entrances, Sessions, People, ApiTokens, Activity):
    """`Accounts(session, clock=…, passwords=…, settings=…)`: ways in, sessions, people, API tokens, own activity."""
