"""What all tests share: both databases, a sandbox provider, an application between them."""

import os
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from typing import Any, ClassVar
from weakref import WeakSet
from zlib import crc32

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jinja2.bccache import Bucket, BytecodeCache
from werkzeug.routing import Rule

from app import create_app
from core.clock import utcnow
from core.db import db
from ops.demo import seed_demo
from sandbox.server import SandboxServer
from tests import databases
from tests.client import SeparateClient
from tests.house import House

SERVER_URL = "TEST_DATABASE_URL"


class RuleOfTests(Rule):
    """The application is built for every test: what Werkzeug compiles for a rule is compiled once in a process."""

    _compiled: ClassVar[dict[tuple[str, bool, str], Any]] = {}

    def _compile_builder(self, append_unknown: bool = True) -> Any:
        key = (self.rule, append_unknown, repr(self.defaults))
        if key not in self._compiled:
            self._compiled[key] = super()._compile_builder(append_unknown)
        return self._compiled[key]


class TemplatesOfTests(BytecodeCache):
    """Templates are compiled once in a process, too."""

    def __init__(self) -> None:
        self.compiled: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self.compiled:
            bucket.bytecode_from_string(self.compiled[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self.compiled[bucket.key] = bucket.bytecode_to_string()


Flask.url_rule_class = RuleOfTests
Flask.jinja_options = {"bytecode_cache": TemplatesOfTests()}

CHROMIUM_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]


def pytest_configure(config: pytest.Config) -> None:
    """Start PostgreSQL once, before workers; they find its address in their environment."""
    if os.environ.get(SERVER_URL) or hasattr(config, "workerinput") or config.option.collectonly:
        return
    server, url = databases.start_postgresql()
    config.stash[_server_key] = server
    os.environ[SERVER_URL] = url


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: each waits for databases, browsers and processes a part of its time."""
    return (os.cpu_count() or 1) + 1


_server_key = pytest.StashKey[Any]()


def pytest_unconfigure(config: pytest.Config) -> None:
    server = config.stash.get(_server_key, None)
    if server is not None:
        server.cleanup()


def chromium() -> str | None:
    names = (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if name and (found := which(name))), None)


# Tests of what people see, of shapes of input and of files, and faults planted one by one. What the pages call and what
# finds the faults is tested on both databases.
OF_PAGES = re.compile(
    r"tests/(browser|console|pages)/|/test_(\w+_)?(console|pages|page|api|photos)\.py|/test_words_of_pages\.py"
    r"|donations/test_bad_input\.py|offices/test_csv\.py|staff/test_(sign_in|access_table)\.py"
    r"|finance/test_reconciliation\.py|finance/exports/test_files\.py"
)


def one_database_each(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Each test of pages runs on one of the two databases, always the same one; EVERY_DATABASE=1 runs all on both."""
    variants: defaultdict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        chosen = item.callspec.params.values() if hasattr(item, "callspec") else ()
        kind = next((each for each in chosen if each in ("sqlite", "postgresql")), None)
        if kind and OF_PAGES.search(item.path.as_posix()):
            variants[item.nodeid.replace(kind, "")].append(item)
    left_out = {pair[crc32(name.encode()) % 2] for name, pair in variants.items() if len(pair) == 2}
    config.hook.pytest_deselected(items=list(left_out))
    items[:] = [item for item in items if item not in left_out]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not os.environ.get("EVERY_DATABASE"):
        one_database_each(config, items)
    if chromium() is None:
        for item in items:
            if item.get_closest_marker("browser"):
                item.add_marker(pytest.mark.skip(reason="no Chromium is installed (CHROMIUM may name one)"))


def pytest_report_header(config: pytest.Config) -> str:
    return (
        "databases: SQLite (embedded) and PostgreSQL (a real server); each test that needs one runs on both, those of "
        "pages on one of the two (EVERY_DATABASE=1: on both)"
    )


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return databases.make_sqlite_template(tmp_path_factory.mktemp("template"))


@pytest.fixture(scope="session")
def postgresql_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A migrated database for this process of the test run."""
    with databases.postgresql_database(os.environ[SERVER_URL]) as url:
        databases.migrate(url, tmp_path_factory.mktemp("migrate"))
        yield url


@pytest.fixture(autouse=True)
def _no_connection_is_left_open() -> Iterator[None]:
    """Of applications that this test built: what the garbage collector meets later would be another test's fault."""
    before = WeakSet(db._app_engines)  # weakly, or no application would ever be collected
    yield
    for app, engines in list(db._app_engines.items()):
        if app not in before:
            for engine in engines.values():
                engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """DATABASE_URL of an empty database with the present schema; the test runs once for each kind."""
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("sqlite_template")
        return databases.copy_sqlite(template, tmp_path / "test.sqlite3")
    url: str = request.getfixturevalue("postgresql_url")
    databases.empty_postgresql(url)
    return url


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    """The provider: real HTTP on loopback. Webhooks go out only when a test delivers them."""
    with SandboxServer(webhook_url="http://127.0.0.1:9/webhooks/stripe", auto_deliver=False, txn_delay=0) as server:
        yield server


@pytest.fixture
def settings(database_url: str, sandbox: SandboxServer, tmp_path: Path) -> dict[str, Any]:
    return databases.settings(database_url, tmp_path, STRIPE_API_BASE=sandbox.url, PUBLIC_URL="http://give.test")


@pytest.fixture
def app(settings: dict[str, Any]) -> Iterator[Flask]:
    """The application with the demonstration campaign. Its context is open during the test."""
    application = create_app(settings)
    application.test_client_class = SeparateClient
    with application.app_context():
        seed_demo(utcnow())
        db.session.remove()
        yield application
        db.session.remove()
        for engine in db.engines.values():
            engine.dispose()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def house(app: Flask, sandbox: SandboxServer) -> House:
    """The service and its provider, and what donors and the provider do with it."""
    return House(app, sandbox)


@pytest.fixture(scope="session")
def playwright() -> Iterator[Any]:
    """One for each process of the test run: a second one would not start beside it."""
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as running:
        yield running


@pytest.fixture(scope="session")
def browser(playwright: Any) -> Iterator[Any]:
    """A real Chromium, one for each process of the test run."""
    running = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_ARGUMENTS)
    yield running
    running.close()
