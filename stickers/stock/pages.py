"""Console pages of stock."""

from flask import Blueprint, Flask

from stickers.stock import services  # noqa: F401 - its tables belong to the schema

blueprint = Blueprint("stock", __name__, url_prefix="/staff/stock")


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)
