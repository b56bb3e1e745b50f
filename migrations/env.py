"""Alembic's entry: runs the migrations inside the application that `flask db` started."""

from alembic import context
from alembic.autogenerate.api import AutogenContext
from flask import current_app

from core.db import UtcDateTime
from core.i18n import LocalizedText

db = current_app.extensions["migrate"].db


def render_item(kind: str, item: object, autogen_context: AutogenContext) -> str | bool:
    """Write our column types as what they are in the database, so that old migrations need none of our code."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, LocalizedText):
        return "sa.JSON()"
    return False


def run() -> None:
    with db.engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=db.metadata,
            render_item=render_item,
            compare_type=True,
            compare_server_default=True,
            transaction_per_migration=True,
        )
        with context.begin_transaction():
            context.run_migrations()


run()
