"""doctor, vault: what is stored, and whether it opens. No command returns a secret."""

from pathlib import Path
from typing import Annotated

import typer

from app import schema
from app.clock import utc_now
from app.commands.console import EXIT_CONFIGURATION, answer, fail, open_database, run
from app.settings import Settings
from app.vault.doctor import DoctorReport, Initialised, init_vault, verify_vault
from app.vault.keyring import create_keyring

Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
vault = typer.Typer(help="The key ring and what it seals.", no_args_is_help=True)


@vault.command("init")
def init(
    keyring_file: Annotated[Path | None, typer.Option(help="Only make this key ring file; the database is not touched.")] = None,
) -> None:
    """Make the key ring of a new database. Keep a copy of the file apart from the database's backup."""
    if keyring_file is not None:
        try:
            ring = create_keyring(keyring_file, created_at=utc_now())
        except OSError as error:
            fail(f"the key ring {keyring_file} cannot be made ({type(error).__name__})", exit_code=EXIT_CONFIGURATION)
        typer.echo(f"Made {keyring_file}: {ring.describe()}")
        return
    made = run(_init)
    state = "Made the key ring" if made.has_new_ring else "The key ring is the right one"
    typer.echo(f"{state}: " + ", ".join(f"{key.kid} {key.state.value}, check value {key.check}" for key in made.keys))


@vault.command("verify")
def verify(as_json: Json = False) -> None:
    """Open every stored credential; exit code 1 when one does not open."""
    _show(run(_verify), as_json=as_json)


def doctor(as_json: Json = False) -> None:
    """Examine schema, key ring and every stored credential."""
    _show(run(_verify), as_json=as_json)


async def _init(settings: Settings) -> Initialised:
    async with open_database(settings) as database:
        return await init_vault(database, keyring_path=settings.keyring_path, clock=utc_now)


async def _verify(settings: Settings) -> DoctorReport:
    async with open_database(settings) as database:
        revision = await schema.fetch_revision(database)
        if revision != schema.read_head():
            fail("the database is not up to date: run `keydeck migrate` first", exit_code=EXIT_CONFIGURATION)
        return await verify_vault(database, keyring_path=settings.keyring_path)


def _show(report: DoctorReport, *, as_json: bool) -> None:
    lines = [f"{key.kid}: {key.state.value}, check value {key.check}" for key in report.keys]
    lines += [f"{count} credentials under {kid}" for kid, count in report.credentials_per_kid.items()]
    lines += [f"{one.credential_id} does not open: {one.reason}" for one in report.unopened]
    lines += [f"{value_id} does not open: a secret of Keydeck's own" for value_id in report.values_unopened]
    lines.append("Every stored credential opens" if not report.unopened else f"{len(report.unopened)} credentials do not open")
    answer(report.as_document(), as_json=as_json, lines=lines)
    if not report.is_sound:
        raise typer.Exit(1)
