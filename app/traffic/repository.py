"""Queries of what processes share about calls, for PostgreSQL: each is one statement, and the database's clock counts.

Spans go in and come out as seconds: no process' own clock is compared with the database's.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_MAKE_ROWS = text("""
INSERT INTO exchange_places (way, origin, path, free_at)
SELECT CAST(:way AS text), CAST(:origin AS text), path, clock_timestamp() - interval '1 hour'
FROM unnest(CAST(:paths AS text[])) AS path ORDER BY path ON CONFLICT DO NOTHING
""")
_TAKE_PLACES = text("""
WITH clock AS MATERIALIZED (
  SELECT clock_timestamp() AS now,
    CAST(:width AS float8) * interval '1 second' AS width, CAST(:within AS float8) * interval '1 second' AS within),
held AS MATERIALIZED (
  SELECT free_at FROM exchange_places
  WHERE way = :way AND origin = :origin AND path = ANY(CAST(:paths AS text[])) ORDER BY path FOR UPDATE),
lot AS MATERIALIZED (SELECT greatest((SELECT max(free_at) FROM held), now) AS opens_at FROM clock),
taken AS (
  UPDATE exchange_places SET free_at = lot.opens_at + clock.width FROM lot, clock
  WHERE way = :way AND origin = :origin AND path = ANY(CAST(:paths AS text[])) AND lot.opens_at <= clock.now + clock.within
  RETURNING 1)
SELECT CAST(extract(epoch FROM lot.opens_at - clock.now) AS float8) AS opens_in,
  (SELECT count(*) FROM taken) = (SELECT count(*) FROM held) AS is_taken, (SELECT count(*) FROM held) AS rows,
  r.failures, CAST(extract(epoch FROM clock.now - r.failing_since) AS float8) AS failing_for,
  CAST(extract(epoch FROM r.next_try_at - clock.now) AS float8) AS next_try_in
FROM clock CROSS JOIN lot LEFT JOIN exchange_rests AS r ON r.way = :way AND r.origin = :origin
""")
_READ_RESTS = text("""
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now)
SELECT way, origin, failures, CAST(extract(epoch FROM now - failing_since) AS float8) AS failing_for,
  CAST(extract(epoch FROM next_try_at - now) AS float8) AS next_try_in
FROM exchange_rests CROSS JOIN clock
""")
_CLAIM_PROBE = text("""
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now)
UPDATE exchange_rests SET next_try_at = now + CAST(:hold AS float8) * interval '1 second' FROM clock
WHERE way = :way AND origin = :origin AND next_try_at <= now RETURNING next_try_at
""")
_NOTE_FAILURE = text("""
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now, CAST(:every AS float8) * interval '1 second' AS every)
INSERT INTO exchange_rests AS r (way, origin, failures, failing_since, next_try_at)
SELECT CAST(:way AS text), CAST(:origin AS text), 1, now, CAST(NULL AS timestamptz) FROM clock
ON CONFLICT (way, origin) DO UPDATE SET failures = r.failures + 1, next_try_at = CASE
  WHEN CAST(:is_probe AS boolean) OR (r.next_try_at IS NULL AND r.failures + 1 >= CAST(:most AS integer))
  THEN (SELECT now + every FROM clock) ELSE r.next_try_at END
RETURNING failures, CAST(extract(epoch FROM (SELECT now FROM clock) - failing_since) AS float8) AS failing_for,
  CAST(extract(epoch FROM next_try_at - (SELECT now FROM clock)) AS float8) AS next_try_in
""")
_END_REST = text("DELETE FROM exchange_rests WHERE way = :way AND origin = :origin")
_GIVE_PROBE_BACK = text("""
UPDATE exchange_rests SET next_try_at = clock_timestamp() + CAST(:wait AS float8) * interval '1 second'
WHERE way = :way AND origin = :origin AND next_try_at = CAST(:held_until AS timestamptz)
""")
_TAKE_TURN = text("""
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now, CAST(:hold AS float8) * interval '1 second' AS hold),
taken AS (
  INSERT INTO exchange_turns AS t (key_id, holder, held_until, free_at, last_number)
  SELECT CAST(:key_id AS text), CAST(:holder AS text), now + hold, now, 0 FROM clock
  ON CONFLICT (key_id) DO UPDATE SET holder = CAST(:holder AS text), held_until = (SELECT now + hold FROM clock)
    WHERE t.held_until <= (SELECT now FROM clock) AND (t.holder = :holder OR t.free_at <= (SELECT now FROM clock))
  RETURNING last_number)
