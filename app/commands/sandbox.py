"""`keydeck sandbox`: the simulated exchanges on a port of their own, and the keys that open them."""

from typing import Annotated

import typer
import uvicorn

from app.clock import utc_now
from app.commands.console import answer, read_settings
from app.exchanges.types import ProbePolicy
from app.sandbox.app import create_sandbox
from app.sandbox.keys import SandboxKey, list_keys

app = typer.Typer(help="The simulated exchanges.", invoke_without_command=True, no_args_is_help=False)


@app.callback()
def sandbox(
    context: typer.Context,
    port: Annotated[int, typer.Option(help="Port to listen on, loopback only.")] = 8100,
    latency_ms: Annotated[int, typer.Option(help="Delay of every answer.", min=0)] = 0,
) -> None:
    """Play HitBTC, HTX and bitexbit under /hitbtc, /htx and /bitexbit."""
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
