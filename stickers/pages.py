"""Static pictures of packs."""

from flask import Blueprint, Flask

blueprint = Blueprint("stickers", __name__, static_folder="static", static_url_path="/static/stickers")


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)
