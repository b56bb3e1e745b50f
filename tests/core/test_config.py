"""Settings: a bad one stops the start, every bad one is named, and production takes no defaults that are not secret."""

from pathlib import Path
from typing import Any

import pytest

import config

PRODUCTION = {
    "APP_ENV": "production",
    "SECRET_KEY": "x" * 40,
    "PUBLIC_URL": "https://give.example.by",
    "STRIPE_API_KEY": "sk_live_1",
    "STRIPE_WEBHOOK_SECRETS": "whsec_1, whsec_2",
    "TRUSTED_PROXIES": "1",
    "MAIL_FROM": "Campaign <give@example.by>",
    "DATABASE_URL": "postgresql://give:very-secret@db/give",
}


def refused(environ: dict[str, str]) -> str:
    with pytest.raises(config.ConfigError) as refusal:
        config.load(environ)
    return str(refusal.value)


def test_an_empty_environment_is_a_working_development_set_up() -> None:
    settings = config.load({})
    assert settings["APP_ENV"] == "development"
    assert settings["SQLALCHEMY_DATABASE_URI"].startswith("sqlite:////")
    assert settings["PUBLIC_URL"] == "http://127.0.0.1:8000"
    assert not settings["TESTING"]


def test_every_bad_setting_is_named_in_one_message() -> None:
    bad = {
        "APP_ENV": "prod",
        "PORT": "80a",
        "PUBLIC_URL": "give.example.by",
        "DATABASE_URL": "mysql://root:very-secret@db/give",
        "STRIPE_API_BASE": "ftp://files",
        "MAIL_PORT": "0",
        "MAIL_TLS": "yes",
        "MAIL_FROM": "nobody",
        "TRUSTED_PROXIES": "-1",
        "STARTS_PER_ADDRESS": "1e3",
        "WORKER_THREADS": "٢",
    }
    message = refused(bad)
    assert [name for name in bad if f"- {name}" not in message] == []
    assert message.count("\n") == len(bad)
    assert "very-secret" not in message


@pytest.mark.parametrize(
    "url",
    [
        "http://[::1", "http://", "https:///path", "//give.by", "https://give.by:port", "https://give.by:99999",
        "https://give.by?x=1", "https://give.by#x", "https://user:pw@give.by", "https://give .by",
        "javascript:alert(1)",
    ],
)  # fmt: skip
def test_what_is_no_web_address_is_refused(url: str) -> None:
    assert "PUBLIC_URL" in refused({"PUBLIC_URL": url})


@pytest.mark.parametrize("port", ["0", "65536", "-1", "8000.0", " ", "9" * 5000, "0x50"])
def test_a_port_is_a_whole_number_in_range(port: str) -> None:
    if port.strip():
        assert "PORT" in refused({"PORT": port})
    else:
        assert config.load({"PORT": port})["PUBLIC_URL"].endswith(":8000")


@pytest.mark.parametrize(
    "url",
    ["mysql://x/y", "garbage", "postgresql+psycopg2://x/y", "sqlite:/x y\0", "http://db", "postgresql://h:port/x"],
)
def test_a_database_that_we_do_not_know_is_refused(url: str) -> None:
    assert "DATABASE_URL" in refused({"DATABASE_URL": url})


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_postgresql_uses_our_driver(scheme: str) -> None:
    settings = config.load({"DATABASE_URL": f"{scheme}://u@h/d"})
    assert settings["SQLALCHEMY_DATABASE_URI"] == "postgresql+psycopg://u@h/d"


@pytest.mark.parametrize("sender", ["nobody", "a@b@c", "x\r\nBcc: all@example.org <a@b.by>", "<>", "A <a b@c>"])
def test_a_sender_that_is_no_address_is_refused(sender: str) -> None:
    assert "MAIL_FROM" in refused({"MAIL_FROM": sender})


