"""The shop's customers, in a table of SQLite."""

import sqlite3

from flask import current_app, g

TABLE = "CREATE TABLE IF NOT EXISTS customer (email TEXT PRIMARY KEY, confirmed INT DEFAULT 0, active INT DEFAULT 1)"


def database() -> sqlite3.Connection:
    """The database of this request; `with` commits."""
    if "database" not in g:
        g.database = sqlite3.connect(current_app.config["DATABASE"])
        g.database.row_factory = sqlite3.Row
        g.database.execute(TABLE)
    found: sqlite3.Connection = g.database
    return found


def close(_: BaseException | None) -> None:
    """The request is over."""
    if found := g.pop("database", None):
        found.close()


def everybody() -> list[sqlite3.Row]:
    """All customers, the newest first."""
    return database().execute("SELECT * FROM customer ORDER BY rowid DESC").fetchall()


def enrol(email: str) -> None:
    """Keep a new customer; it is committed when this returns."""
    with database() as found:
        found.execute("INSERT OR IGNORE INTO customer (email) VALUES (?)", [email])


def confirm(email: str) -> None:
    """The address is theirs."""
    with database() as found:
        found.execute("UPDATE customer SET confirmed = 1 WHERE email = ?", [email])


def deactivate(email: str) -> None:
    """Write no more to this address."""
    with database() as found:
        found.execute("UPDATE customer SET active = 0 WHERE email = ?", [email])
