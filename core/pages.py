"""The frame of all pages: base layout, static files, texts about the service itself."""

from flask import Blueprint, Flask
from flask_bootstrap import Bootstrap5

blueprint = Blueprint(
    "core", __name__, template_folder="templates", static_folder="static", static_url_path="/static/core"
)


def init_app(app: Flask) -> None:
    Bootstrap5(app)
    app.register_blueprint(blueprint)
