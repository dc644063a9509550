"""What the exchange saw, judged: never two processes at one key at once, never more calls than a limit allows."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from app.exchanges.types import CallLimit

JITTER_SECONDS = 0.1
"""Calls that left in time may arrive closer together by so much."""
WITHIN_SECONDS = 2.0
MARGINS = {"bitexbit": 2.0}
"""How much more an exchange allows than Keydeck takes: of bitexbit's published figure it takes half."""


@dataclass(frozen=True, slots=True)
class SeenCall:
    """One call as the exchange saw it, by its own monotonic clock."""

    began: float
    ended: float
    worker: str
    exchange: str
    key: str
    path: str
    away: bool


def read_calls(path: Path) -> list[SeenCall]:
    lines = [line for line in path.read_text(encoding="utf-8").split("\n") if line.endswith("}")]
    return sorted((SeenCall(**json.loads(line)) for line in lines), key=lambda call: call.began)


def find_overlaps(calls: Iterable[SeenCall]) -> list[tuple[SeenCall, SeenCall]]:
    """Return where a process called with a key while another process was at it: from its first call to its last one.

    Calls of a process that are farther apart than `WITHIN_SECONDS` belong to different checks.
    """
    by_key: dict[str, list[SeenCall]] = defaultdict(list)
    for call in calls:
        if call.key:
            by_key[call.key].append(call)
    found = []
    for of_key in by_key.values():
        stretches: list[list[SeenCall]] = []
        for call in of_key:
            own = next((stretch for stretch in reversed(stretches) if stretch[-1].worker == call.worker), None)
            if own is not None and call.began - own[-1].ended <= WITHIN_SECONDS:
                own.append(call)
            else:
                stretches.append([call])
        for first, second in combinations(stretches, 2):
            if first[0].began < second[-1].ended and second[0].began < max(call.ended for call in first):
                found.append((first[0], second[0]))
    return found


def find_peaks(calls: Iterable[SeenCall], limits: Mapping[str, Iterable[CallLimit]]) -> dict[tuple[str, str], float]:
    """Return, by exchange and limited path, how full the fullest window was: 1.0 is all that the exchange allows."""
    every = list(calls)
    peaks: dict[tuple[str, str], float] = {}
    for exchange, of_exchange in limits.items():
        for limit in of_exchange:
            moments = [call.began for call in every if call.exchange == exchange and call.path.startswith(limit.path)]
            most = limit.calls * MARGINS.get(exchange, 1.0)
            peaks[exchange, limit.path] = _count_fullest(moments, limit.seconds - JITTER_SECONDS) / most
    return peaks


def _count_fullest(moments: list[float], seconds: float) -> int:
    first = most = 0
    for place, moment in enumerate(moments):
        while moments[first] <= moment - seconds:
            first += 1
        most = max(most, place - first + 1)
    return most
