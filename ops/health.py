"""Is the process alive, and can it do its work?"""

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Blueprint, Flask, current_app, jsonify
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import SQLAlchemyError

from core.db import db

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def alive() -> ResponseReturnValue:
    return jsonify(status="ok")


@blueprint.get("/readyz")
def ready() -> ResponseReturnValue:
    """200 when the database answers and has the schema of this version, 503 otherwise."""
    try:
        connection = db.session.connection()
        connection.execute(sa.text("SELECT 1"))
        at_head = MigrationContext.configure(connection).get_current_revision() == _head()
    except SQLAlchemyError:
        db.session.rollback()
        return jsonify(status="database unavailable"), 503
    if not at_head:
        return jsonify(status="migrations pending"), 503
    return jsonify(status="ok")


def _head() -> str | None:
    return ScriptDirectory(current_app.extensions["migrate"].directory).get_current_head()


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)
