"""The words of a check's clock step: how far off, and what Keydeck does about it."""

import pytest

from app.credentials.check_run import describe_clock
from app.exchanges.registry import find_adapters
from app.exchanges.types import ClockReading

EXCHANGE = min(find_adapters().items())[1].exchange


@pytest.mark.parametrize(
    ("reading", "words"),
    [
        (ClockReading(None, 1), f"{EXCHANGE.name} does not tell its time here"),
        (ClockReading(-0.25, 1), "This server's clock differs by 0.2 s"),
        (
            ClockReading(93.4, 1, is_corrected=True),
            f"This server's clock differs by 93.4 s; calls are signed with {EXCHANGE.name}'s time until it is set right",
        ),
    ],
)
def test_the_clock_is_told(reading: ClockReading, words: str) -> None:
    assert describe_clock(reading, exchange=EXCHANGE) == words
