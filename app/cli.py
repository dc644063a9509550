"""The `keydeck` command: puts the commands of every noun together.

Passwords and secrets come by prompt, standard input or file, never as an argument: arguments show in process lists.
"""

import os

import typer

from app.commands import credentials, exchanges, people, sandbox, server, stored_keys, worker

app = typer.Typer(
    name="keydeck",
    help="Self-hosted multi-exchange dashboard.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # its tracebacks print local variables
)
app.command()(server.serve)
app.command()(worker.worker)
app.command()(server.migrate)
app.command()(server.healthcheck)
app.command()(server.openapi)
app.command()(exchanges.exchanges)
app.command()(stored_keys.doctor)
app.add_typer(sandbox.app, name="sandbox")
app.add_typer(people.users, name="users")
app.add_typer(people.tokens, name="tokens")
app.add_typer(credentials.credentials, name="credentials")
app.add_typer(stored_keys.vault, name="vault")


def main() -> None:
    """Run the command line. What it writes (database, key ring) is for its own user only."""
    os.umask(0o077)
    app()
