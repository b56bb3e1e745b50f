"""What the database itself refuses in the ledger, on both engines. The only place these triggers are written.

Postings go in first (their foreign key to the entry is deferred), the entry last; inserting the entry checks that its
postings sum to zero in each currency and seals them. So there is no unsealed state at any commit:
- an entry that does not balance, or with fewer than two postings, is refused,
- a posting for an entry that exists is refused,
- update and delete of either are refused (on PostgreSQL truncate too),
- what would come to the same is refused as well: replacing a row (SQLite deletes it then without asking the delete
  trigger), amounts that are no whole numbers (SQLite keeps any type in any column), writing under an isolation that
  cannot see what was committed meanwhile (PostgreSQL).

Alembic's batch mode rebuilds a SQLite table and drops its triggers silently: ledger tables are never batch-altered.
"""

from sqlalchemy.engine import Connection

UNBALANCED = "ledger: entry does not sum to zero in each currency"
SEALED = "ledger: entries and postings are never changed"
WHOLE = "ledger: amounts are whole minor units"
ISOLATION = "ledger: write under READ COMMITTED only"

SQLITE = {
    "trg_journal_entries_balanced": f"""
CREATE TRIGGER trg_journal_entries_balanced BEFORE INSERT ON journal_entries
WHEN (SELECT count(*) FROM postings WHERE entry_id = NEW.id) < 2 OR EXISTS (
    SELECT 1 FROM postings WHERE entry_id = NEW.id
    GROUP BY currency HAVING sum(debit_minor) <> sum(credit_minor))
BEGIN SELECT RAISE(ABORT, '{UNBALANCED}'); END""",
    "trg_postings_sealed": f"""
CREATE TRIGGER trg_postings_sealed BEFORE INSERT ON postings
WHEN EXISTS (SELECT 1 FROM journal_entries WHERE id = NEW.entry_id)
  OR EXISTS (SELECT 1 FROM postings WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, '{SEALED}'); END""",
    "trg_journal_entries_sealed": f"""
CREATE TRIGGER trg_journal_entries_sealed BEFORE INSERT ON journal_entries
WHEN EXISTS (SELECT 1 FROM journal_entries WHERE id = NEW.id)
  OR EXISTS (SELECT 1 FROM journal_entries WHERE reverses_id = NEW.reverses_id)
  OR EXISTS (SELECT 1 FROM journal_entries
             WHERE source_type = NEW.source_type AND source_id = NEW.source_id AND kind = NEW.kind)
BEGIN SELECT RAISE(ABORT, '{SEALED}'); END""",
    "trg_postings_whole": f"""
CREATE TRIGGER trg_postings_whole BEFORE INSERT ON postings
WHEN typeof(NEW.debit_minor) <> 'integer' OR typeof(NEW.credit_minor) <> 'integer'
BEGIN SELECT RAISE(ABORT, '{WHOLE}'); END""",
    **{
        f"trg_{table}_no_{act}": f"""
CREATE TRIGGER trg_{table}_no_{act} BEFORE {act.upper()} ON {table}
BEGIN SELECT RAISE(ABORT, '{SEALED}'); END"""
        for table in ("journal_entries", "postings")
        for act in ("update", "delete")
    },
}

POSTGRESQL_FUNCTIONS = {
    "ledger_check_balanced": f"""
CREATE OR REPLACE FUNCTION ledger_check_balanced() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM postings WHERE entry_id = NEW.id) < 2 OR EXISTS (
        SELECT 1 FROM postings WHERE entry_id = NEW.id
        GROUP BY currency HAVING sum(debit_minor) <> sum(credit_minor)) THEN
        RAISE EXCEPTION '{UNBALANCED}' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$""",
    # The lock puts a second writer to the same entry behind the first: its look then sees the committed entry,
    # unless its transaction looks at an older snapshot.
    "ledger_check_sealed": f"""
CREATE OR REPLACE FUNCTION ledger_check_sealed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION '{ISOLATION}' USING ERRCODE = 'check_violation';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended(NEW.entry_id::text, 0));
    IF EXISTS (SELECT 1 FROM journal_entries WHERE id = NEW.entry_id) THEN
        RAISE EXCEPTION '{SEALED}' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$""",
    "ledger_refuse": f"""
CREATE OR REPLACE FUNCTION ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '{SEALED}' USING ERRCODE = 'check_violation';
END $$""",
}

POSTGRESQL = {
    "trg_journal_entries_balanced": """
CREATE TRIGGER trg_journal_entries_balanced BEFORE INSERT ON journal_entries
FOR EACH ROW EXECUTE FUNCTION ledger_check_balanced()""",
    "trg_postings_sealed": """
CREATE TRIGGER trg_postings_sealed BEFORE INSERT ON postings
FOR EACH ROW EXECUTE FUNCTION ledger_check_sealed()""",
    **{
        f"trg_{table}_no_{act}": f"""
CREATE TRIGGER trg_{table}_no_{act} BEFORE {act.upper()} ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse()"""
        for table in ("journal_entries", "postings")
        for act in ("update", "delete", "truncate")
    },
}


def install(connection: Connection) -> None:
    """Create all triggers; the tables exist and have none of them yet."""
    if connection.dialect.name == "postgresql":
        statements = [*POSTGRESQL_FUNCTIONS.values(), *POSTGRESQL.values()]
    else:
        statements = list(SQLITE.values())
    for statement in statements:
        connection.exec_driver_sql(statement)


def remove(connection: Connection) -> None:
    """Drop all triggers, for going down to an empty database."""
    on_table = connection.dialect.name == "postgresql"
    for name in POSTGRESQL if on_table else SQLITE:
        table = "postings" if "postings" in name else "journal_entries"
        connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}" + (f" ON {table}" if on_table else ""))
    if on_table:
        for name in POSTGRESQL_FUNCTIONS:
            connection.exec_driver_sql(f"DROP FUNCTION IF EXISTS {name}()")
