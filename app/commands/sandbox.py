"""`keydeck sandbox`: the simulated exchanges on a port of their own, and the keys that open them."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import typer
import uvicorn

from app.clock import utc_now
from app.commands.console import answer, read_settings
from app.credentials.rehearsal import Played, Server, play
from app.credentials.tables import write_scenarios
from app.exchanges.registry import find_adapters
from app.exchanges.types import ProbePolicy
from app.sandbox.app import create_sandbox
from app.sandbox.keys import SandboxKey, list_keys

app = typer.Typer(help="The simulated exchanges.", invoke_without_command=True, no_args_is_help=False)
_TABLE_ADDRESS = "127.0.0.1"  # where the sandbox sees calls come from
_TABLE_MOMENT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)  # the table names days


@app.callback()
def sandbox(
    context: typer.Context,
    port: Annotated[int, typer.Option(help="Port to listen on, loopback only.")] = 8100,
    latency_ms: Annotated[int, typer.Option(help="Delay of every answer.", min=0)] = 0,
) -> None:
    """Play every exchange under its own path: /hitbtc, /htx …"""
    if context.invoked_subcommand is None:
        typer.echo(f"Sandbox exchanges at http://127.0.0.1:{port}/<exchange>; keys: keydeck sandbox keys")
        uvicorn.run(
            create_sandbox(clock=utc_now, latency_ms=latency_ms),
            host="127.0.0.1",
            port=port,
            access_log=False,
            log_level="warning",
            server_header=False,
            date_header=False,  # the sandbox sends its own clock
        )


@app.command()
def keys(as_json: Annotated[bool, typer.Option("--json", help="Answer as JSON.")] = False) -> None:
    """List every sandbox key with what connecting it must give. They open nothing but the sandbox."""
    listed = list_keys(ProbePolicy(read_settings().probes))
    lines = [f"{key.exchange:10} {key.scenario:18} {key.plan:9} -> {key.status} {key.code or ''}" for key in listed]
    answer([describe_key(key) for key in listed], as_json=as_json, lines=lines)


@app.command()
def table(as_markdown: Annotated[bool, typer.Option("--markdown", help="Print docs/scenarios.md.")] = False) -> None:
    """Connect every sandbox key in memory, and tell what each comes to and what a trader reads."""
    played = asyncio.run(play_all())
    if as_markdown:
        names = {slug: kind.exchange.name for slug, kind in find_adapters().items()}
        typer.echo(write_scenarios(played, names), nl=False)
        return
    for one in played[ProbePolicy(read_settings().probes)]:
        words = f"{one.advice.code}: {one.advice.cause} {one.advice.remedy}" if one.advice else ""
        typer.echo(f"{one.key.exchange:10} {one.key.scenario:18} -> {one.status.value} {words}".rstrip())


async def play_all() -> dict[ProbePolicy, list[Played]]:
    """Return what every sandbox key comes to under each probe policy, on a made-up server on a made-up day."""
    kinds = find_adapters()
    server = Server(clock=lambda: _TABLE_MOMENT, egress=(_TABLE_ADDRESS,), links=True)
    return {
        probes: [await play(kinds[key.exchange], key, probes=probes, server=server) for key in list_keys(probes)]
        for probes in ProbePolicy
    }


def describe_key(key: SandboxKey) -> dict[str, object]:
    """Return the key as documented in the blueprint of `sandbox keys --json`; its secrets are public test data."""
    return {
        "exchange": key.exchange,
        "scenario": key.scenario,
        "secrets": {name: value.reveal() for name, value in key.secrets.items()},
        "plan": key.plan,
        "status": key.status,
        "code": key.code,
        "stored": key.stored,
        "words": key.words,
    }
