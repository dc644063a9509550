"""What a piece of work took of memory at its highest: by Python's own count, and as the system sees the process."""

import gc
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_STATUS = Path("/proc/self/status")
_PEAK = Path("/proc/self/clear_refs")


@dataclass
class Growth:
    """Bytes at the highest above the start, told when the work is over; `resident` is None where no system tells it."""

    traced: int | None = None
    resident: int | None = None


@contextmanager
def watch_memory(*, traces: bool) -> Iterator[Growth]:
    """Measure the block. `traces` counts Python's own objects too, which makes the block several times slower."""
    growth = Growth()
    gc.collect(1)  # what came just before must not be in the start; a whole collection would cost a tenth of a second
    start = reset_peak()
    if traces:
        tracemalloc.start()
    try:
        yield growth
        if traces:
            growth.traced = tracemalloc.get_traced_memory()[1]
        if start is not None:
            growth.resident = read_status("VmHWM") - start
    finally:
        tracemalloc.stop()


def reset_peak() -> int | None:
    """Let the highest resident memory count from now on, and return today's bytes; None on a system without the count."""
    try:
        _PEAK.write_text("5")
    except OSError:
        return None
    return read_status("VmRSS")


def read_status(field: str) -> int:
    """Return a count of the process in bytes: VmRSS (now) or VmHWM (the highest since `reset_peak`)."""
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024
