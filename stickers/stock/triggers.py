"""What the database itself refuses: movements are added, never changed or taken away. On both engines."""

from sqlalchemy.engine import Connection

SEALED = "stock: movements are never changed"

SQLITE = {
    f"trg_stock_movements_no_{act}": f"""
CREATE TRIGGER trg_stock_movements_no_{act} BEFORE {act.upper()} ON stock_movements
BEGIN SELECT RAISE(ABORT, '{SEALED}'); END"""
    for act in ("update", "delete")
}

POSTGRESQL_FUNCTION = f"""
CREATE OR REPLACE FUNCTION stock_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '{SEALED}' USING ERRCODE = 'check_violation';
END $$"""

POSTGRESQL = {
    f"trg_stock_movements_no_{act}": f"""
CREATE TRIGGER trg_stock_movements_no_{act} BEFORE {act.upper()} ON stock_movements
FOR EACH STATEMENT EXECUTE FUNCTION stock_refuse()"""
    for act in ("update", "delete", "truncate")
}


def install(connection: Connection) -> None:
    """Create all triggers; the table exists and has none of them yet."""
    on_postgresql = connection.dialect.name == "postgresql"
    statements = [POSTGRESQL_FUNCTION, *POSTGRESQL.values()] if on_postgresql else list(SQLITE.values())
    for statement in statements:
        connection.exec_driver_sql(statement)


def remove(connection: Connection) -> None:
    """Drop all triggers, for going down to an older schema."""
    on_postgresql = connection.dialect.name == "postgresql"
    for name in POSTGRESQL if on_postgresql else SQLITE:
        connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}" + (" ON stock_movements" if on_postgresql else ""))
    if on_postgresql:
        connection.exec_driver_sql("DROP FUNCTION IF EXISTS stock_refuse()")
