"""Which providers an installation has is a matter of its settings."""

import logging
from typing import Any

import pytest
from flask import Flask

from core.errors import NotFound, Unavailable
from payments import registry


def app_with(**settings: Any) -> Flask:
    app = Flask("payments-test")
    app.config.update({"APP_ENV": "test", "STRIPE_WEBHOOK_SECRETS": ["whsec_x"], "STRIPE_API_BASE": None, **settings})
    registry.init_app(app)
    return app


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STRIPE_SUPPRESS_NOTICES", raising=False)


def test_with_a_key_stripe_is_the_provider_of_new_donations() -> None:
    with app_with(STRIPE_API_KEY="sk_test_x").app_context():
        assert registry.default_provider().name == "stripe"
        assert registry.get_provider("stripe") is registry.default_provider()
        assert registry.all_providers() == (registry.default_provider(),)


@pytest.mark.parametrize("key", [None, ""])
def test_without_a_key_there_is_no_provider_and_donating_is_unavailable(key: str | None) -> None:
    with app_with(STRIPE_API_KEY=key).app_context():
        assert registry.all_providers() == ()
        with pytest.raises(Unavailable):
            registry.default_provider()


def test_a_provider_this_installation_does_not_have_is_not_found() -> None:
    with app_with(STRIPE_API_KEY="sk_test_x").app_context(), pytest.raises(NotFound):
        registry.get_provider("bepaid")


def test_two_apps_do_not_share_their_providers() -> None:
    with app_with(STRIPE_API_KEY="sk_test_x").app_context():
        first = registry.default_provider()
    with app_with(STRIPE_API_KEY="sk_test_x").app_context():
        assert registry.default_provider() is not first


def test_the_library_does_not_log_what_donors_typed() -> None:
    app_with(STRIPE_API_KEY="sk_test_x")
    assert not logging.getLogger("stripe").isEnabledFor(logging.INFO)
