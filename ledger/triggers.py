"""What the database itself refuses in the ledger, on both engines. The only place these triggers are written.

Postings go in first (their foreign key to the entry is deferred), the entry last; inserting the entry checks that its
postings sum to zero in each currency and seals them. So there is no unsealed state at any commit:
- an entry that does not balance, or with fewer than two postings, is refused,
- a posting for an entry that exists is refused,
- update and delete of either are refused (on PostgreSQL truncate too),
- an entry that occurred in a closed month is refused (`ledger.services` then puts it into the open one),
- what would come to the same is refused as well: replacing a row (SQLite deletes it then without asking the delete
  trigger), amounts that are no whole numbers (SQLite keeps any type in any column), writing under an isolation that
  cannot see what was committed meanwhile (PostgreSQL).

Alembic's batch mode rebuilds a SQLite table and drops its triggers silently: ledger tables are never batch-altered.
"""

from collections.abc import Mapping

from sqlalchemy.engine import Connection

UNBALANCED = "ledger: entry does not sum to zero in each currency"
SEALED = "ledger: entries and postings are never changed"
WHOLE = "ledger: amounts are whole minor units"
ISOLATION = "ledger: write under READ COMMITTED only"
CLOSED = "ledger: the month is closed"
PERIODS = "ledger: a closing is only ever reopened"

ZONE = "Europe/Minsk"  # whose months are closed; `ledger.periods` explains
PERIOD_LOCK = 0x4C454447  # any number; with the number of a month it names the lock that posters share
FIRST_YEAR = 2000  # months are counted from its January; what is older counts as that month

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

# Times are compared as text: only the one spelling that sorts is taken.
SQLITE_PERIODS = {
    "trg_journal_entries_open": f"""
CREATE TRIGGER trg_journal_entries_open BEFORE INSERT ON journal_entries
WHEN NEW.occurred_at NOT GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9] [0-9][0-9]:[0-9][0-9]:[0-9][0-9].*'
  OR EXISTS (SELECT 1 FROM accounting_periods WHERE reopened_at IS NULL AND ends_at > NEW.occurred_at)
BEGIN SELECT RAISE(ABORT, '{CLOSED}'); END""",
    "trg_accounting_periods_no_delete": f"""
CREATE TRIGGER trg_accounting_periods_no_delete BEFORE DELETE ON accounting_periods
BEGIN SELECT RAISE(ABORT, '{PERIODS}'); END""",
    "trg_accounting_periods_kept": f"""
CREATE TRIGGER trg_accounting_periods_kept BEFORE UPDATE ON accounting_periods
WHEN OLD.reopened_at IS NOT NULL OR NEW.reopened_at IS NULL OR NEW.id <> OLD.id OR NEW.month <> OLD.month
  OR NEW.starts_at <> OLD.starts_at OR NEW.ends_at <> OLD.ends_at OR NEW.sheet_hash <> OLD.sheet_hash
BEGIN SELECT RAISE(ABORT, '{PERIODS}'); END""",
    # SQLite deletes a row that is replaced without asking the delete trigger.
    "trg_accounting_periods_not_replaced": f"""
CREATE TRIGGER trg_accounting_periods_not_replaced BEFORE INSERT ON accounting_periods
WHEN EXISTS (SELECT 1 FROM accounting_periods WHERE id = NEW.id)
  OR EXISTS (SELECT 1 FROM accounting_periods WHERE month = NEW.month AND reopened_at IS NULL)
BEGIN SELECT RAISE(ABORT, '{PERIODS}'); END""",
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

# Who posts into a month shares its lock until the commit; who closes it takes the lock alone, and so waits for them,
# while they find it closed afterwards: in a function each statement sees what was committed before it.
POSTGRESQL_PERIOD_FUNCTIONS = {
    "ledger_check_open": f"""
CREATE OR REPLACE FUNCTION ledger_check_open() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    here timestamp := NEW.occurred_at AT TIME ZONE '{ZONE}';
    month integer := (extract(year FROM here)::integer - {FIRST_YEAR}) * 12 + extract(month FROM here)::integer - 1;
BEGIN
    PERFORM pg_advisory_xact_lock_shared({PERIOD_LOCK}, greatest(month, 0));
    IF EXISTS (SELECT 1 FROM accounting_periods WHERE reopened_at IS NULL AND ends_at > NEW.occurred_at) THEN
        RAISE EXCEPTION '{CLOSED}' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$""",
    "ledger_keep_period": f"""
CREATE OR REPLACE FUNCTION ledger_keep_period() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.reopened_at IS NOT NULL OR NEW.reopened_at IS NULL OR NEW.id <> OLD.id OR NEW.month <> OLD.month
        OR NEW.starts_at <> OLD.starts_at OR NEW.ends_at <> OLD.ends_at OR NEW.sheet_hash <> OLD.sheet_hash THEN
        RAISE EXCEPTION '{PERIODS}' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$""",
    "ledger_refuse_period": f"""
CREATE OR REPLACE FUNCTION ledger_refuse_period() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '{PERIODS}' USING ERRCODE = 'check_violation';
END $$""",
}

POSTGRESQL_PERIODS = {
    "trg_journal_entries_open": """
CREATE TRIGGER trg_journal_entries_open BEFORE INSERT ON journal_entries
FOR EACH ROW EXECUTE FUNCTION ledger_check_open()""",
    "trg_accounting_periods_kept": """
CREATE TRIGGER trg_accounting_periods_kept BEFORE UPDATE ON accounting_periods
FOR EACH ROW EXECUTE FUNCTION ledger_keep_period()""",
    **{
        f"trg_accounting_periods_no_{act}": f"""
CREATE TRIGGER trg_accounting_periods_no_{act} BEFORE {act.upper()} ON accounting_periods
FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_period()"""
        for act in ("delete", "truncate")
    },
}


def install(connection: Connection) -> None:
    """Create the triggers of entries and postings; the tables exist and have none of them yet."""
    _create(connection, SQLITE, POSTGRESQL_FUNCTIONS, POSTGRESQL)


def install_periods(connection: Connection) -> None:
    """Create the triggers of closed months."""
    _create(connection, SQLITE_PERIODS, POSTGRESQL_PERIOD_FUNCTIONS, POSTGRESQL_PERIODS)


def remove(connection: Connection) -> None:
    """Drop what `install` made, for going down to an empty database."""
    _drop(connection, SQLITE, POSTGRESQL_FUNCTIONS, POSTGRESQL)


def remove_periods(connection: Connection) -> None:
    _drop(connection, SQLITE_PERIODS, POSTGRESQL_PERIOD_FUNCTIONS, POSTGRESQL_PERIODS)


def _create(
    connection: Connection, sqlite: Mapping[str, str], functions: Mapping[str, str], postgresql: Mapping[str, str]
) -> None:
    on_server = connection.dialect.name == "postgresql"
    for statement in [*functions.values(), *postgresql.values()] if on_server else sqlite.values():
        connection.exec_driver_sql(statement)


def _drop(
    connection: Connection, sqlite: Mapping[str, str], functions: Mapping[str, str], postgresql: Mapping[str, str]
) -> None:
    on_server = connection.dialect.name == "postgresql"
    for name in postgresql if on_server else sqlite:
        table = next(table for table in ("postings", "journal_entries", "accounting_periods") if table in name)
        connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}" + (f" ON {table}" if on_server else ""))
    if on_server:
        for name in functions:
            connection.exec_driver_sql(f"DROP FUNCTION IF EXISTS {name}()")