SELECT taken.last_number, CAST(extract(epoch FROM greatest(t.held_until, t.free_at) - clock.now) AS float8) AS wait
FROM clock LEFT JOIN taken ON true LEFT JOIN exchange_turns AS t ON t.key_id = :key_id
""")
_END_TURN = text("""
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now)
UPDATE exchange_turns SET held_until = now, free_at = now + CAST(:gap AS float8) * interval '1 second',
  last_number = greatest(last_number, CAST(:last_number AS bigint))
FROM clock WHERE key_id = :key_id AND holder = :holder
""")
_FORGET_TURNS = text("DELETE FROM exchange_turns WHERE held_until < clock_timestamp() - interval '1 day'")


@dataclass(frozen=True, slots=True)
class RestRow:
    """How often and since when a lane has failed; `next_try_in` is None while it is still asked. Spans in seconds."""

    failures: int
    failing_for: float
    next_try_in: float | None


@dataclass(frozen=True, slots=True)
class LotRow:
    """When the next places open, as seconds from now, and whether they were taken: not when they open too late."""

    opens_in: float
    is_taken: bool
    rest: RestRow | None


async def take_places(
    connection: AsyncConnection, *, way: str, origin: str, paths: list[str], width: float, within: float
) -> LotRow:
    """Take the next `width` seconds of all these limits, when they open `within` that many."""
    values = {"way": way, "origin": origin, "paths": paths, "width": width, "within": within}
    row = (await connection.execute(_TAKE_PLACES, values)).one()
    if row.rows < len(paths):  # never asked before
        await connection.execute(_MAKE_ROWS, {"way": way, "origin": origin, "paths": paths})
        row = (await connection.execute(_TAKE_PLACES, values)).one()
    rest = None if row.failures is None else RestRow(row.failures, row.failing_for, row.next_try_in)
    return LotRow(row.opens_in, row.is_taken, rest)


async def list_rests(connection: AsyncConnection) -> dict[tuple[str, str], RestRow]:
    """Return every lane that fails, by way and origin."""
    rows = await connection.execute(_READ_RESTS)
    return {(row.way, row.origin): RestRow(row.failures, row.failing_for, row.next_try_in) for row in rows}


async def claim_probe(connection: AsyncConnection, *, way: str, origin: str, hold: float) -> datetime | None:
    """Take the one question that a resting lane may be asked now, for `hold` seconds; None: not due, or somebody else's.

    The moment until which it is held is the mark of whoever holds it.
    """
    held_until: datetime | None = await connection.scalar(_CLAIM_PROBE, {"way": way, "origin": origin, "hold": hold})
    return held_until


async def note_failure(connection: AsyncConnection, *, way: str, origin: str, is_probe: bool, most: int, every: float) -> RestRow:
    """Count a failure; with the `most`th in a row, or a failed probe, the lane rests for `every` seconds."""
    values = {"way": way, "origin": origin, "is_probe": is_probe, "most": most, "every": every}
    row = (await connection.execute(_NOTE_FAILURE, values)).one()
    return RestRow(row.failures, row.failing_for, row.next_try_in)


async def end_rest(connection: AsyncConnection, *, way: str, origin: str) -> None:
    """Forget the failures of a lane: it answers."""
    await connection.execute(_END_REST, {"way": way, "origin": origin})


async def give_probe_back(connection: AsyncConnection, *, way: str, origin: str, held_until: datetime, wait: float) -> None:
    """Let somebody else ask in `wait` seconds, if the question is still ours: it ended without a verdict."""
    values = {"way": way, "origin": origin, "held_until": held_until, "wait": wait}
    await connection.execute(_GIVE_PROBE_BACK, values)


async def take_turn(connection: AsyncConnection, *, key_id: str, holder: str, hold: float) -> tuple[int | None, float]:
    """Take the turn of a key; return its last number, or None and the seconds after which to ask again."""
    row = (await connection.execute(_TAKE_TURN, {"key_id": key_id, "holder": holder, "hold": hold})).one()
    return row.last_number, row.wait or 0.0


async def end_turn(connection: AsyncConnection, *, key_id: str, holder: str, last_number: int, gap: float) -> None:
    values: dict[str, Any] = {"key_id": key_id, "holder": holder, "last_number": last_number, "gap": gap}
    await connection.execute(_END_TURN, values)


async def forget_turns(connection: AsyncConnection) -> None:
    """Drop the turns of keys that nobody used for a day: any clock is ahead of their numbers by now."""
    await connection.execute(_FORGET_TURNS)
