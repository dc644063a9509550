"""What every command shares: settings, one clear line on failure with an exit code, answers for people or programs."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import typer
from sqlalchemy.exc import SQLAlchemyError

from app.db import Database
from app.exchanges.registry import RegistryError
from app.settings import Settings, SettingsError, load_settings
from app.vault.boot import VaultRefusal
from app.web.errors import Problem

Result = TypeVar("Result")
EXIT_USAGE = 64
EXIT_UNAVAILABLE = 69
EXIT_CONFIGURATION = 78


def fail(line: str, *, exit_code: int = 1) -> NoReturn:
    """Say one line on standard error and end."""
    typer.echo(f"keydeck: {line}", err=True)
    raise typer.Exit(exit_code)


def read_settings() -> Settings:
    try:
        return load_settings()
    except SettingsError as error:
        fail(str(error), exit_code=EXIT_CONFIGURATION)


def run(work: Callable[[Settings], Coroutine[Any, Any, Result]]) -> Result:
    """Run an asynchronous command; every foreseen failure becomes one line and an exit code, never a traceback."""
    settings = read_settings()
    try:
        return asyncio.run(work(settings))
    except Problem as problem:
        exit_code = EXIT_USAGE if problem.code == "invalid_input" else 1
        fail(f"{problem.title}. {problem.detail}".strip(), exit_code=exit_code)
    except VaultRefusal as refusal:
        fail(str(refusal), exit_code=refusal.exit_code)
    except RegistryError as error:
        fail(str(error), exit_code=EXIT_CONFIGURATION)
    except (SQLAlchemyError, OSError) as error:
        fail(
            f"{describe_database(settings)} cannot be used ({type(error).__name__}): check KEYDECK_DATABASE_URL",
            exit_code=EXIT_UNAVAILABLE,
        )


def describe_database(settings: Settings) -> str:
    """Name the kind of database for a message; never its URL, which may hold a password."""
    return "the SQLite database" if "sqlite" in settings.database_url_text.reveal()[:7] else "the PostgreSQL database"


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[Database]:
    if settings.database_url is None:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = Database(settings.database_url_text)
    try:
        yield database
    finally:
        await database.aclose()


def answer(value: Any, *, as_json: bool, lines: list[str]) -> None:
    """Print the answer as JSON for programs, or as lines for people."""
    if as_json:
        typer.echo(json.dumps(value, ensure_ascii=False, default=str))
    else:
        for line in lines:
            typer.echo(line)


def read_secret_text(source: str) -> str:
    """Return a secret from a file, or from standard input for `-`; one trailing line break is not part of it."""
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
    except OSError:
        fail(f"the file {source} cannot be read", exit_code=EXIT_USAGE)
    return text.removesuffix("\n").removesuffix("\r")
