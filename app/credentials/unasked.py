"""Checks that came to nothing because nobody was asked, or nobody listened: they say nothing of the key and are no checks.

The server's own checks that end so are put off; one that a person waits for is told and kept as it ended.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.credentials.check_run import CheckOutcome
from app.credentials.questions import Answer, Question
from app.credentials.schedule import SPREAD
from app.credentials.status import CHECK_TIME
from app.exchanges.errors import ExchangeError, LimitsUnknown, RateLimited, Resting, StoodStill

SOON_SECONDS = 10.0


class Reason(StrEnum):
    """Why nobody was asked, as logs and metrics call it. The last two are this server's own troubles."""

    CROWDED = "crowded"
    RESTING = "resting"
    LIMITS_UNKNOWN = "limits_unknown"
    STOOD_STILL = "stood_still"


OURS = frozenset({Reason.LIMITS_UNKNOWN, Reason.STOOD_STILL})


@dataclass(frozen=True, slots=True)
class Unasked:
    """Why a check came to nothing, and after how many seconds to make it again."""

    reason: Reason
    seconds: float


def find_unasked(answer: Answer | None) -> Unasked | None:
    """Return why the answer is none; None for one that tells something: of the key, of the exchange, or of a fault of ours."""
    if answer is None or answer.error is None:
        return None
    if isinstance(answer, CheckOutcome) and answer.report is not None and answer.code != "ok":
        return None  # what the key has shown by then must not wait
    met = [entry.http_status for entry in answer.evidence if entry.outcome == answer.error.code]
    reason = _name(answer.error, is_sent=not met or any(status is not None for status in met))
    if reason is None:
        return None
    asked = (answer.error.retry_after_seconds or 0.0) / (1 - SPREAD)  # the wait may be drawn shorter by so much
    return Unasked(reason, max(SOON_SECONDS, asked))


def is_in_time(question: Question, *, now: datetime) -> bool:
    """Return whether our mark holds: if not, this process stood still, and so did the answer."""
    return now - question.marked_at < CHECK_TIME


def _name(error: ExchangeError, *, is_sent: bool) -> Reason | None:
    if isinstance(error, StoodStill):
        return Reason.STOOD_STILL
    if isinstance(error, LimitsUnknown):
        return Reason.LIMITS_UNKNOWN
    if isinstance(error, Resting):
        return Reason.RESTING
    return Reason.CROWDED if isinstance(error, RateLimited) and not is_sent else None
