"""`keydeck exchanges`: what Keydeck asks each exchange and what it can know of a key, as lines or as the document."""

import asyncio
from typing import Annotated

import typer

from app.clock import utc_now
from app.credentials.honesty import ExchangeFacts, rehearse
from app.credentials.tables import write_exchanges
from app.exchanges.registry import find_adapters
from app.exchanges.types import ProbePolicy


def exchanges(
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print docs/exchanges.md.")] = False,
) -> None:
    """Tell which calls are made at each exchange, and which rights of a key are told, probed or unknown."""
    table = asyncio.run(rehearse(find_adapters(), clock=utc_now))
    if as_markdown:
        typer.echo(write_exchanges(table), nl=False)
        return
    for facts in table:
        for line in _list_lines(facts):
            typer.echo(line)


def _list_lines(facts: ExchangeFacts) -> list[str]:
    lines = [f"{facts.exchange.name} (verified {facts.exchange.verified_on}): keeps to {', '.join(facts.limits)}"]
    lines += [f"  {call.label}: {'; '.join(call.purposes)}" for call in facts.calls]
    for site in facts.sites:
        lines.append(f"  Rights at {' and '.join(site.names)} (KEYDECK_PROBES={'/'.join(ProbePolicy)}):")
        lines += [f"    {right.permission.value:9} {' / '.join(right.known.values())}" for right in site.rights]
    return lines
