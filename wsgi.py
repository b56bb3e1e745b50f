"""The one application made at import time, for the web server and for `flask`."""

from app import create_app

app = create_app()
