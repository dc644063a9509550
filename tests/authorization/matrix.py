"""The authorization table as text: how an answer is named, how the checked-in file is read and written."""

from pathlib import Path
from urllib.parse import urlsplit

import httpx

from tests.authorization.world import PRINCIPALS

FILE = Path(__file__).parent / "matrix.txt"
PAGE = Path(__file__).parents[2] / "docs/operators/access.md"
Row = tuple[str, str]
Table = dict[Row, dict[str, str]]
OUTCOMES = {
    "ok": "done, or the page was shown",
    "sign-in": "sent to the sign-in page; nothing done",
    "401": "not signed in, or the token is worth nothing",
    "403": "signed in, but the role or the token's scope does not allow it",
    "404": "no such thing, or not yours: nobody can tell which",
    "code": "asked for the second factor first; nothing done",
    "proof": "asked to confirm who they are: the last proof is older than five minutes; nothing done",
    "factor": "told to set up a second factor first; nothing done",
    "422": "may do it, but what is sent for this row does not fit this asker (a code that is not theirs, nothing to remove)",
}
HEAD = """\
# Who may do what: every route and method of the app (rows) for every kind of asker (columns), as it must answer.
# Each cell is really requested by tests/authorization/test_matrix.py. A route that is not here fails the build.
# After a change: KEYDECK_WRITE_TABLES=1 .venv/bin/pytest tests/authorization -q, then read the difference line by line.
#
"""


PLACES = {"/sign-in": "sign-in", "/sign-in/code": "code", "/security/confirm": "proof", "/security/two-step": "factor"}
CODES = {"proof_needed": "proof", "factor_needed": "factor"}
REFUSED = frozenset({"sign-in", "401", "403", "404", "code", "proof", "factor"})


def name_outcome(answer: httpx.Response) -> str:
    """Return the class of an answer: what authorization decided, not what the page says."""
    if answer.status_code in (301, 302, 303, 307, 308):
        place, is_done = urlsplit(answer.headers["location"]).path, "done=" in answer.headers["location"]
        is_its_own = PLACES.get(place) == "factor" and answer.request.url.path == f"{place}/app"  # its first step, done
        return "ok" if is_its_own or is_done else PLACES.get(place, "ok")
    if answer.status_code == 403:
        is_document = answer.headers["content-type"].startswith("application/problem+json")
        confirms = not is_document and 'action="/security/confirm"' in answer.text
        return CODES.get(answer.json()["code"], "403") if is_document else "proof" if confirms else "403"
    return "ok" if answer.status_code < 400 else "422" if answer.status_code in (409, 422) else str(answer.status_code)


def write_table(table: Table) -> str:
    """Return the file's text: one line per route, aligned so that people can read down a column."""
    widest = max(len(path) for _, path in table)
    notes = [f"# {name:<11}{words}" for name, words in {**PRINCIPALS, **OUTCOMES}.items()]
    rule = "#"
    head = f"{'method':<7} {'path':<{widest}} " + " ".join(f"{name:<{_width(name)}}" for name in PRINCIPALS)
    lines = [
        f"{method:<7} {path:<{widest}} " + " ".join(f"{cells[name]:<{_width(name)}}" for name in PRINCIPALS)
        for (method, path), cells in table.items()
    ]
    return HEAD + "\n".join([*notes, rule, head.rstrip(), *(line.rstrip() for line in lines)]) + "\n"


def _width(name: str) -> int:
    return max(len(name), len("sign-in"))


def read_table(text: str) -> Table:
    """Read the checked-in file. Raises AssertionError for a line that is not a whole row."""
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    names = lines[0][2:]
    table: Table = {}
    for method, path, *cells in lines[1:]:
        assert len(cells) == len(names), f"{method} {path}: {len(cells)} cells for {len(names)} columns"
        assert (method, path) not in table, f"{method} {path} stands there twice"
        table[method, path] = dict(zip(names, cells, strict=True))
    return table


PAGE_HEAD = """\
# Who may do what

Every page and every call of Keydeck, and how it answers each kind of asker. This page is written from
`tests/authorization/matrix.txt`; a test really asks every cell on each database, so it is what the server does. Nobody but
the owner is ever answered with a label, a key hint, a balance or a secret: the same test looks for marked ones in every answer.

Trader B is told the same about an id of trader A as about one that never existed.
"""


def write_page(table: Table) -> str:
    """Return the table as a page for people."""
    lines = ["", "| asker | who that is |", "| --- | --- |"]
    lines += [f"| {name} | {words} |" for name, words in PRINCIPALS.items()]
    lines += ["", "| answer | means |", "| --- | --- |"]
    lines += [f"| {name} | {words} |" for name, words in OUTCOMES.items()]
    for title, is_shown in (("Pages", _is_page), ("JSON API", _is_call)):
        lines += _write_section(title, {row: cells for row, cells in table.items() if is_shown(row[1])})
    return PAGE_HEAD + "\n".join(lines) + "\n"


def _write_section(title: str, table: Table) -> list[str]:
    """Return the lines of one half; askers who are always answered like strangers need no column of their own."""
    names = [name for name in PRINCIPALS if any(cells[name] != cells["anon"] for cells in table.values())]
    alike = [name for name in PRINCIPALS if name not in names and name != "anon"]
    lines = ["", f"## {title}", "", f"Answered like `anon` throughout: {', '.join(alike)}.", ""]
    lines += [f"| | anon | {' | '.join(names)} |", "| --- | --- |" + " --- |" * len(names)]
    return lines + [
        f"| `{method} {path}` | {' | '.join(cells[name] for name in ['anon', *names])} |"
        for (method, path), cells in table.items()
    ]


def _is_call(path: str) -> bool:
    return path.startswith("/api/")


def _is_page(path: str) -> bool:
    return not _is_call(path)
