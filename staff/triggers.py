"""What the database itself refuses in the audit log, on both engines. The only place these triggers are written.

Entries are never changed, deleted or replaced, and each continues the head of the chain: number and hash of the one
before. The head only moves on. Who takes the triggers away and edits rows is found by `flask audit verify`; who then
also makes all later hashes anew is found by comparing the head with one that was written down elsewhere.
"""

from sqlalchemy.engine import Connection

SEALED = "audit: entries are never changed"
CHAINED = "audit: an entry continues the chain"
HEAD = "audit: the head only moves on"

NOT_CHAINED = """NOT EXISTS (
    SELECT 1 FROM audit_head WHERE id = 1 AND number = NEW.number AND hash = NEW.previous_hash)"""

SQLITE = {
    "trg_audit_log_chained": f"""
CREATE TRIGGER trg_audit_log_chained BEFORE INSERT ON audit_log
WHEN {NOT_CHAINED} OR EXISTS (SELECT 1 FROM audit_log WHERE number = NEW.number)
BEGIN SELECT RAISE(ABORT, '{CHAINED}'); END""",
    "trg_audit_log_no_update": f"""
CREATE TRIGGER trg_audit_log_no_update BEFORE UPDATE ON audit_log
BEGIN SELECT RAISE(ABORT, '{SEALED}'); END""",
    "trg_audit_log_no_delete": f"""
CREATE TRIGGER trg_audit_log_no_delete BEFORE DELETE ON audit_log
BEGIN SELECT RAISE(ABORT, '{SEALED}'); END""",
    "trg_audit_head_moves_on": f"""
CREATE TRIGGER trg_audit_head_moves_on BEFORE UPDATE ON audit_head
WHEN NEW.number < OLD.number OR NEW.number > OLD.number + 1
BEGIN SELECT RAISE(ABORT, '{HEAD}'); END""",
    "trg_audit_head_no_delete": f"""
CREATE TRIGGER trg_audit_head_no_delete BEFORE DELETE ON audit_head
BEGIN SELECT RAISE(ABORT, '{HEAD}'); END""",
    # SQLite deletes a row that is replaced without asking the delete trigger.
    "trg_audit_head_only_one": f"""
CREATE TRIGGER trg_audit_head_only_one BEFORE INSERT ON audit_head
WHEN EXISTS (SELECT 1 FROM audit_head) OR NEW.number <> 0
BEGIN SELECT RAISE(ABORT, '{HEAD}'); END""",
}


def _function(name: str, condition: str, message: str) -> str:
    return f"""
CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF {condition} THEN
        RAISE EXCEPTION '{message}' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$"""


POSTGRESQL_FUNCTIONS = {
    "audit_check_chained": _function("audit_check_chained", NOT_CHAINED, CHAINED),
    "audit_check_head": _function("audit_check_head", "NEW.number < OLD.number OR NEW.number > OLD.number + 1", HEAD),
    "audit_refuse": _function("audit_refuse", "true", SEALED),
}

POSTGRESQL = {
    "trg_audit_log_chained": """
CREATE TRIGGER trg_audit_log_chained BEFORE INSERT ON audit_log
FOR EACH ROW EXECUTE FUNCTION audit_check_chained()""",
    "trg_audit_head_moves_on": """
CREATE TRIGGER trg_audit_head_moves_on BEFORE UPDATE ON audit_head
FOR EACH ROW EXECUTE FUNCTION audit_check_head()""",
    **{
        f"trg_{table}_no_{act}": f"""
CREATE TRIGGER trg_{table}_no_{act} BEFORE {act.upper()} ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()"""
        for table, acts in (("audit_log", ("update", "delete", "truncate")), ("audit_head", ("delete", "truncate")))
        for act in acts
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
    """Drop all triggers, for going down to an older schema."""
    on_table = connection.dialect.name == "postgresql"
    for name in POSTGRESQL if on_table else SQLITE:
        table = "audit_log" if "audit_log" in name else "audit_head"
        connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}" + (f" ON {table}" if on_table else ""))
    if on_table:
        for name in POSTGRESQL_FUNCTIONS:
            connection.exec_driver_sql(f"DROP FUNCTION IF EXISTS {name}()")
