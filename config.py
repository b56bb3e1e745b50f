"""Settings from the environment. A bad or missing one stops the start with a message that says what to do."""

import os
import re
from collections.abc import Mapping
from email.utils import parseaddr
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

DEVELOPMENT_SECRET = "development-only-secret"  # noqa: S105 - refused in production
SANDBOX_KEY = "sk_test_sandbox"
SANDBOX_PORT = 8420
LIVE_KEYS = ("sk_live_", "rk_live_")
SANDBOX_WEBHOOK_SECRET = "whsec_sandbox"  # noqa: S105 - refused in production
ENVIRONMENTS = ("development", "test", "production")
TLS_MODES = ("none", "starttls", "implicit")
DATABASES = ("sqlite", "postgresql+psycopg")


class ConfigError(Exception):
    """One or more settings are wrong; the text names each."""


class _Reader:
    """Reads settings and collects what is wrong with them, so that one start tells all."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.faults: list[str] = []

    def text(self, name: str, default: str = "") -> str:
        return self.environ.get(name, "").strip() or default

    def number(self, name: str, default: int, low: int, high: int) -> int:
        raw = self.text(name, str(default))
        if raw.isascii() and raw.isdigit() and len(raw) < 10 and low <= int(raw) <= high:
            return int(raw)
        self.faults.append(f"{name}={raw!r}: a whole number from {low} to {high} is needed")
        return default

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        raw = self.text(name, default)
        if raw in allowed:
            return raw
        self.faults.append(f"{name}={raw!r}: one of {', '.join(allowed)} is needed")
        return default

    def url(self, name: str, default: str) -> str:
        raw = self.text(name, default).rstrip("/")
        if raw and not _is_web_address(raw):
            self.faults.append(f"{name}={raw!r}: an address such as https://give.example.by is needed")
            return default
        return raw

    def sender(self, name: str, default: str) -> str:
        raw = self.text(name, default)
        if not raw.isprintable() or not re.fullmatch(r"[^@\s]+@[^@\s]+", parseaddr(raw)[1]):
            self.faults.append(f"{name}={raw!r}: an e-mail address such as Campaign <give@example.by> is needed")
            return default
        return raw

    def database(self, name: str, instance: Path) -> str:
        url = database_url(self.text(name), instance)
        try:
            known = make_url(url).drivername in DATABASES
        except (ArgumentError, ValueError):
            known = False
        if not known:  # not shown: it may hold a password
            self.faults.append(f"{name}: postgresql://user@host/name or sqlite:////path is needed")
        return url


def _is_web_address(raw: str) -> bool:
    try:
        parts = urlsplit(raw)
        good_port = parts.port is None or parts.port > 0
    except ValueError:  # brackets or port that are none
        return False
    plain = raw.isascii() and raw.isprintable() and " " not in raw
    extras = parts.query or parts.fragment or parts.username or parts.password
    return plain and good_port and parts.scheme in ("http", "https") and bool(parts.hostname) and not extras


def database_url(raw: str, instance: Path) -> str:
    """SQLAlchemy's address for DATABASE_URL: psycopg 3 for PostgreSQL, a file in INSTANCE_DIR by default."""
    if not raw:
        return f"sqlite:///{instance / 'campaign.sqlite3'}"
    for scheme in ("postgres://", "postgresql://"):
        if raw.startswith(scheme):
            return "postgresql+psycopg://" + raw.removeprefix(scheme)
    return raw


def engine_options(url: str) -> dict[str, Any]:
    # Values of statements may be names and addresses of people: they stay out of error messages, and so out of logs.
    if url.startswith("sqlite"):
        return {"hide_parameters": True, "pool_size": 8, "max_overflow": 32}
    # No transaction of ours lasts; one that does is a fault and must not hold others up for long.
    options = "-c lock_timeout=15s -c statement_timeout=30s -c idle_in_transaction_session_timeout=30s"
    return {
        "hide_parameters": True,
        "pool_pre_ping": True,
        "pool_size": 8,
        "max_overflow": 32,
        "connect_args": {"options": options, "connect_timeout": 10},
    }


