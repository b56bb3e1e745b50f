"""How one sandbox is set up, and what it refuses to be."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

API_VERSION = "2026-10-28.endive"
DEFAULT_PORT = 8420
DEFAULT_SECRET = "whsec_sandbox"  # noqa: S105  (a stand-in's secret guards nothing)

# What an endpoint of a donation service subscribes to. Stripe sends only what was asked for;
# "*" in `enabled_events` asks for everything, including such as payment_intent.created.
DEFAULT_EVENTS = (
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
    "payment_intent.succeeded",
    "payment_intent.payment_failed",
    "charge.succeeded",
    "charge.updated",
    "charge.refunded",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
    "payout.paid",
    "payout.failed",
    "payout.reconciliation_completed",
)

# Units of the settlement currency (EUR) for one unit of the other; illustrative, only BYN's is agreed on.
DEFAULT_RATES = {
    "byn": 0.294,
    "eur": 1.0,
    "usd": 0.92,
    "gbp": 1.17,
    "pln": 0.235,
    "czk": 0.04,
    "sek": 0.09,
    "nok": 0.086,
    "dkk": 0.134,
    "chf": 1.05,
    "huf": 0.0025,
    "ron": 0.2,
    "bgn": 0.511,
    "gel": 0.34,
    "uah": 0.021,
    "kzt": 0.0018,
    "amd": 0.0024,
    "azn": 0.54,
    "try": 0.022,
    "ils": 0.25,
    "cad": 0.66,
    "aud": 0.6,
    "jpy": 0.0061,
    "krw": 0.00066,
    "kwd": 3.0,
}


class SettingsError(ValueError):
    """The sandbox will not start like this; the message says why."""


@dataclass(frozen=True)
class Endpoint:
    """One webhook endpoint: where events go, the secret that signs them, and which it asked for."""

    url: str
    secret: str = DEFAULT_SECRET
    enabled_events: tuple[str, ...] = DEFAULT_EVENTS

    def wants(self, event_type: str) -> bool:
        return "*" in self.enabled_events or event_type in self.enabled_events


@dataclass(frozen=True)
class Settings:
    """Everything adjustable. Seconds where it says delay; minor units of the settlement currency for fees.

    `txn_delay`: how long after the charge its balance transaction appears; 0 at once, None only by drill.
    `delayed_after`: when a delayed payment succeeds by itself; None only by drill.
    `refund_status`: what a refund made over the API starts as (cards at Stripe: mostly succeeded).
    `api_key`: the one accepted key; None takes any sk_test_… or rk_test_….
    """

    host: str = "127.0.0.1"
    port: int = 0
    db_path: str = ":memory:"
    endpoints: tuple[Endpoint, ...] = ()
    public_url: str | None = None
    api_key: str | None = None
    delayed_after: float | None = None
    txn_delay: float | None = 1.0
    refund_status: str = "succeeded"
    settlement_currency: str = "eur"
    exchange_rates: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_RATES))
    fee_percent: str = "2.9"
    fee_fixed: int = 25
    dispute_fee: int = 2000
    availability_days: float = 7
    statement_prefix: str = "CHARITY"
    auto_deliver: bool = True
    workers: int = 6
    retry_schedule: tuple[float, ...] = (1, 2, 4, 8, 16, 30, 60, 60, 120, 300)
    delivery_timeout: float = 10.0

    def __post_init__(self) -> None:
        if not is_loopback(self.host):
            raise SettingsError(f"the sandbox listens on loopback only, not on {self.host!r}")
        for endpoint in self.endpoints:
            require_loopback_url(endpoint.url)
        if self.refund_status not in ("succeeded", "pending", "requires_action"):
            raise SettingsError(f"refund_status cannot be {self.refund_status!r}")


def is_loopback(host: str | None) -> bool:
    if host is None:
        return False
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def require_loopback_url(url: str) -> None:
    """Webhooks carry made-up payments: they must never reach another machine."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not is_loopback(parts.hostname):
        raise SettingsError(f"webhooks go to loopback addresses only, not to {url!r}")


def refuse_production(environ: Mapping[str, str]) -> None:
    if environ.get("APP_ENV", "").strip().lower() == "production":
        raise SettingsError("the sandbox does not run in production (APP_ENV=production)")