def test_a_complete_production_set_up_starts_with_safe_cookies() -> None:
    settings = config.load(PRODUCTION)
    assert settings["SESSION_COOKIE_SECURE"]
    assert settings["SESSION_COOKIE_HTTPONLY"]
    assert settings["STRIPE_WEBHOOK_SECRETS"] == ["whsec_1", "whsec_2"]
    assert settings["STARTS_PER_ADDRESS"] > 0
    assert not settings["TESTING"]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"SECRET_KEY": ""}, "SECRET_KEY"),
        ({"SECRET_KEY": config.DEVELOPMENT_SECRET}, "SECRET_KEY"),
        ({"SECRET_KEY": "short"}, "SECRET_KEY"),
        ({"PUBLIC_URL": ""}, "PUBLIC_URL"),
        ({"PUBLIC_URL": "http://give.example.by"}, "PUBLIC_URL"),
        ({"STRIPE_API_KEY": ""}, "STRIPE_API_KEY"),
        ({"STRIPE_API_KEY": config.SANDBOX_KEY}, "STRIPE_API_KEY"),
        ({"STRIPE_WEBHOOK_SECRETS": ""}, "STRIPE_WEBHOOK_SECRETS"),
        ({"STRIPE_WEBHOOK_SECRETS": " , ,"}, "STRIPE_WEBHOOK_SECRETS"),
        ({"STRIPE_WEBHOOK_SECRETS": f"whsec_1,{config.SANDBOX_WEBHOOK_SECRET}"}, "STRIPE_WEBHOOK_SECRETS"),
        ({"STRIPE_API_BASE": "http://127.0.0.1:9000"}, "STRIPE_API_BASE"),
        ({"STRIPE_API_BASE": "https://127.0.0.2:9000"}, "STRIPE_API_BASE"),
        ({"STRIPE_API_BASE": "https://LOCALHOST."}, "STRIPE_API_BASE"),
        ({"STRIPE_API_BASE": "https://[::1]:9000"}, "STRIPE_API_BASE"),
        ({"STRIPE_API_BASE": "http://sandbox.example.by"}, "STRIPE_API_BASE"),
        ({"STRIPE_API_KEY": "sk_test_of_the_account"}, "STRIPE_API_KEY"),
        ({"TRUSTED_PROXIES": ""}, "TRUSTED_PROXIES"),
        ({"MAIL_FROM": ""}, "MAIL_FROM"),
        ({"MAIL_FROM": "no-reply@localhost"}, "MAIL_FROM"),
        ({"MAIL_HOST": "mail.example.by", "MAIL_USER": "give", "MAIL_PASSWORD": "very-secret"}, "MAIL_TLS"),
    ],
)
def test_production_refuses_defaults_the_sandbox_and_open_doors(change: dict[str, str], named: str) -> None:
    message = refused({**PRODUCTION, **change})
    assert f"- {named}" in message
    assert message.count("\n") == 1
    assert "very-secret" not in message


def test_statements_hide_their_values_from_error_messages_on_both_databases() -> None:
    for url in ("", "postgresql://u@h/d"):
        options: dict[str, Any] = config.load({"DATABASE_URL": url})["SQLALCHEMY_ENGINE_OPTIONS"]
        assert options["hide_parameters"] is True


def test_the_sandboxs_key_is_never_shown_to_stripe(tmp_path: Path) -> None:
    environ = {"INSTANCE_DIR": str(tmp_path)}
    assert config.load(environ)["STRIPE_API_BASE"] == f"http://127.0.0.1:{config.SANDBOX_PORT}"
    (tmp_path / "sandbox.port").write_text("8123")
    assert config.load(environ)["STRIPE_API_BASE"] == "http://127.0.0.1:8123"


def test_a_key_of_a_real_account_needs_secrets_of_its_own_and_a_live_one_production() -> None:
    assert "STRIPE_WEBHOOK_SECRETS" in refused({"STRIPE_API_KEY": "sk_test_real"})
    own = {"STRIPE_WEBHOOK_SECRETS": "whsec_own"}
    assert config.load({"STRIPE_API_KEY": "sk_test_real", **own})["STRIPE_API_BASE"] is None
    assert "APP_ENV=production" in refused({"STRIPE_API_KEY": "rk_live_1", **own})