def load(environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The application's settings. Raises `ConfigError` naming every fault at once."""
    read = _Reader(os.environ if environ is None else environ)
    env = read.choice("APP_ENV", "development", ENVIRONMENTS)
    instance = Path(read.text("INSTANCE_DIR", "instance")).absolute()
    database = read.database("DATABASE_URL", instance)
    settings: dict[str, Any] = {
        "APP_ENV": env,
        "TESTING": env == "test",
        "INSTANCE_DIR": str(instance),
        "SECRET_KEY": read.text("SECRET_KEY", DEVELOPMENT_SECRET),
        "PUBLIC_URL": read.url("PUBLIC_URL", f"http://127.0.0.1:{read.number('PORT', 8000, 1, 65535)}"),
        "TRUSTED_PROXIES": read.number("TRUSTED_PROXIES", 0, 0, 5),
        "SQLALCHEMY_DATABASE_URI": database,
        "SQLALCHEMY_ENGINE_OPTIONS": engine_options(database),
        "STRIPE_API_KEY": read.text("STRIPE_API_KEY", SANDBOX_KEY),
        "STRIPE_WEBHOOK_SECRETS": _secrets(read.text("STRIPE_WEBHOOK_SECRETS", SANDBOX_WEBHOOK_SECRET)),
        "STRIPE_API_BASE": read.url("STRIPE_API_BASE", "") or None,
        "WEB_THREADS": read.number("WEB_THREADS", 16, 1, 256),
        "MAIL_HOST": read.text("MAIL_HOST"),
        "MAIL_PORT": read.number("MAIL_PORT", 25, 1, 65535),
        "MAIL_TLS": read.choice("MAIL_TLS", "none", TLS_MODES),
        "MAIL_USER": read.text("MAIL_USER"),
        "MAIL_PASSWORD": read.text("MAIL_PASSWORD"),
        "MAIL_FROM": read.sender("MAIL_FROM", "#BullyingFreeInternet <no-reply@localhost>"),
        # Card testers start payments by the thousand; a class of pupils behind one address does not.
        "STARTS_PER_ADDRESS": read.number("STARTS_PER_ADDRESS", 60 if env == "production" else 0, 0, 100_000),
        "STAFF_IDLE_MINUTES": read.number("STAFF_IDLE_MINUTES", 60, 1, 24 * 60),
        "STAFF_SESSION_HOURS": read.number("STAFF_SESSION_HOURS", 12, 1, 24 * 7),
        # Finance and administration need a second factor before they reach anything.
        "STAFF_SECOND_FACTOR": read.choice(
            "STAFF_SECOND_FACTOR", "required" if env == "production" else "optional", ("required", "optional")
        )
        == "required",
        # Kopecks of one donation that a person of finance may give back alone; above that somebody else approves.
        "REFUND_ALONE_UP_TO": read.number("REFUND_ALONE_UP_TO", 10_000, 0, 100_000_000),
        "WORKER_THREADS": read.number("WORKER_THREADS", 2, 1, 64),
        "MAX_CONTENT_LENGTH": 512 * 1024,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_SECURE": env == "production",
        "WTF_CSRF_TIME_LIMIT": 24 * 3600,
        "BOOTSTRAP_SERVE_LOCAL": True,
        "SEND_FILE_MAX_AGE_DEFAULT": 3600,
    }
    # The first encrypts the secrets of authenticator apps, all decrypt: for the day SECRET_KEY is changed.
    settings["STAFF_TOTP_KEYS"] = _secrets(read.text("STAFF_TOTP_KEYS")) or [settings["SECRET_KEY"]]
    read.faults += _stripe_faults(settings)
    if env == "production":
        read.faults += _production_faults(settings)
        if not read.text("TRUSTED_PROXIES"):
            read.faults.append("TRUSTED_PROXIES: say how many proxies stand before it, 0 for none")
    elif settings["STRIPE_API_KEY"] == SANDBOX_KEY and not settings["STRIPE_API_BASE"]:
        settings["STRIPE_API_BASE"] = _sandbox_address(instance)
    if read.faults:
        raise ConfigError("Wrong settings:\n" + "\n".join(f"  - {fault}" for fault in read.faults))
    return settings


def _sandbox_address(instance: Path) -> str:
    """Where `make run` put the sandbox, or its usual place: its key is never shown to Stripe."""
    port = instance / "sandbox.port"
    return f"http://127.0.0.1:{port.read_text().strip() if port.exists() else SANDBOX_PORT}"


def _stripe_faults(settings: Mapping[str, Any]) -> list[str]:
    """A key that is not the sandbox's moves real money, or a real account's test money, and needs its own secrets."""
    faults = []
    key, secrets = settings["STRIPE_API_KEY"], settings["STRIPE_WEBHOOK_SECRETS"]
    at_stripe = key != SANDBOX_KEY and not settings["STRIPE_API_BASE"]
    if at_stripe and (not secrets or SANDBOX_WEBHOOK_SECRET in secrets):
        faults.append("STRIPE_WEBHOOK_SECRETS: set the secrets of the webhook endpoint")
    if at_stripe and key.startswith(LIVE_KEYS) and settings["APP_ENV"] != "production":
        faults.append("STRIPE_API_KEY: a live key needs APP_ENV=production")
    return faults


def _secrets(raw: str) -> list[str]:
    return [secret.strip() for secret in raw.split(",") if secret.strip()]


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.rstrip(".").lower() == "localhost"


def _production_faults(settings: Mapping[str, Any]) -> list[str]:
    faults = []
    if settings["SECRET_KEY"] == DEVELOPMENT_SECRET or len(settings["SECRET_KEY"]) < 32:
        faults.append("SECRET_KEY: set a random one of at least 32 characters")
    if not settings["PUBLIC_URL"].startswith("https://"):
        faults.append("PUBLIC_URL: production needs an https:// address")
    if not settings["STRIPE_API_KEY"].startswith(LIVE_KEYS):
        faults.append("STRIPE_API_KEY: set the live key of the Stripe account; test money would be counted as gifts")
    if settings["STRIPE_API_BASE"]:
        faults.append("STRIPE_API_BASE: for development and tests; production pays at Stripe")
    if any(len(key) < 32 for key in settings["STAFF_TOTP_KEYS"] if key != settings["SECRET_KEY"]):
        faults.append("STAFF_TOTP_KEYS: each needs at least 32 random characters")
    if parseaddr(settings["MAIL_FROM"])[1].endswith("@localhost"):
        faults.append("MAIL_FROM: set the address that receipts come from")
    if settings["MAIL_USER"] and settings["MAIL_TLS"] == "none" and not _is_loopback(settings["MAIL_HOST"]):
        faults.append("MAIL_TLS: a password does not travel in the open; set starttls or implicit")
    return faults
