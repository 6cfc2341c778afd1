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


def statements(sql: str) -> list[str]:
    """Part a migration into its statements, without comments and what only widens a column."""
    kept = WIDENS.sub("", COMMENT.sub("", sql))
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
