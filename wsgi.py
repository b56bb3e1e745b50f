"""The one application made at import time, for the web server and for `flask`."""

import sys

from app import create_app
from config import ConfigError

try:
    app = create_app()
except ConfigError as error:
    sys.exit(str(error))  # the text says all; a traceback would only hide it
