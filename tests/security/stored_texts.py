"""Fills every stored free text with payloads, past all the checks that stand before the database."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Column, DateTime, Integer, LargeBinary

from app import models
from app.db import Base

assert models
ROWS = 50
NOON = "2026-11-21 12:00:00.000000"
# every text that a person, an exchange or a browser chooses and a page may show, by table
TEXTS: dict[str, tuple[str, ...]] = {
    "credentials": ("label", "key_hint", "account_id"),
    "credential_checks": ("told", "seen_ip"),
    "audit_events": ("actor_ip",),
    "user_sessions": ("user_agent", "ip"),
    "api_tokens": ("name",),
    "passkeys": ("name",),
    "alert_channels": ("name", "hint"),
    "users": ("email",),
    "invitations": ("email",),
}
# texts inside JSON, by table and column: what `_fill_documents` puts payloads into
DOCUMENTS = {
    "alerts": {"facts"},
    "audit_events": {"detail"},
    "credential_balances": {"document"},
    "credential_changes": {"facts"},
    "credential_checks": {"allowed_ips", "evidence", "steps"},
}
# JSON of our own words, of sealed values, or that no page shows
OTHER_DOCUMENTS = {
    "users.roles", "invitations.roles", "alert_channels.events", "api_tokens.scopes", "passkeys.transports",
    "sealed_values.fields", "credential_checks.grants", "credential_secrets.fields", "credential_watch.rights",
    "credential_watch.addresses", "credential_watch.conditions",
}  # fmt: skip
# what every row of these must hold for a page to show it; the texts among the facts are filled like the others
ALERT_KINDS = ("addresses_changed", "right_lost", "withdraw_gained", "channel_failed")
FACTS = ("before", "after", "lost", "name", "reason")
NAMES_OF_TEXTS = {"label", "name", "email", "user_agent", "told", "hint", "note", "ip", "actor_ip", "seen_ip", "title", "comment"}
Pick = Callable[[], str]


def list_undeclared() -> list[str]:
    """Return columns that look like free text and are not in TEXTS: a new one must be filled, too."""
    texts = ((table.name, column.name) for table in Base.metadata.sorted_tables for column in table.columns)
    found = [f"{table}.{name}" for table, name in texts if name in NAMES_OF_TEXTS and name not in TEXTS.get(table, ())]
    documents = [
        f"{table.name}.{column.name}"
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, JSON) and column.name not in DOCUMENTS.get(table.name, ())
    ]
    forgotten = [name for name in documents if name not in OTHER_DOCUMENTS]
    return [name for name in found if name != "passkey_challenges.ip"] + forgotten  # a row of minutes, shown nowhere


class Stored:
    """The database of a running server, written to from beside it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def _open(self) -> sqlite3.Connection:
        opened = sqlite3.connect(self._path, timeout=20, isolation_level=None)
        opened.row_factory = sqlite3.Row
        return opened

    def multiply(self, user_id: str) -> None:
        """Make sure that each table of texts has many rows of this person's: copies of one there is, or invented ones."""
        with self._open() as connection:
            for name in TEXTS:
                if name not in ("credentials", "users"):
                    self._multiply(connection, name, user_id)
            self._tell_of_changes(connection, user_id)
        connection.close()

    def hand_over(self, key_ids: list[str]) -> None:
        """Give each of these keys to another person, whose e-mail is filled: support then sees it beside the key."""
        with self._open() as connection:
            others = connection.execute("SELECT id FROM users WHERE email LIKE 'person%' ORDER BY email").fetchall()
            for key_id, other in zip(key_ids, others, strict=False):
                connection.execute("UPDATE credentials SET user_id = ? WHERE id = ?", (other["id"], key_id))
        connection.close()

    def list_texts(self, table: str, column: str, *, key_id: str) -> str:
        """Return what stands in this column of a key's rows."""
        with self._open() as connection:
            found = connection.execute(f"SELECT {column} FROM {table} WHERE credential_id = ?", (key_id,)).fetchall()
        connection.close()
        return " ".join(str(row[0]) for row in found)

    def _tell_of_changes(self, connection: sqlite3.Connection, user_id: str) -> None:
        """Write changes of every key, and an alert of each kind that says more than words of ours."""
        keys = [row["id"] for row in connection.execute("SELECT id FROM credentials WHERE user_id = ?", (user_id,))]
        change = (
            "INSERT INTO credential_changes (id, credential_id, at, kind, phase, facts, told_at) VALUES (?, ?, ?, ?, ?, '{}', ?)"
        )
        alert = "INSERT INTO alerts (id, user_id, credential_id, at, kind, phase, facts) VALUES (?, ?, ?, ?, ?, ?, '{}')"
        for number in range(ROWS):
            kind, key, name = ALERT_KINDS[number % len(ALERT_KINDS)], keys[number % len(keys)], f"{number:04d}"
            connection.execute(alert, (f"alr_{name}", user_id, key, NOON, kind, "happened"))
            told = kind if kind != "channel_failed" else "transfer_gained"  # that one is no change of a key
            connection.execute(change, (f"chg_{name}", key, NOON, told, "began", NOON))

    def _multiply(self, connection: sqlite3.Connection, name: str, user_id: str) -> None:
        table = Base.metadata.tables[name]
        columns = [column for column in table.columns if column.computed is None]
        first = connection.execute(f"SELECT * FROM {name} LIMIT 1").fetchone()
        for number in range(ROWS):
            row = dict(first) if first else {column.name: _invent(column, user_id, number) for column in columns}
            for column in columns:
                if column.primary_key or column.unique or column.name in ("token_hash", "credential_id" if not first else ""):
                    row[column.name] = f"{name[:8]}_{number:04d}" if not isinstance(column.type, LargeBinary) else b"%d" % number
            names = ", ".join(column.name for column in columns)
            marks = ", ".join("?" for _ in columns)
            values = [row[column.name] for column in columns]
            connection.execute(f"INSERT OR IGNORE INTO {name} ({names}) VALUES ({marks})", values)

    def fill(self, pick: Pick, *, keep_email_of: str) -> None:
        """Put the next payload into every text of every row."""
        with self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            for name, columns in TEXTS.items():
                for (row_id,) in connection.execute(f"SELECT rowid FROM {name} ORDER BY rowid").fetchall():
                    for column in columns:
                        guard = f" AND id != '{keep_email_of}'" if name == "users" else ""
                        update = f"UPDATE OR IGNORE {name} SET {column} = ? WHERE rowid = ?{guard}"
                        connection.execute(update, (pick(), row_id))
            self._fill_documents(connection, pick)
            connection.execute("COMMIT")
        connection.close()

    def _fill_documents(self, connection: sqlite3.Connection, pick: Pick) -> None:
        """Put payloads into what stands inside JSON: assets, steps, evidence, details of events."""
        for row_id, text in connection.execute("SELECT rowid, document FROM credential_balances").fetchall():
            document = _replace(json.loads(text or "null"), {"asset", "account"}, pick)
            connection.execute("UPDATE credential_balances SET document = ? WHERE rowid = ?", (json.dumps(document), row_id))
        for column, names in (("steps", {"detail"}), ("evidence", {"call"})):
            for row_id, text in connection.execute(f"SELECT rowid, {column} FROM credential_checks").fetchall():
                document = json.dumps(_replace(json.loads(text or "null"), names, pick))
                connection.execute(f"UPDATE credential_checks SET {column} = ? WHERE rowid = ?", (document, row_id))
        for row_id in _list_rows(connection, "credential_checks"):
            addresses = json.dumps([pick(), pick()])
            connection.execute("UPDATE credential_checks SET allowed_ips = ? WHERE rowid = ?", (addresses, row_id))
        for table in ("alerts", "credential_changes"):
            for row_id in _list_rows(connection, table):
                facts = json.dumps({name: pick() for name in FACTS})
                connection.execute(f"UPDATE {table} SET facts = ? WHERE rowid = ?", (facts, row_id))
        for row_id, text in connection.execute("SELECT rowid, detail FROM audit_events").fetchall():
            detail = (
                {name: pick() for name in {**json.loads(text or "null"), "label": ""}}
                if text and text != "null"
                else {"label": pick()}
            )
            connection.execute("UPDATE audit_events SET detail = ? WHERE rowid = ?", (json.dumps(detail), row_id))


def _list_rows(connection: sqlite3.Connection, table: str) -> list[int]:
    return [row[0] for row in connection.execute(f"SELECT rowid FROM {table} ORDER BY rowid").fetchall()]


def _replace(value: Any, names: set[str], pick: Pick) -> Any:
    if isinstance(value, dict):
        return {
            key: pick() if key in names and isinstance(item, str) else _replace(item, names, pick) for key, item in value.items()
        }
    if isinstance(value, list):
        return [_replace(item, names, pick) for item in value]
    return value


def _invent(column: Column[Any], user_id: str, number: int) -> Any:
    """Return some value that the column takes."""
    if column.name in ("user_id", "created_by", "owner_id"):
        return user_id
    if isinstance(column.type, LargeBinary):
        return b"%d" % number
    if isinstance(column.type, DateTime) or column.name.endswith("_at"):
        return None if column.nullable else NOON
    if isinstance(column.type, Integer):
        return 0
    return "[]" if "JSON" in repr(column.type) else (None if column.nullable else "webhook")
