"""An older release works on beside a newer one: migrations only add."""

from __future__ import annotations

import re

import pytest

from persistence.durable.migrate import MIGRATIONS, read_migrations

TAKES_AWAY = re.compile(
    r"\b(DROP|TRUNCATE|RENAME|DELETE\s+FROM|ALTER\s+COLUMN|SET\s+NOT\s+NULL|REVOKE)\b", re.IGNORECASE
)
COMMENT = re.compile(r"--.*$", re.MULTILINE)
WIDENS = re.compile(r"\bALTER\s+COLUMN\s+\w+\s+DROP\s+NOT\s+NULL\b", re.IGNORECASE)
"""Takes nothing away: whatever an older release writes is still taken."""
GUARDS = re.compile(r"\bCREATE\s+TRIGGER\s+\w+\s+BEFORE\b[\w\s]*\bTRUNCATE\b", re.IGNORECASE)
"""Names statements to refuse them; on a table of its own migration (`test_a_guard_is_on_a_new_table`)."""


def statements(sql: str) -> list[str]:
    """Part a migration into its statements, without comments and what only widens a column."""
    kept = GUARDS.sub("", WIDENS.sub("", COMMENT.sub("", sql)))
    return [text.strip() for text in kept.split(";") if text.strip()]


@pytest.mark.parametrize("migration", read_migrations(MIGRATIONS), ids=lambda each: each.name)
def test_a_migration_takes_nothing_away(migration: object) -> None:
    """No statement drops, renames or narrows what an older release may use."""
    sql: str = migration.sql  # type: ignore[attr-defined]  # a Migration, which pytest's ids hide
    assert [text for text in statements(sql) if TAKES_AWAY.search(text) and " ON DELETE " not in text] == []


@pytest.mark.parametrize("migration", read_migrations(MIGRATIONS), ids=lambda each: each.name)
def test_a_new_column_of_an_old_table_has_a_default(migration: object) -> None:
    """A row that an older release inserts lacks nothing."""
    sql: str = migration.sql  # type: ignore[attr-defined]  # as above
    for text in statements(sql):
        if re.search(r"\bADD\s+COLUMN\b", text, re.IGNORECASE) and "NOT NULL" in text.upper():
            assert "DEFAULT" in text.upper(), text


@pytest.mark.parametrize("migration", read_migrations(MIGRATIONS), ids=lambda each: each.name)
def test_a_guard_is_on_a_new_table(migration: object) -> None:
    """A trigger refuses nothing that an older release does: its table is of the same migration."""
    sql: str = migration.sql  # type: ignore[attr-defined]  # as above
    for table in re.findall(rf"{GUARDS.pattern}\s+ON\s+(\w+)", COMMENT.sub("", sql), re.IGNORECASE):
        assert f"CREATE TABLE {table} " in sql, table


def test_what_takes_away_would_be_found() -> None:
    """The words that are looked for are those that such statements begin with."""
    for sql in (
        "ALTER TABLE sessions DROP COLUMN money",
        "drop table boosts",
        "ALTER TABLE a RENAME TO b",
        "ALTER TABLE a ALTER COLUMN b TYPE text",
        "ALTER TABLE a ALTER COLUMN b DROP NOT NULL, ALTER COLUMN c DROP DEFAULT",
    ):
        assert [text for text in statements(sql) if TAKES_AWAY.search(text)], sql
