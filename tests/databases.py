"""Databases for tests: a migrated SQLite template to copy, and a private PostgreSQL cluster on a socket."""

import contextlib
import getpass
import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, pool

from app.masking import Secret

ROOT = Path(__file__).resolve().parent.parent


def migrate(url: str, *, revision: str = "head") -> None:
    """Run the real migrations on a database, by its synchronous URL."""
    engine = create_engine(url, poolclass=pool.NullPool)
    config = Config(str(ROOT / "alembic.ini"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


def create_sqlite_template(path: Path) -> Path:
    migrate(f"sqlite:///{path}")
    return path


def copy_sqlite(template: Path, path: Path) -> Secret:
    shutil.copyfile(template, path)
    return Secret(f"sqlite+aiosqlite:///{path}")


def find_postgres_programs() -> Path:
    """Return the folder of initdb and pg_ctl. Raises RuntimeError that names what to install."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) if Path("/usr/lib/postgresql").exists() else []
    on_path = shutil.which("initdb")
    if not found and not on_path:
        raise RuntimeError("PostgreSQL's server programs are missing: run tests/install-packages.sh")
    return found[-1].parent if found else Path(str(on_path)).parent


class PostgresCluster:
    """A cluster of its own in a temporary folder, reached by a socket, gone at the end."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder = folder
        self.programs = programs
        self._names = itertools.count(1)
        self._admin: psycopg.Connection = None  # type: ignore[assignment]  # until the cluster has started

    @classmethod
    @contextlib.contextmanager
    def start(cls) -> Iterator["PostgresCluster"]:
        folder = Path(tempfile.mkdtemp(prefix="keydeck-pg-"))
        cluster = cls(folder, find_postgres_programs())
        try:
            cluster._create()
            yield cluster
        finally:
            if cluster._admin is not None:
                cluster._admin.close()
            cluster._run("pg_ctl", "-D", str(folder / "data"), "-m", "immediate", "stop", check=False)
            shutil.rmtree(folder, ignore_errors=True)

    def _create(self) -> None:
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres")
        self._run(
            "initdb",
            "-D",
            str(self.folder / "data"),
            "-U",
            "keydeck",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-sync",
            "--locale=C.UTF-8",
        )
        options = f"-k {self.folder} -c listen_addresses='' -c fsync=off -c max_connections=200 -c timezone=UTC"
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-w", "-l", str(self.folder / "log"), "-o", options, "start")
        self._admin = psycopg.connect(host=str(self.folder), user="keydeck", dbname="postgres", autocommit=True)
        self._admin.execute("CREATE DATABASE template_keydeck")
        migrate(self._url("template_keydeck"))

    def _run(self, program: str, *arguments: str, check: bool = True) -> None:
        line = [str(self.programs / program), *arguments]
        if os.geteuid() == 0:
            line = ["runuser", "-u", "postgres", "--", *line]
        subprocess.run(line, check=check, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")

    def _url(self, name: str) -> str:
        return f"postgresql+psycopg://keydeck@/{name}?host={self.folder}"

    @contextlib.contextmanager
    def create_database(self, *, template: str = "template_keydeck") -> Iterator[Secret]:
        """Give the URL of a fresh database, migrated unless another template is named."""
        name = f"test_{getpass.getuser()}_{next(self._names)}"
        self._admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
        yield Secret(self._url(name))
        self._admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
