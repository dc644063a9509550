"""Writes the two generated documents: what Keydeck asks each exchange, and what each sandbox key comes to."""

from collections.abc import Iterable, Mapping, Sequence

from app.credentials.honesty import ExchangeFacts, SiteFacts
from app.credentials.rehearsal import Played
from app.exchanges.types import ProbePolicy

_ACTORS = {"trader": "the trader", "operator": "the operator", "exchange": "the exchange", "nobody": "nobody"}
_EXCHANGES_TOP = """# What Keydeck asks each exchange, and what it can know

Written by `keydeck exchanges --markdown`. Calls and limits are those the adapters declare: a call that is not listed is
refused before it reaches the network. How rights come to be known was seen by checking the sandbox's keys.

- **told**: the exchange itself says what the key may do.
- **probed**: a call that can change nothing was answered, or refused, as only a key with, or without, the right is.
- **unknown**: nothing Keydeck may ask shows it. A right that is unknown is never shown as off.

`KEYDECK_PROBES` decides what may be asked: `reads` (calls that only read), `harmless` (also calls that cannot come to
anything; the default) or `all` (also an empty withdrawal request, where an exchange has no other answer).
"""
_SCENARIOS_TOP = """# What each sandbox key comes to

Written by `keydeck sandbox table --markdown`, by connecting each key to the simulated exchange: the status, the problem
code, and the words a trader reads. "Kept" says whether the key is stored, "where" on which page the next step is taken.
With `KEYDECK_PROBES=harmless` and `KEYDECK_WITHDRAW_POLICY=refuse`, the defaults, on a server whose address is
127.0.0.1, on 21 November 2026.
"""


def write_exchanges(table: Iterable[ExchangeFacts]) -> str:
    """Return docs/exchanges.md."""
    return "\n".join([_EXCHANGES_TOP, *(_write_exchange(facts) for facts in table)])


def _write_exchange(facts: ExchangeFacts) -> str:
    calls = [
        (f"`{call.label}`", "; ".join(call.purposes), "yes" if call.is_signed else "no", _name_policies(call.probes))
        for call in facts.calls
    ]
    parts = [
        f"## {facts.exchange.name}\n",
        f"Last verified against its documents: {facts.exchange.verified_on}.\n",
        _write_table(("call", "what for", "signed", "asked with `KEYDECK_PROBES`"), calls),
        *(_write_rights(site, is_alone=len(facts.sites) == 1) for site in facts.sites),
        f"From one address Keydeck keeps to {'; '.join(facts.limits)}. {facts.notes}\n",
        *(f"One answer for several reasons (`{doubt.code}`): {doubt.words}\n" for doubt in facts.doubts),
    ]
    return "\n".join(parts)


def _write_rights(site: SiteFacts, *, is_alone: bool) -> str:
    head = ("right" if is_alone else f"right, at {' and '.join(site.names)}", *(f"`{policy.value}`" for policy in ProbePolicy))
    return _write_table(head, [(right.permission.value, *right.known.values()) for right in site.rights])


def write_scenarios(played: Mapping[ProbePolicy, Sequence[Played]], names: Mapping[str, str]) -> str:
    """Return docs/scenarios.md; `names` are the exchanges' names by slug."""
    usual = played[ProbePolicy.HARMLESS]
    parts = [_SCENARIOS_TOP]
    for slug, name in names.items():
        rows = [one for one in usual if one.key.exchange == slug]
        parts += [f"## {name}\n", _write_scenarios(rows)]
    for policy in (ProbePolicy.READS, ProbePolicy.ALL):
        parts.append(f"## With `KEYDECK_PROBES={policy.value}`\n")
        pairs = zip(played[policy], usual, strict=True)
        rows = [one for one, other in pairs if (one.status, one.advice, one.stored) != (other.status, other.advice, other.stored)]
        parts += ["Different from the tables above:\n", _write_scenarios(rows, names=names)] if rows else ["Nothing differs.\n"]
    return "\n".join(parts)


def _write_scenarios(rows: Sequence[Played], *, names: Mapping[str, str] | None = None) -> str:
    head = ("key", "plan", "status", "code", "kept", "who acts", "cause", "next step", "where")
    return _write_table(
        head if names is None else ("exchange", *head),
        [(*([names[one.key.exchange]] if names else []), *_list_cells(one)) for one in rows],
    )


def _list_cells(one: Played) -> tuple[str, ...]:
    advice = one.advice
    said = (f"`{advice.code}`", _ACTORS[advice.who_acts], advice.cause, advice.remedy) if advice else ("–", "nobody", "–", "–")
    code, *words = said
    if one.notices:
        mended = " ".join(f"{notice.cause} {notice.remedy}" for notice in one.notices)
        words = [words[0], words[1], mended if words[2] == "–" else f"{words[2]} Besides: {mended}"]
    link = advice.link if advice else next((notice.link for notice in one.notices), None)
    words.append(f"[key page]({link})" if link else "–")
    return (f"`{one.key.scenario}`", one.key.plan, f"`{one.status.value}`", code, "yes" if one.stored else "no", *words)


def _name_policies(policies: Sequence[ProbePolicy]) -> str:
    return "any" if len(policies) == len(ProbePolicy) else ", ".join(f"`{policy.value}`" for policy in policies)


def _write_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
