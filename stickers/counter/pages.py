"""Console pages of the counter."""

from flask import Blueprint, Flask

from stickers.counter import models, services  # noqa: F401 - their tables belong to the schema

blueprint = Blueprint("counter", __name__, url_prefix="/staff/counter")


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)
